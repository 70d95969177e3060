// Package sts is the one action of the AWS Security Token Service that clients
// of other services call by themselves: GetCallerIdentity, by which Terraform
// and the AWS CLI find out the account.
package sts

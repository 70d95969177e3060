package control

import "penstock"

// CreateRequest holds the arguments of CreateIntegration, as sent.
type CreateRequest struct {
	CallerARN         string // who asks: arn:aws:iam::<account>:user/<access key>
	SourceARN         string
	TargetARN         string
	Name              string
	KMSKeyID          string // name, ID, ARN or alias; "" for the built-in key
	EncryptionContext map[string]string
	Tags              []penstock.Tag
	DataFilter        string
	Description       string
}

// ListRequest holds the arguments of DescribeIntegrations.
type ListRequest struct {
	Identifier string // name, UUID or ARN; "" for all
	MaxRecords int    // 0 means the default of 100
	Marker     string // from a ListReply
}

// ListReply is a page of integrations. Marker is "" on the last one.
type ListReply struct {
	Integrations []penstock.Integration
	Marker       string
}

// ModifyRequest holds the arguments of ModifyIntegration; nil means that the
// member was not sent and stays as it is.
type ModifyRequest struct {
	Identifier  string // name, UUID or ARN
	Name        *string
	DataFilter  *string
	Description *string
}

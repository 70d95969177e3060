package control

import (
	"penstock"
)

// Scope is where a server's resources live: what every ARN of it begins with.
type Scope struct {
	Partition string // "aws"
	Region    string
	Account   string // 12 digits
}

// SourceARN returns the ARN of a configured source; kind is "cluster" or "db".
func (s Scope) SourceARN(kind, name string) string {
	return s.arn("rds", kind+":"+name)
}

// TargetARN returns the ARN of a target with that namespace UUID.
func (s Scope) TargetARN(namespace string) string {
	return s.arn("redshift-serverless", "namespace/"+namespace)
}

// DefaultNamespace returns the namespace UUID of a target for which none is
// configured. It depends on the account, the region and the name only.
func (s Scope) DefaultNamespace(target string) string {
	return nameUUID("namespace", s.Account, s.Region, target)
}

// IntegrationARN returns the ARN of an integration.
func (s Scope) IntegrationARN(id penstock.IntegrationID) string {
	return s.arn("rds", "integration:"+string(id))
}

// BuiltinKeyARN returns the ARN of the key that stands for none having been
// named.
func (s Scope) BuiltinKeyARN() string {
	return s.arn("kms", "key/"+nameUUID("key", s.Account, s.Region, "builtin"))
}

func (s Scope) arn(service, resource string) string {
	return penstock.ARN{Partition: s.Partition, Service: service, Region: s.Region, Account: s.Account, Resource: resource}.String()
}

package control

import "penstock"

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

// IntegrationARN returns the ARN of an integration.
func (s Scope) IntegrationARN(id penstock.IntegrationID) string {
	return s.arn("rds", "integration:"+string(id))
}

func (s Scope) arn(service, resource string) string {
	return penstock.ARN{Partition: s.Partition, Service: service, Region: s.Region, Account: s.Account, Resource: resource}.String()
}

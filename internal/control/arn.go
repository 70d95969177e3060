package control

import (
	"github.com/google/uuid"

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

// IntegrationARN returns the ARN of an integration.
func (s Scope) IntegrationARN(id penstock.IntegrationID) string {
	return s.arn("rds", "integration:"+string(id))
}

// keyRoot is the root of the IDs of built-in keys. It must never change, since
// users may have written their ARNs down.
var keyRoot = uuid.MustParse("5b0e9a51-7d3c-5e1f-8c62-1d0a94e73b26")

// BuiltinKeyARN returns the ARN of the key that stands for none having been
// named.
func (s Scope) BuiltinKeyARN() string {
	return s.arn("kms", "key/"+uuid.NewSHA1(keyRoot, []byte(s.Account+"/"+s.Region)).String())
}

func (s Scope) arn(service, resource string) string {
	return penstock.ARN{Partition: s.Partition, Service: service, Region: s.Region, Account: s.Account, Resource: resource}.String()
}

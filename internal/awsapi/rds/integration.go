package rds

import (
	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/query"
)

// integrationShape is an integration in a reply.
var integrationShape = query.Structure(
	query.Required("IntegrationName", query.Text()),
	query.Required("IntegrationArn", query.Text()),
	query.Required("SourceArn", query.Text()),
	query.Required("TargetArn", query.Text()),
	query.Required("Status", query.Text()),
	query.Required("DataFilter", query.Text()),
	query.Required("Description", query.Text()),
	query.Required("KMSKeyId", query.Text()),
	query.Required("AdditionalEncryptionContext", query.Map()),
	query.Required("Tags", tagsShape),
	query.Required("CreateTime", query.Time()),
	query.Required("Errors", ErrorsShape),
)

// ErrorsShape is the Errors member of an integration, here and in other
// services that show integrations.
var ErrorsShape = query.List("IntegrationError", query.Structure(
	query.Required("ErrorCode", query.Text()),
	query.Required("ErrorMessage", query.Text()),
))

// integrationValue returns an integration as replies show it.
func integrationValue(in penstock.Integration) query.Value {
	return query.StructureValue(query.Fields{
		"IntegrationName":             query.TextValue(in.Name),
		"IntegrationArn":              query.TextValue(in.ARN),
		"SourceArn":                   query.TextValue(in.SourceARN),
		"TargetArn":                   query.TextValue(in.TargetARN),
		"Status":                      query.TextValue(string(in.Status)),
		"DataFilter":                  query.TextValue(in.DataFilter),
		"Description":                 query.TextValue(in.Description),
		"KMSKeyId":                    query.TextValue(in.KMSKeyID),
		"AdditionalEncryptionContext": query.MapValue(in.EncryptionContext),
		"Tags":                        tagsValue(in.Tags),
		"CreateTime":                  query.TimeValue(in.CreatedAt),
		"Errors":                      ErrorsValue(in.Problems),
	})
}

// ErrorsValue returns an integration's problems as its Errors. News is none;
// the statement that mends a problem belongs to what the user is told.
func ErrorsValue(problems []penstock.Problem) query.Value {
	var items []query.Value
	for _, p := range problems {
		if p.Severity == penstock.SeverityInfo {
			continue
		}
		message := p.Message
		if p.Mend != "" {
			message = awsapi.Sentence(message) + " To mend it: " + p.Mend
		}
		items = append(items, query.StructureValue(query.Fields{
			"ErrorCode":    query.TextValue(string(p.Code)),
			"ErrorMessage": query.TextValue(message),
		}))
	}
	return query.ListValue(items)
}

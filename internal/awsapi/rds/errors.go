package rds

import (
	"net/http"
	"strings"

	"penstock"
	"penstock/internal/awsapi"
	"penstock/internal/awsapi/fault"
)

// The codes that the API's model has for integrations. DBInstanceNotFound is
// the only one on the wire without the suffix.
var (
	DBClusterNotFoundFault            = fault.Code{Name: "DBClusterNotFoundFault", Status: http.StatusNotFound}
	DBInstanceNotFound                = fault.Code{Name: "DBInstanceNotFound", Status: http.StatusNotFound}
	IntegrationAlreadyExistsFault     = fault.Code{Name: "IntegrationAlreadyExistsFault", Status: http.StatusBadRequest}
	IntegrationConflictOperationFault = fault.Code{Name: "IntegrationConflictOperationFault", Status: http.StatusBadRequest}
	IntegrationNotFoundFault          = fault.Code{Name: "IntegrationNotFoundFault", Status: http.StatusNotFound}
	IntegrationQuotaExceededFault     = fault.Code{Name: "IntegrationQuotaExceededFault", Status: http.StatusBadRequest}
	InvalidIntegrationStateFault      = fault.Code{Name: "InvalidIntegrationStateFault", Status: http.StatusBadRequest}
	KMSKeyNotAccessibleFault          = fault.Code{Name: "KMSKeyNotAccessibleFault", Status: http.StatusBadRequest}
)

// codes says which code stands for a kind of failure.
var codes = map[penstock.Kind]fault.Code{
	penstock.KindInvalid:             fault.InvalidParameterValue,
	penstock.KindIntegrationNotFound: IntegrationNotFoundFault,
	penstock.KindSourceNotFound:      DBClusterNotFoundFault, // see faultOfCreate
	penstock.KindTargetNotFound:      fault.InvalidParameterValue,
	penstock.KindNotFound:            fault.InvalidParameterValue,
	penstock.KindAlreadyExists:       IntegrationAlreadyExistsFault,
	penstock.KindConflict:            IntegrationConflictOperationFault,
	penstock.KindInvalidState:        InvalidIntegrationStateFault,
	penstock.KindQuota:               IntegrationQuotaExceededFault, // see faultOfTags
	penstock.KindKeyNotAccessible:    KMSKeyNotAccessibleFault,
}

// faultOf returns what the client is told about err.
func faultOf(err error) error {
	return awsapi.FaultOf(err, codes)
}

// faultOfCreate is faultOf for CreateIntegration: a source that is missing is
// a cluster or an instance.
func faultOfCreate(err error, sourceARN string) error {
	arn, _ := penstock.ParseARN(sourceARN)
	if penstock.KindOf(err) == penstock.KindSourceNotFound && strings.HasPrefix(arn.Resource, "db:") {
		return &fault.Error{Code: DBInstanceNotFound, Message: awsapi.Message(err), Err: err}
	}
	return faultOf(err)
}

// faultOfTags is faultOf for the tag actions: the API has no code for too many
// tags.
func faultOfTags(err error) error {
	if penstock.KindOf(err) == penstock.KindQuota {
		return &fault.Error{Code: fault.InvalidParameterValue, Message: awsapi.Message(err), Err: err}
	}
	return faultOf(err)
}

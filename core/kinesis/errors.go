package kinesis

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/wire"
)

// Types of errors of the service.
const (
	codeDryRun           = "DryRunOperationException"
	codeExpiredIterator  = "ExpiredIteratorException"
	codeExpiredNextToken = "ExpiredNextTokenException"
	codeInvalidArgument  = "InvalidArgumentException"
	codeKMSNotFound      = "KMSNotFoundException"
	codeLimitExceeded    = "LimitExceededException"
	codeThroughput       = "ProvisionedThroughputExceededException"
	codeResourceInUse    = "ResourceInUseException"
	codeResourceNotFound = "ResourceNotFoundException"
	codeValidation       = "ValidationException"
	codeInternalFailure  = "InternalFailure"
)

func fail(code, format string, args ...any) *wire.Error {
	return &wire.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// failure makes what the client gets of an error of core/stream that has a meaning in the API. All others are internal
// failures or unavailability, which core/wire words and logs.
func failure(err error) error {
	var known *wire.Error
	if errors.As(err, &known) {
		return err
	}
	switch {
	case fault.ClassOf(err) == fault.Throttled:
		return &wire.Error{Code: codeThroughput, Message: err.Error(), Err: err}
	case fault.CodeOf(err) == "stream.not_found", fault.CodeOf(err) == "stream.deleted", fault.CodeOf(err) == "stream.no_shard":
		return &wire.Error{Code: codeResourceNotFound, Message: err.Error(), Err: err}
	}
	return err
}

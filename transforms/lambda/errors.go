package lambda

import "github.com/leatstream/leat/core/fault"

// Codes of Open's errors.
const (
	CodeInvalidConfig = "lambda.invalid_config" // settings that do not go together
	CodeNoCommand     = "lambda.no_command"     // there is no such program, or it may not be run
	CodeNotACommand   = "lambda.not_a_command"  // the WebAssembly module is no WASI command
)

// Codes of a handler that cannot be asked, whatever the records.
const (
	CodeStartFailed  = "lambda.start_failed" // the handler ended before it read an event
	CodeNotFlushed   = "lambda.not_flushed"  // the handler responds only when its input ends
	CodeUnavailable  = "lambda.unavailable"  // the endpoint cannot be reached, or answers that it cannot work
	CodeThrottled    = "lambda.throttled"    // the endpoint asks for a slower pace
	CodeUnauthorized = "lambda.unauthorized" // the endpoint refuses leat
)

// Codes of an event that got no response that could be used. If it had many records, they are tried again in smaller events;
// a lone record fails with the code.
const (
	CodeExited           = "lambda.exited"             // the handler ended before it had answered
	CodeTimeout          = "lambda.timeout"            // the handler took too long
	CodeFunctionError    = "lambda.function_error"     // the handler answered with errorMessage
	CodeRequestRefused   = "lambda.request_refused"    // the endpoint refuses the event
	CodeNotJSON          = "lambda.not_json"           // the response is not JSON
	CodeBadResponse      = "lambda.bad_response"       // the response is JSON of another shape, or came before the event was read
	CodeResponseTooLarge = "lambda.response_too_large" // the response is larger than MaxPayload
)

// Codes of a record that broke a rule of the contract, or whose part of the response did.
const (
	CodeRecordTooLarge       = "lambda.record_too_large"        // the record alone makes an event larger than MaxPayload
	CodeProcessingFailed     = "lambda.processing_failed"       // the handler says ProcessingFailed
	CodeRecordMissing        = "lambda.record_missing"          // the response leaves the record out
	CodeRecordNull           = "lambda.record_null"             // it has null in the record's place
	CodeIDMissing            = "lambda.record_id_missing"       // it has something without recordId in the record's place
	CodeIDUnknown            = "lambda.record_id_unknown"       // it has another recordId than was asked for
	CodeIDDuplicate          = "lambda.record_id_duplicate"     // it has the recordId more than once
	CodeUnknownResult        = "lambda.unknown_result"          // result is not Ok, Dropped or ProcessingFailed
	CodeDataMissing          = "lambda.data_missing"            // result is Ok, and there is no data
	CodeDataNotBase64        = "lambda.data_not_base64"         // data is not text in base64
	CodePartitionKeysNotText = "lambda.partition_keys_not_text" // partitionKeys is not an object whose values are text
	CodeTooManyPartitionKeys = "lambda.too_many_partition_keys" // there are more than MaxPartitionKeys
	CodePartitionKeyTooLong  = "lambda.partition_key_too_long"  // a name or a value of partitionKeys is too long
)

// unavailable reports whether an error of an invocation says nothing about its records.
func unavailable(err error) bool { return fault.ClassOf(err) != fault.Permanent }

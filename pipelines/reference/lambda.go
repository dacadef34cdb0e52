package reference

import "github.com/leatstream/leat/transforms/builtin"

// lambdaDoc is the text of the stage that asks handlers written for Firehose.
var lambdaDoc = builtin.Doc{
	Summary: "Asks a handler that is written for the data transformation of Amazon Data Firehose.",
	Text: "The handler is a program (`command`, or `wasi` for one in WebAssembly) that gets events at its standard input and writes responses to its standard output, or an " +
		"endpoint (`url`) that takes events by POST, such as Lambda's runtime interface emulator. The JSON of events and responses is Firehose's, so an existing " +
		"`handler(event, context)` runs as it is with a main of ten lines around it; transforms/examples has `lambda-go`, `lambda-python` and `lambda-javascript`.\n\n" +
		"```yaml\ntransforms:\n  - name: mask\n    lambda:\n      command: [ python3, main.py ]\n      env: { TABLE: users, TOKEN: { secret: env:TOKEN } }\n```\n\n" +
		"In mode `stream` a program runs for as long as the pipeline: an event is one line, its response is one line, and standard output must be flushed after it. In mode `once` " +
		"it is run for each event, which is all of its input. A program has only `PATH`, `HOME`, `TZ`, `LANG` and `env` in its environment, and runs in the folder of the pipeline file. What it prints to " +
		"standard error goes to the log. It is killed, with all that it has started, when it takes longer than `timeout` and when leat ends, and started again when it ends by itself. Only what leaves its process group, as with `setsid`, outlives it: that is its own to end. If leat itself is killed with SIGKILL, the program ends with it, and what that has started does not. " +
		"A WebAssembly program has no files and no network.\n\n" +
		"When a pipeline starts, and for `leat validate` and `leat test`, a program is tried with an event without records. If it ends before it has read it, does not respond within `timeout`, does not flush its response, or " +
		"prints anything else, that is an error, which shows what the program wrote to standard error; after 5 seconds without a response the log says whether it has read the event. What the handler makes of such an event does not matter: Firehose never sends one.\n\n" +
		"A response has each `recordId` of its event once, in any order, with the result `Ok`, `Dropped` or `ProcessingFailed`. What breaks a rule fails the one record that it belongs to. " +
		"`metadata.partitionKeys` are what `!{partitionKeyFromLambda:name}` in a sink's prefix stands for. " +
		"If a response is no use at all, or a program ends in the middle of an event, the records of the event are asked about again in smaller events, until the one that causes it fails alone.\n\n" +
		"A handler that cannot be asked at all (a program ends before it reads or does not flush what it writes, an endpoint is down, throttles or refuses leat) blames no record. It is tried `retries` times, not before the time that an endpoint asks for by `Retry-After` (up to 5 minutes); then, with `when_unavailable: wait`, the " +
		"stage rests: records stay in the stream, what was collected before is delivered as ever, and the handler is tried again with a few records after 1 s, 2 s and so on up to 1 min, for as long as it takes; /healthz and the metric `leat_transform_degraded` say so. With `fail` the records fail, as in Firehose. The log has the first failure of a kind, then a line every 30 seconds with how many there were, and that they are over.",
	Codes: []builtin.Code{
		{Name: "lambda.processing_failed", Meaning: "The handler says `ProcessingFailed`."},
		{Name: "lambda.record_missing", Meaning: "The response leaves the record out."},
		{Name: "lambda.record_null", Meaning: "The response has `null` in the record's place."},
		{Name: "lambda.record_id_missing", Meaning: "The response has something without `recordId` in the record's place."},
		{Name: "lambda.record_id_unknown", Meaning: "The response has a `recordId` that was not asked for, in the record's place or beside its answer: what it holds would be lost."},
		{Name: "lambda.record_id_duplicate", Meaning: "The response has the `recordId` more than once."},
		{Name: "lambda.unknown_result", Meaning: "`result` is something else than `Ok`, `Dropped` and `ProcessingFailed`."},
		{Name: "lambda.data_missing", Meaning: "`result` is `Ok`, and there is no `data`."},
		{Name: "lambda.data_not_base64", Meaning: "`data` is not text in base64 with padding."},
		{Name: "lambda.partition_keys_not_text", Meaning: "`metadata.partitionKeys` is not an object whose values are text."},
		{Name: "lambda.too_many_partition_keys", Meaning: "There are more than 50 partition keys."},
		{Name: "lambda.partition_key_too_long", Meaning: "A partition key has a name of more than 128 bytes or a value of more than 1024."},
		{Name: "lambda.record_too_large", Meaning: "The record alone makes an event larger than 6 MiB."},
		{Name: "lambda.not_json", Meaning: "The response is not JSON: the handler has printed something else to its standard output, perhaps."},
		{Name: "lambda.bad_response", Meaning: "The response is JSON, and not `{\"records\": […]}`, or the program printed something before it had read the event."},
		{Name: "lambda.response_too_large", Meaning: "The response is larger than 6 MiB."},
		{Name: "lambda.function_error", Meaning: "The handler answered with `errorMessage`, as Lambda does for a handler that raises."},
		{Name: "lambda.exited", Meaning: "The program ended before it had responded."},
		{Name: "lambda.timeout", Meaning: "The program took longer than `timeout`."},
		{Name: "lambda.request_refused", Meaning: "The endpoint refuses the event (400, 413 or 422)."},
		{Name: "lambda.start_failed", Meaning: "With `when_unavailable: fail`: the program ends before it reads an event."},
		{Name: "lambda.not_flushed", Meaning: "With `when_unavailable: fail`: the program responds only when its input is closed, because it does not flush its output."},
		{Name: "lambda.unavailable", Meaning: "With `when_unavailable: fail`: the endpoint cannot be reached, or answers that it cannot work."},
		{Name: "lambda.throttled", Meaning: "With `when_unavailable: fail`: the endpoint asks for a slower pace (429)."},
		{Name: "lambda.unauthorized", Meaning: "With `when_unavailable: fail`: the endpoint refuses leat (401 or 403)."},
	},
}

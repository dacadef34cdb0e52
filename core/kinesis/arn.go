package kinesis

import (
	"regexp"
	"strings"
)

// arnPattern is the model's pattern for the ARN of a stream.
const arnPattern = `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`

var (
	arnRegexp  = regexp.MustCompile(`^` + arnPattern + `$`)
	nameRegexp = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)
)

// Kinds of string members, from the model.
var (
	streamName = text{1, 128, "[a-zA-Z0-9_.-]+", nameRegexp.MatchString}
	shardID    = text{1, 128, "[a-zA-Z0-9_.-]+", nameRegexp.MatchString}
	streamARN  = text{1, 2048, arnPattern, arnRegexp.MatchString}
	nextToken  = text{least: 1, most: 1 << 20}
)

func (a *API) streamARN(name string) string {
	return "arn:aws:kinesis:" + a.cfg.Region + ":" + a.cfg.Account + ":stream/" + name
}

// nameOf returns the name of the stream that a request means. Validation has checked the forms of both.
func (a *API) nameOf(name, arn *string) (string, error) {
	if arn == nil {
		if name == nil {
			return "", fail(codeInvalidArgument, "Either StreamName or StreamARN should be provided.")
		}
		return *name, nil
	}
	_, of, _ := strings.Cut(*arn, ":stream/")
	if name != nil && *name != of {
		return "", fail(codeInvalidArgument, "StreamName %s and StreamARN %s do not name the same stream.", *name, *arn)
	}
	if a.streamARN(of) != *arn { // of another account or region: there is none here
		return "", a.noStream(of)
	}
	return of, nil
}

package kinesis

import (
	"regexp"
	"strings"
)

// arnPattern is the model's pattern for the ARN of a stream, namePattern that for names of streams, shards and consumers.
const (
	arnPattern  = `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
	namePattern = "[a-zA-Z0-9_.-]+"
)

var arnRegexp = regexp.MustCompile(`^` + arnPattern + `$`)

// Kinds of string members, from the model.
var (
	streamName = text{1, 128, namePattern, isName}
	shardID    = text{1, 128, namePattern, isName}
	streamARN  = text{1, 2048, arnPattern, isStreamARN}
	nextToken  = text{least: 1, most: 1 << 20}
)

// isName tells whether s matches namePattern. It is asked for each request, and so faster than a regular expression.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// isStreamARN tells whether s matches arnPattern. The regular expression is asked only about what no service writes.
func isStreamARN(s string) bool {
	rest, ok := strings.CutPrefix(s, "arn:aws:kinesis:")
	region, rest, _ := strings.Cut(rest, ":")
	account, name, _ := strings.Cut(rest, ":stream/")
	if ok && isName(region) && len(account) == 12 && strings.Trim(account, "0123456789") == "" && isName(name) {
		return true
	}
	return arnRegexp.MatchString(s)
}

func (a *API) streamARN(name string) string { return a.arnPrefix + name }

// nameOf returns the name of the stream that a request means. Validation has checked the forms of both.
func (a *API) nameOf(name, arn *string) (string, error) {
	if arn == nil {
		if name == nil {
			return "", fail(codeInvalidArgument, "Either StreamName or StreamARN should be provided.")
		}
		return *name, nil
	}
	of, here := strings.CutPrefix(*arn, a.arnPrefix)
	if !here { // of another account or region: there is none
		before, of, _ := strings.Cut(*arn, ":stream/")
		return "", fail(codeResourceNotFound, "Stream %s under account %s not found.", of, before[strings.LastIndexByte(before, ':')+1:])
	}
	if name != nil && *name != of {
		return "", fail(codeInvalidArgument, "StreamName %s and StreamARN %s do not name the same stream.", *name, *arn)
	}
	return of, nil
}

package lambda

import (
	"bytes"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// answer is one element of a response's records.
type answer struct {
	kind answerKind
	id   []byte
	// result is as the handler wrote it; nil if it is no text or not there.
	result []byte
	// data is base64; has says that there is text at all, wrong that there is something else.
	data       []byte
	has, wrong bool
	// keys are partition keys; code says what is wrong with them.
	keys record.Attrs
	code string
}

type answerKind uint8

const (
	identified answerKind = iota // an object with a recordId
	anonymous                    // something else, but null
	null
)

// decoding is the memory of one response's decoding.
type decoding struct {
	answers []answer
	// first is the answer of each record, plus one; 0 is none. twice marks records with more than one.
	first []int32
	twice []bool
	byID  map[string]int32
}

const onlyIDs = "a handler returns each recordId that it got once; it cannot make several records of one"

const onlyResponses = "standard output is for responses alone; a handler that prints something else has to print it to standard error"

// maxAnswers is how many answers to n records are read. More are no use, and 6 MiB of them would take 300 MiB of memory.
func maxAnswers(n int) int { return 2*n + 1000 }

// parse reads a response to n records. Its errors are about the response as a whole. The answers point into text.
func (d *decoding) parse(text []byte, n int) error {
	clear(d.answers)
	d.answers = d.answers[:0]
	s := scanner{b: text}
	var failure, failureType []byte
	failed, records := false, false
	what := ""
	ok, many := false, false
	if s.space() == '{' {
		ok = s.object(func(key []byte) bool {
			switch {
			case string(key) == "records" && s.space() == '[':
				records = true
				d.answers = d.answers[:0] // of a key that repeats, the last counts
				return s.list(func() bool {
					many = len(d.answers) >= maxAnswers(n)
					return !many && d.answer(&s)
				})
			case string(key) == "records":
				from := s.at
				if !s.skip() {
					return false
				}
				what = "records is " + excerpt(s.b[from:s.at]) + ", not a list"
				return true
			case string(key) == "errorMessage", string(key) == "errorType":
				failed = true
				if s.space() != '"' {
					return s.skip()
				}
				p, ok := s.text()
				if string(key) == "errorType" {
					failureType = p
				} else {
					failure = p
				}
				return ok
			}
			return s.skip()
		})
	} else if ok = s.skip(); ok {
		what = "it is not an object"
	}
	switch s.space(); {
	case many:
		return fault.New(fault.Permanent, CodeIDUnknown, "the response to %d records has more than %d, and cannot be the response to them", n, len(d.answers)).
			WithHint(onlyIDs)
	case len(bytes.TrimSpace(text)) == 0:
		return fault.New(fault.Permanent, CodeNotJSON, "the handler returned nothing").
			WithHint("it has to write a response, {\"records\": […]}, to its standard output, and to flush it")
	case !ok || s.at < len(s.b):
		return fault.New(fault.Permanent, CodeNotJSON, "the handler's response is not JSON, as its byte %d shows: %s", s.at, excerpt(bytes.TrimSpace(text))).
			WithHint(onlyResponses)
	case failed && !records:
		return functionError(string(failureType), string(failure))
	case !records && what == "":
		what = "it has no records"
		fallthrough
	case !records:
		return fault.New(fault.Permanent, CodeBadResponse, "the handler's response is not {\"records\": […]}: %s: %s", what, excerpt(bytes.TrimSpace(text))).
			WithHint(onlyResponses)
	}
	return nil
}

// functionError is what a handler says in Lambda's way of saying that it failed.
func functionError(kind, message string) *fault.Error {
	switch {
	case kind == "" && message == "":
		message = "without saying why"
	case kind != "" && message != "":
		message = kind + ": " + message
	default:
		message = kind + message
	}
	return fault.New(fault.Permanent, CodeFunctionError, "the handler failed: %s", shorten(message))
}

// answer reads one element of records.
func (d *decoding) answer(s *scanner) bool {
	d.answers = append(d.answers, answer{kind: anonymous})
	a := &d.answers[len(d.answers)-1]
	switch s.space() {
	case 'n':
		a.kind = null
		return s.null()
	case '{':
	default:
		return s.skip()
	}
	return s.object(func(key []byte) bool {
		text := s.space() == '"'
		switch {
		case string(key) == "recordId" && text:
			p, ok := s.text()
			a.kind, a.id = identified, p
			return ok
		case string(key) == "result":
			if a.result = nil; !text {
				return s.skip()
			}
			p, ok := s.text()
			a.result = p
			return ok
		case string(key) == "data":
			a.has, a.wrong = text, false
			if !text {
				a.wrong = s.space() != 'n'
				return s.skip()
			}
			p, ok := s.text()
			a.data = p
			return ok
		case string(key) == "metadata" && s.space() == '{':
			return s.object(func(key []byte) bool {
				if string(key) != "partitionKeys" {
					return s.skip()
				}
				return a.partitionKeys(s)
			})
		}
		return s.skip()
	})
}

// partitionKeys reads the value of metadata.partitionKeys.
func (a *answer) partitionKeys(s *scanner) bool {
	a.keys, a.code = a.keys[:0], ""
	if s.space() != '{' {
		if s.space() != 'n' {
			a.code = CodePartitionKeysNotText
		}
		return s.skip()
	}
	return s.object(func(name []byte) bool {
		if s.space() != '"' {
			a.blame(CodePartitionKeysNotText)
			return s.skip()
		}
		value, ok := s.text()
		switch {
		case !ok:
			return false
		case !utf8.Valid(name) || !utf8.Valid(value):
			a.blame(CodePartitionKeysNotText)
		case len(name) > MaxPartitionName || len(value) > MaxPartitionValue:
			a.blame(CodePartitionKeyTooLong)
		default:
			if len(a.keys) < MaxPartitionKeys {
				a.keys.Set(string(name), string(value))
			} else if _, there := a.keys.Get(string(name)); !there {
				a.blame(CodeTooManyPartitionKeys)
			}
		}
		return true
	})
}

func (a *answer) blame(code string) {
	if a.code == "" {
		a.code = code
	}
}

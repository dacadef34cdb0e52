package kinesis

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/core/wire"
)

// violations collects the constraints of a request that are violated, and words them as the service does.
type violations []string

// maxViolations is after how many the service looks no further.
const maxViolations = 10

// maxShown is how many bytes of a value an error shows, and of one that is too long how many a pattern is still tried on.
// A value can be as long as a body, and would come back in each of its violations.
const maxShown = 16 << 10

// shown is the beginning of a value, without half a character.
func shown(value string) string {
	if len(value) <= maxShown {
		return value
	}
	end := maxShown
	for !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end] + "..."
}

// err is nil, or the ValidationException with all violations in one message.
func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	plural := ""
	if len(v) > 1 {
		plural = "s"
	}
	return &wire.Error{
		Code:    codeValidation,
		Message: fmt.Sprintf("%d validation error%s detected: %s", len(v), plural, strings.Join(v, "; ")),
	}
}

// add notes that the member at path, written in camel case, has a value that violates a constraint. The value nil is null.
func (v *violations) add(value any, path, constraint string) {
	if len(*v) == maxViolations {
		return
	}
	text := "null"
	switch value := value.(type) {
	case nil:
	case string:
		text = "'" + shown(value) + "'"
	default:
		text = fmt.Sprintf("'%v'", value)
	}
	v.note(fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", text, path, constraint))
}

// note notes a violation in the service's words.
func (v *violations) note(violation string) {
	if len(*v) < maxViolations {
		*v = append(*v, violation)
	}
}

// required notes that a member is missing.
func (v *violations) required(path string, missing bool) {
	if missing {
		v.add(nil, path, "not be null")
	}
}

// within notes that a number is outside its range. A nil number is no violation.
func within[T int32 | int64](v *violations, path string, n *T, least, most T) {
	switch {
	case n == nil:
	case *n < least:
		v.add(*n, path, fmt.Sprintf("have value greater than or equal to %d", least))
	case *n > most:
		v.add(*n, path, fmt.Sprintf("have value less than or equal to %d", most))
	}
}

// text is the kind of a string member.
type text struct {
	least, most int    // characters
	pattern     string // as the service prints it; empty: any
	matches     func(string) bool
}

// pattern is the kind of strings that match p as a whole.
func pattern(least, most int, p string) text {
	return text{least, most, p, regexp.MustCompile("^(?:" + p + ")$").MatchString}
}

// check notes how a string violates its kind: pattern first, then the length, as the service does. Of one that is far too
// long it notes the length only: the pattern could take seconds.
func (k text) check(v *violations, path string, s *string) {
	if s == nil {
		return
	}
	n := utf8.RuneCountInString(*s)
	hopeless := n > k.most && len(*s) > maxShown
	if k.pattern != "" && !hopeless && !k.matches(*s) {
		v.add(*s, path, "satisfy regular expression pattern: "+k.pattern)
	}
	switch {
	case n < k.least:
		v.add(*s, path, fmt.Sprintf("have length greater than or equal to %d", k.least))
	case n > k.most:
		v.add(*s, path, fmt.Sprintf("have length less than or equal to %d", k.most))
	}
}

// need is check for a required member.
func (k text) need(v *violations, path string, s *string) {
	v.required(path, s == nil)
	k.check(v, path, s)
}

// enum notes that a string is none of those that may be.
func (v *violations) enum(path string, s *string, of ...string) {
	if s == nil {
		return
	}
	for _, o := range of {
		if o == *s {
			return
		}
	}
	v.add(*s, path, "satisfy enum value set: ["+strings.Join(of, ", ")+"]")
}

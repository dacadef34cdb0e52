package prefix

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
)

// Bounds, as in Firehose.
const (
	// MaxLength is the most bytes of an evaluated prefix.
	MaxLength = 512
	// MaxExpression is the most bytes of a prefix before it is evaluated.
	MaxExpression = 1024
	// MaxKeys is the most partition keys that a prefix may use.
	MaxKeys = 50
)

// defaultTimestamp is appended to a prefix of objects that has no timestamp and no partition key.
const defaultTimestamp = "!{timestamp:yyyy/MM/dd/HH/}"

// maxErrorType is the most bytes of an error-output-type.
const maxErrorType = 64

// Options say what a prefix is for.
type Options struct {
	// Zone is the time zone of timestamps; nil is UTC.
	Zone *time.Location
	// DeadLetters says that the prefix is for dead letters, not for objects.
	DeadLetters bool
	// QueryKeys are the names that partitionKeyFromQuery may use.
	QueryKeys []string
	// Random replaces the source of random strings, in tests. It returns 11 letters and digits.
	Random func() string
}

type partKind uint8

const (
	literalPart partKind = iota
	timestampPart
	queryPart
	lambdaPart
	randomPart
	errorTypePart
)

type part struct {
	kind  partKind
	text  string // literalPart
	value int    // queryPart, lambdaPart: index in Template.values
	time  pattern
}

// reference is a partition value that a template uses.
type reference struct {
	kind partKind
	name string
}

// Template is a compiled prefix. It is safe for concurrent use.
type Template struct {
	expr   string
	parts  []part
	values []reference
	fixed  int // bytes of everything but the values, at most
	zone   *time.Location
	random func() string
}

// Compile reads a prefix. The error is a *fault.Error that names the expression at fault.
func Compile(expr string, opts Options) (*Template, error) {
	if len(expr) > MaxExpression {
		return nil, fail("prefix.too_long", "the prefix has %d bytes; at most %d are allowed", len(expr), MaxExpression)
	}
	if !utf8.ValidString(expr) || strings.ContainsFunc(expr, isControl) || strings.Contains(expr, `\`) {
		return nil, fail("prefix.bad_text", "the prefix holds a control character, a backslash or bytes that are not UTF-8")
	}
	t := &Template{expr: expr, zone: opts.Zone, random: opts.Random}
	if t.zone == nil {
		t.zone = time.UTC
	}
	if t.random == nil {
		t.random = randomString
	}
	if err := t.parse(expr, opts); err != nil {
		return nil, err
	}
	if !opts.DeadLetters && !t.has(timestampPart) && len(t.values) == 0 {
		if err := t.parse(defaultTimestamp, opts); err != nil {
			return nil, err
		}
	}
	if opts.DeadLetters && strings.Contains(expr, "!{") && !t.has(errorTypePart) {
		return nil, fail("prefix.not_allowed", "a prefix of dead letters with expressions must have !{firehose:error-output-type}")
	}
	if t.fixed > MaxLength {
		return nil, fail("prefix.too_long", "the prefix evaluates to %d bytes before any partition value; at most %d are allowed", t.fixed, MaxLength)
	}
	return t, t.tryOut(opts)
}

// tryOut evaluates the template once with harmless values, so that one that can never give a key fails here.
func (t *Template) tryOut(opts Options) error {
	group := []byte{}
	for range t.values {
		group = append(group, 1, 'x')
	}
	errorType := ""
	if opts.DeadLetters {
		errorType = "processing-failed"
	}
	_, err := t.Key(group, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), errorType)
	return err
}

func fail(code, format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, code, format, args...)
}

func (t *Template) has(kind partKind) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.kind == kind })
}

func (t *Template) parse(expr string, opts Options) error {
	for expr != "" {
		start := strings.Index(expr, "!{")
		if start < 0 {
			start = len(expr)
		}
		if start > 0 {
			t.add(part{kind: literalPart, text: expr[:start]}, start)
			expr = expr[start:]
			continue
		}
		body, rest, ok := cutExpression(expr[2:])
		if !ok {
			return fail("prefix.syntax", "%s has no closing }", expr)
		}
		if err := t.expression(body, opts); err != nil {
			return err
		}
		expr = rest
	}
	return nil
}

// cutExpression splits at the } that ends an expression; one in the quotes of a timestamp pattern is text.
func cutExpression(s string) (body, rest string, ok bool) {
	quotes := strings.HasPrefix(s, "timestamp:")
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '\'' && quotes:
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

func (t *Template) add(p part, size int) {
	t.parts = append(t.parts, p)
	t.fixed += size
}

var namespaces = "timestamp, partitionKeyFromQuery, partitionKeyFromLambda, firehose:random-string, firehose:error-output-type"

func (t *Template) expression(body string, opts Options) error {
	namespace, value, ok := strings.Cut(body, ":")
	if !ok {
		return fail("prefix.syntax", "!{%s} is not an expression", body).WithHint("write !{namespace:value}; known are %s", namespaces)
	}
	switch namespace {
	case "timestamp":
		p, err := compilePattern(value)
		if err != nil {
			return fail("prefix.bad_pattern", "!{%s}: %w", body, err)
		}
		t.add(part{kind: timestampPart, time: p}, p.maxLen())
	case "partitionKeyFromQuery", "partitionKeyFromLambda":
		return t.partitionKey(namespace, value, opts)
	case "firehose":
		switch {
		case value == "random-string":
			t.add(part{kind: randomPart}, randomLength)
		case value == "error-output-type" && !opts.DeadLetters:
			return fail("prefix.not_allowed", "!{%s} stands in the prefix of dead letters only", body)
		case value == "error-output-type":
			t.add(part{kind: errorTypePart}, maxErrorType)
		default:
			return fail("prefix.unknown_expression", "!{%s} is not known", body).WithHint("known are random-string and error-output-type")
		}
	default:
		return fail("prefix.unknown_expression", "!{%s} is not known", body).WithHint("known are %s", namespaces)
	}
	return nil
}

func (t *Template) partitionKey(namespace, name string, opts Options) error {
	if opts.DeadLetters {
		return fail("prefix.not_allowed", "!{%s:%s} cannot stand in the prefix of dead letters: the key may be what failed", namespace, name)
	}
	if name == "" {
		return fail("prefix.syntax", "!{%s:} names no partition key", namespace)
	}
	kind := lambdaPart
	if namespace == "partitionKeyFromQuery" {
		kind = queryPart
		if !slices.Contains(opts.QueryKeys, name) {
			e := fail("prefix.unknown_key", "!{%s:%s}: there is no partition key %q", namespace, name, name)
			if len(opts.QueryKeys) == 0 {
				return e.WithHint("give it a query: partition: { %s: .path }", name)
			}
			return e.WithHint("partition has %s", strings.Join(opts.QueryKeys, ", "))
		}
	}
	ref := reference{kind, name}
	index := slices.Index(t.values, ref)
	if index < 0 {
		if len(t.values) == MaxKeys {
			return fail("prefix.too_long", "the prefix uses more than %d partition keys", MaxKeys)
		}
		index = len(t.values)
		t.values = append(t.values, ref)
	}
	t.add(part{kind: kind, value: index}, 0)
	return nil
}

// String returns the prefix as it was written.
func (t *Template) String() string { return t.expr }

// Constant reports whether all records have the same group.
func (t *Template) Constant() bool { return len(t.values) == 0 }

// UsesLambdaKeys reports whether the template has partition keys that only a transform can give.
func (t *Template) UsesLambdaKeys() bool { return t.has(lambdaPart) }

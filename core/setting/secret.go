package setting

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// source is where a secret is.
type source uint8

const (
	nowhere source = iota
	inText
	inEnvironment
	inFile
)

// maxSecret is the most bytes of a secret's file.
const maxSecret = 64 << 10

// Secret is a reference to a secret. The zero value is no secret. It never shows what it refers to.
type Secret struct {
	source source
	ref    string
	place  string
	env    func(string) (string, bool)
}

// PlainSecret is a secret that stands in the file itself, at place.
func PlainSecret(text, place string) Secret { return Secret{source: inText, ref: text, place: place} }

// EnvSecret is a secret in an environment variable; env looks it up, and nil is the process's own environment.
func EnvSecret(name, place string, env func(string) (string, bool)) Secret {
	return Secret{source: inEnvironment, ref: name, place: place, env: env}
}

// FileSecret is a secret that a file holds.
func FileSecret(path, place string) Secret { return Secret{source: inFile, ref: path, place: place} }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.source == nowhere }

// Resolve reads the secret. It is read anew at each call, so that a rotated file or variable is seen. White space at the end
// of a file, which editors add, is cut.
func (s Secret) Resolve() (string, error) {
	switch s.source {
	case nowhere:
		return "", nil
	case inText:
		return s.ref, nil
	case inEnvironment:
		lookup := s.env
		if lookup == nil {
			lookup = os.LookupEnv
		}
		v, ok := lookup(s.ref)
		if !ok || v == "" {
			return "", fault.New(fault.Unauthorized, "spec.secret", "the secret's environment variable %s is not set", s.ref).At(s.place)
		}
		return v, nil
	default:
		f, err := os.Open(s.ref)
		if err != nil {
			return "", fault.New(fault.Unauthorized, "spec.secret", "reading a secret: %w", err).At(s.place)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fault.New(fault.Unauthorized, "spec.secret", "reading a secret: %w", err).At(s.place)
		}
		if len(b) > maxSecret {
			return "", fault.New(fault.Unauthorized, "spec.secret", "the secret's file %s has more than %d bytes", s.ref, maxSecret).At(s.place)
		}
		v := strings.TrimRight(string(b), " \t\r\n")
		if v == "" {
			return "", fault.New(fault.Unauthorized, "spec.secret", "the secret's file %s is empty", s.ref).At(s.place)
		}
		return v, nil
	}
}

// Place is where the secret stands in the pipeline file.
func (s Secret) Place() string { return s.place }

const masked = "***"

// String returns "***".
func (s Secret) String() string { return masked }

// Format writes "***" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, masked) }

// GoString returns "***".
func (s Secret) GoString() string { return masked }

// MarshalJSON returns "***".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// LogValue returns "***".
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

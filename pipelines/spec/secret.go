package spec

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// Sources of a [Secret].
const (
	secretEnv   = "env"
	secretFile  = "file"
	secretPlain = "plain"
)

// maxSecret is the most bytes of a secret's file.
const maxSecret = 64 << 10

// Secret is a reference to a secret. The zero value is no secret. It never shows what it refers to.
type Secret struct {
	source, ref string
	place       string
	env         func(string) (string, bool)
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.source == "" }

// Resolve reads the secret. It is read anew at each call, so that a rotated file or variable is seen. White space at the end
// of a file, which editors add, is cut.
func (s Secret) Resolve() (string, error) {
	switch s.source {
	case "":
		return "", nil
	case secretPlain:
		return s.ref, nil
	case secretEnv:
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

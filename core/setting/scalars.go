package setting

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a number of bytes, written with a unit: 5MiB, 64KiB, 10MB, 0B.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// ParseBytes reads a size: a whole number and a unit, without a space.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			break
		}
		if int64(n) > math.MaxInt64/u.size {
			return 0, fmt.Errorf("%s is too large a size", quote(s))
		}
		return Bytes(int64(n) * u.size), nil
	}
	return 0, fmt.Errorf("%s is not a size: want a whole number and a unit such as 5MiB or 64KiB", quote(s))
}

// String writes the size with the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// About writes the size for people, in three digits: 1.46KiB.
func (b Bytes) About() string {
	for _, u := range byteUnits[:4] {
		if whole := int64(b) / u.size; whole > 0 && int64(b)%u.size != 0 {
			return strconv.FormatFloat(float64(b)/float64(u.size), 'f', max(0, 3-len(strconv.FormatInt(whole, 10))), 64) + u.name
		} else if whole > 0 {
			break
		}
	}
	return b.String()
}

// Duration is a span of time, written as in Go with d for days of 24 hours: 500ms, 60s, 1h30m, 7d.
type Duration time.Duration

// ParseDuration reads a duration; it is never negative.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf("%s is not a duration: want a number and a unit such as 500ms, 60s, 1h or 7d", quote(s))
	var days time.Duration
	rest := s
	if d, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(d, 10, 32)
		if err != nil || n > 100_000 {
			return 0, bad
		}
		days, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return Duration(days), nil
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 || v > math.MaxInt64-days || strings.ContainsAny(rest, "+-") || rest == "0" {
		return 0, bad
	}
	return Duration(days + v), nil
}

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes whole days as d and everything else as Go does.
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	switch {
	case d != 0 && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	default:
		s := time.Duration(d).String()
		if strings.HasSuffix(s, "m0s") {
			s = s[:len(s)-2]
		}
		if strings.HasSuffix(s, "h0m") {
			s = s[:len(s)-2]
		}
		return s
	}
}

// Value is a free-form value as JSON; nil if absent. Keys keep the order of the file, numbers their text.
type Value json.RawMessage

// MarshalJSON returns the value itself.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	return v, nil
}

// Pairs is a mapping of names to text, in the order of the file.
type Pairs []Pair

// Pair is one entry of a mapping.
type Pair struct {
	Name, Value string
	// Place is where the value stands in the file.
	Place string
}

// SecretPairs is a mapping of names to text or secrets, in the order of the file.
type SecretPairs []SecretPair

// SecretPair is one entry of such a mapping.
type SecretPair struct {
	Name  string
	Value Secret
	// Place is where the value stands in the file.
	Place string
}

// quote quotes a value for a message; a long one is cut.
func quote(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

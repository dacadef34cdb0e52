package codec

import (
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// Levels of gzip and zip: MinLevel is the fastest, MaxLevel the smallest.
const (
	MinLevel     = 1
	MaxLevel     = 9
	DefaultLevel = 6
)

// Names lists the compressions in the order in which documentation shows them.
func Names() []string { return []string{"none", "gzip", "zip", "snappy"} }

// ByName returns the compression that pipeline files call name. level is 1 to 9 for gzip and zip, and 0 for the default,
// which is 6; none and snappy have no levels, so there it must be 0.
func ByName(name string, level int) (Compression, error) {
	if !slices.Contains(Names(), name) {
		return nil, fault.New(fault.Permanent, "codec.unknown_compression", "there is no compression %q", name).
			WithHint("one of: %s", strings.Join(Names(), ", "))
	}
	deflates := name == "gzip" || name == "zip"
	if !deflates && level != 0 {
		return nil, fault.New(fault.Permanent, "codec.no_levels", "compression %s has no levels, level is %d", name, level).
			WithHint("leave the level out")
	}
	if level == 0 {
		level = DefaultLevel
	}
	if level < MinLevel || level > MaxLevel {
		return nil, fault.New(fault.Permanent, "codec.bad_level", "compression level of %s is %d", name, level).
			WithHint("from %d (fast) to %d (small)", MinLevel, MaxLevel)
	}
	switch name {
	case "gzip":
		return gzipped{level}, nil
	case "zip":
		return zipped{level}, nil
	case "snappy":
		return snappied{}, nil
	}
	return plain{}, nil
}

// plain is no compression.
type plain struct{}

func (plain) Name() string                                      { return "none" }
func (plain) Extension() string                                 { return "" }
func (plain) Headers(contentType string) (typ, encoding string) { return contentType, "" }
func (plain) AppendHeader(dst []byte, _ string) []byte          { return dst }
func (plain) AppendBlock(dst, block []byte) []byte              { return append(dst, block...) }
func (plain) AppendTrailer(dst []byte, _ string, _ Sum) []byte  { return dst }

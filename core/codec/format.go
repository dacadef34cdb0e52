package codec

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
)

// Format makes an object's content from records. It has no state: its methods may be called concurrently.
type Format interface {
	// Name is the name in pipeline files.
	Name() string
	// ContentType is the type of the uncompressed content.
	ContentType() string
	// Append appends the record with this data to dst. If it returns an error, which is Permanent, dst is unchanged and the
	// record cannot be written in this format.
	Append(dst, data []byte) ([]byte, error)
}

// FormatNames lists the formats in the order in which documentation shows them.
func FormatNames() []string { return []string{"json_lines", "lines", "raw"} }

// FormatByName returns a format:
//
//   - json_lines: each record is one JSON text of any kind, and becomes one line. White space around it is dropped. It is
//     compacted if it has line breaks, and otherwise stays as it is, byte for byte.
//   - lines: each record becomes a line: its data and a newline unless it ends with one. Newlines inside the data stay, so
//     such a record becomes several lines; an empty record becomes an empty line.
//   - raw: the data of the records, one after the other.
func FormatByName(name string) (Format, error) {
	switch name {
	case "json_lines":
		return jsonLines{}, nil
	case "lines":
		return lines{}, nil
	case "raw":
		return raw{}, nil
	}
	return nil, fault.New(fault.Permanent, "codec.unknown_format", "there is no format %q", name).
		WithHint("one of: %s", strings.Join(FormatNames(), ", "))
}

type jsonLines struct{}

func (jsonLines) Name() string        { return "json_lines" }
func (jsonLines) ContentType() string { return "application/x-ndjson" }

func (jsonLines) Append(dst, data []byte) ([]byte, error) {
	data = bytes.Trim(data, " \t\r\n")
	if !validJSON(data) {
		return dst, invalidJSON(data)
	}
	// A carriage return alone also ends a line for some readers.
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		dst = slices.Grow(dst, len(data)+1)
		return append(append(dst, data...), '\n'), nil
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, data); err != nil {
		return dst, invalidJSON(data)
	}
	return append(out.Bytes(), '\n'), nil
}

// invalidJSON says what is wrong with data, which validJSON has refused.
func invalidJSON(data []byte) error {
	const hint = "the formats lines and raw take any data"
	if len(data) == 0 {
		return fault.New(fault.Permanent, "codec.invalid_json", "the record is empty, not JSON").WithHint(hint)
	}
	var value json.RawMessage
	err := json.Unmarshal(data, &value)
	switch syntax, ok := err.(*json.SyntaxError); {
	case ok:
		return fault.New(fault.Permanent, "codec.invalid_json",
			"the record is not JSON: byte %d: %w", syntax.Offset, err).WithHint(hint)
	case !utf8.Valid(data):
		return fault.New(fault.Permanent, "codec.invalid_json", "the record is not JSON: it is not UTF-8").WithHint(hint)
	case err != nil:
		return fault.New(fault.Permanent, "codec.invalid_json", "the record is not JSON: %w", err).WithHint(hint)
	}
	return fault.New(fault.Permanent, "codec.invalid_json", "the record is not JSON").WithHint(hint)
}

type lines struct{}

func (lines) Name() string        { return "lines" }
func (lines) ContentType() string { return "text/plain; charset=utf-8" }

func (lines) Append(dst, data []byte) ([]byte, error) {
	dst = slices.Grow(dst, len(data)+1)
	dst = append(dst, data...)
	if len(data) == 0 || data[len(data)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst, nil
}

type raw struct{}

func (raw) Name() string        { return "raw" }
func (raw) ContentType() string { return "application/octet-stream" }

func (raw) Append(dst, data []byte) ([]byte, error) { return append(dst, data...), nil }

package builtin

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// formatOf tells a reference's format by the end of its name; empty if it says nothing. An additional .gz does not matter.
func formatOf(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	switch path.Ext(strings.ReplaceAll(name, `\`, "/")) {
	case ".csv", ".tsv":
		return "csv"
	case ".json", ".jsonl", ".ndjson":
		return "json"
	case ".parquet":
		return "parquet"
	}
	return ""
}

// isTabbed reports whether a name is that of values between tabs.
func isTabbed(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".tsv")
}

// referenceFormat is how a reference is read.
type referenceFormat struct {
	name      string
	delimiter rune
	infer     bool
}

// read makes a table of a reference of so many bytes.
func (f referenceFormat) read(from io.ReaderAt, size int64, shape tableShape) (*table, error) {
	if f.name == "parquet" {
		return readParquet(from, size, shape)
	}
	text, err := unzipped(io.NewSectionReader(from, 0, size), shape.most)
	if err != nil {
		return nil, err
	}
	if f.name == "csv" {
		return f.readCSV(text, shape)
	}
	return readJSON(text, shape)
}

// unzipped unpacks text that is compressed with gzip. More than four times the memory of the table is refused.
func unzipped(from io.Reader, most int64) (io.Reader, error) {
	text := bufio.NewReaderSize(from, 64<<10)
	start, err := text.Peek(3)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if magic(start) != "gzip" {
		return &boundedReader{text, 4 * most, most}, nil
	}
	z, err := gzip.NewReader(text)
	if err != nil {
		return nil, err
	}
	return &boundedReader{z, 4 * most, most}, nil
}

// boundedReader fails beyond a number of bytes.
type boundedReader struct {
	io.Reader
	left, most int64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return n, errTableTooLarge{r.most}
	}
	return n, err
}

// readCSV reads rows below a header.
func (f referenceFormat) readCSV(text io.Reader, shape tableShape) (*table, error) {
	in := bufio.NewReader(text)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		if _, err := in.Discard(3); err != nil {
			return nil, err
		}
	}
	rows := csv.NewReader(in)
	rows.Comma, rows.ReuseRecord = f.delimiter, true
	header, err := rows.Read()
	if err == io.EOF {
		return nil, errNoRows
	} else if err != nil {
		return nil, err
	}
	names := slices.Clone(header)
	b := newTableBuilder(shape)
	if err := b.hasColumns(names); err != nil {
		return nil, err
	}
	key := slices.Index(names, shape.key)
	var value []byte
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return b.done()
		} else if err != nil {
			return nil, err
		}
		if row[key] == "" {
			continue
		}
		err = b.add(strings.Clone(row[key]), func(yield func(member) bool) {
			for i, text := range row {
				if value = f.appendValue(value[:0], text); !yield(member{names[i], value}) {
					return
				}
			}
		})
		if err != nil {
			line, _ := rows.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// appendValue makes JSON of a field: a string or, if types are inferred, null, a number or a boolean where it looks like one.
func (f referenceFormat) appendValue(dst []byte, text string) []byte {
	if !f.infer {
		return leatjson.AppendString(dst, text)
	}
	switch text {
	case "":
		return append(dst, "null"...)
	case "true", "false", "null":
		return append(dst, text...)
	}
	if c := text[0]; c == '-' || '0' <= c && c <= '9' {
		if json.Valid([]byte(text)) {
			return append(dst, text...)
		}
	}
	return leatjson.AppendString(dst, text)
}

// keyOfReference is the path of nothing but a key.
func keyOfReference(name string) *jsonpath.Set {
	return jsonpath.NewSet(jsonpath.Path{jsonpath.Key(name)})
}

// readJSON reads an array of objects, or objects one after the other.
func readJSON(text io.Reader, shape tableShape) (*table, error) {
	in := bufio.NewReader(text)
	d := json.NewDecoder(in)
	first, err := firstByte(in)
	if err == io.EOF {
		return nil, errNoRows
	} else if err != nil {
		return nil, err
	}
	if first == '[' {
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	b, set := newTableBuilder(shape), keyOfReference(shape.key)
	var scan jsonpath.Scan
	var keyless []string // the names in the first row without the key
	done := func() (*table, error) {
		if len(b.table.rows) == 0 && keyless != nil {
			return nil, errNoColumn{"key", shape.key, keyless}
		}
		return b.done()
	}
	for n := 1; ; n++ {
		if first == '[' && !d.More() {
			if _, err := d.Token(); err != nil { // it ends without its bracket
				return nil, err
			}
			return done()
		}
		var row json.RawMessage
		if err := d.Decode(&row); err == io.EOF && first != '[' {
			return done()
		} else if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
		if _, ok := scan.Run(set, row); !ok || row[0] != '{' {
			return nil, fmt.Errorf("row %d is not an object", n)
		}
		object, err := leatjson.Get(row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
		key, ok := scan.Values[0].Scalar()
		switch {
		case ok:
		case scan.Values[0].Kind != jsonpath.Missing:
			return nil, fmt.Errorf("row %d: the key %s is an array or an object", n, shape.key)
		case keyless == nil:
			keyless = []string{}
			for k := range object.Members() {
				name, _ := k.AppendText(nil)
				keyless = append(keyless, string(name))
			}
			continue
		default:
			continue
		}
		err = b.add(string(key), func(yield func(member) bool) {
			var name []byte
			for k, v := range object.Members() {
				name, _ = k.AppendText(name[:0])
				if !yield(member{string(name), v.Raw()}) {
					return
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
	}
}

// firstByte returns the first byte that is no white space, which it leaves unread.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, in.UnreadByte()
		}
	}
}

// errNotFlat is the error about a column of Parquet that is not one value a row.
var errNotFlat = errors.New("is a list, a map or a group; only columns of single values can be taken")

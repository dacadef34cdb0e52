package builtin

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// readParquet reads the columns of a file that hold one value a row; asking for another is an error.
func readParquet(from io.ReaderAt, size int64, shape tableShape) (t *table, err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics over some damaged files
			t, err = nil, fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	if err := checkFooter(from, size); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(from, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	var names []string
	var columns []*parquetColumn // those that are read
	for _, c := range file.Root().Columns() {
		names = append(names, c.Name())
		wanted := c.Name() == shape.key || slices.Contains(shape.columns, c.Name())
		switch flat := c.Leaf() && !c.Repeated(); {
		case flat && (wanted || len(shape.columns) == 0):
			columns = append(columns, &parquetColumn{name: c.Name(), leaf: int(c.Index()), logical: c.Type().LogicalType()})
		case !flat && wanted:
			return nil, fmt.Errorf("column %s %w", c.Name(), errNotFlat)
		}
	}
	b := newTableBuilder(shape)
	if err := b.hasColumns(names); err != nil {
		return nil, err
	}
	if file.NumRows() > shape.most/rowOverhead {
		return nil, errTableTooLarge{shape.most}
	}
	for i, group := range file.RowGroups() {
		meta := &file.Metadata().RowGroups[i]
		for _, c := range columns {
			if c.leaf >= len(meta.Columns) {
				return nil, errDamaged
			}
			if err := checkColumn(from, size, &meta.Columns[c.leaf].MetaData, meta.NumRows, shape.most); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.name, err)
			}
		}
		if err := addRows(b, group, columns); err != nil {
			return nil, err
		}
	}
	return b.done()
}

// parquetColumn is a column that is read, value by value.
type parquetColumn struct {
	name    string
	leaf    int
	logical *format.LogicalType
	value   []byte // of the row in work, as JSON

	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    [64]parquet.Value
	ready  []parquet.Value // of buf
}

// next makes c.value that of the next row.
func (c *parquetColumn) next() error {
	for len(c.ready) == 0 {
		if c.values == nil {
			if c.page != nil { // its values have been written
				parquet.Release(c.page)
				c.page = nil
			}
			page, err := c.pages.ReadPage()
			if err != nil {
				return err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.ready = c.buf[:n]
		if err == io.EOF {
			c.values = nil
		} else if err != nil {
			return err
		}
	}
	v := c.ready[0]
	c.ready = c.ready[1:]
	var err error
	c.value, err = c.append(c.value[:0], v)
	return err
}

// addRows adds the rows of a group.
func addRows(b *tableBuilder, group parquet.RowGroup, columns []*parquetColumn) (err error) {
	chunks := group.ColumnChunks()
	for _, c := range columns {
		c.pages, c.values, c.ready = chunks[c.leaf].Pages(), nil, nil
		defer func() {
			if closed := c.pages.Close(); err == nil {
				err = closed
			}
		}()
	}
	for range group.NumRows() {
		var key []byte
		for _, c := range columns {
			if err := c.next(); err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			if c.name == b.key {
				key = keyOf(c.value)
			}
		}
		if len(key) == 0 {
			continue
		}
		if err := b.add(string(key), func(yield func(member) bool) {
			for _, c := range columns {
				if !yield(member{c.name, c.value}) {
					return
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// keyOf returns the text of a value that is a key; nothing for null.
func keyOf(value []byte) []byte {
	var scan jsonpath.Scan
	if _, ok := scan.Run(jsonpath.NewSet(jsonpath.Path{}), value); !ok {
		return nil
	}
	text, _ := scan.Values[0].Scalar()
	return text
}

// append writes a value as JSON: times in RFC 3339, dates as 2006-01-02, decimals as numbers with all their digits, bytes that are not
// UTF-8 in base64.
func (c *parquetColumn) append(dst []byte, v parquet.Value) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	var logical format.LogicalTypeValue
	if c.logical != nil {
		logical = c.logical.Value
	}
	switch l := logical.(type) {
	case *format.DecimalType:
		return appendDecimal(dst, v, int(l.Scale)), nil
	case *format.DateType:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(dst, `"`+time.DateOnly+`"`), nil
	case *format.TimestampType:
		var at time.Time
		switch l.Unit.Value.(type) {
		case *format.MilliSeconds:
			at = time.UnixMilli(v.Int64())
		case *format.MicroSeconds:
			at = time.UnixMicro(v.Int64())
		default:
			at = time.Unix(0, v.Int64())
		}
		return at.UTC().AppendFormat(dst, `"`+time.RFC3339Nano+`"`), nil
	case *format.UUIDType:
		h := hex.EncodeToString(v.ByteArray())
		if len(h) != 32 {
			return nil, fmt.Errorf("a UUID of %d bytes", len(h)/2)
		}
		return append(dst, `"`+h[:8]+"-"+h[8:12]+"-"+h[12:16]+"-"+h[16:20]+"-"+h[20:]+`"`...), nil
	case *format.JsonType:
		if !json.Valid(v.ByteArray()) {
			return nil, fmt.Errorf("a value of type JSON is none")
		}
		return append(dst, bytes.TrimSpace(v.ByteArray())...), nil
	case *format.IntType:
		if !l.IsSigned && v.Kind() == parquet.Int64 {
			return strconv.AppendUint(dst, v.Uint64(), 10), nil
		} else if !l.IsSigned {
			return strconv.AppendUint(dst, uint64(v.Uint32()), 10), nil
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(dst, v.Boolean()), nil
	case parquet.Int32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10), nil
	case parquet.Int64:
		return strconv.AppendInt(dst, v.Int64(), 10), nil
	case parquet.Float:
		return leatjson.AppendFloat(dst, float64(v.Float())), nil
	case parquet.Double:
		return leatjson.AppendFloat(dst, v.Double()), nil
	case parquet.Int96: // nanoseconds of the day, and the Julian day
		i := v.Int96()
		nanos := int64(i[1])<<32 | int64(i[0])
		return time.Unix((int64(i[2])-2440588)*86400, nanos).UTC().AppendFormat(dst, `"`+time.RFC3339Nano+`"`), nil
	}
	if b := v.ByteArray(); utf8.Valid(b) {
		return leatjson.AppendText(dst, b), nil
	} else {
		return leatjson.AppendString(dst, base64.StdEncoding.EncodeToString(b)), nil
	}
}

// appendDecimal writes a number with scale digits after the point.
func appendDecimal(dst []byte, v parquet.Value, scale int) []byte {
	var n big.Int
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default: // two's complement, the highest byte first
		b := v.ByteArray()
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n.Neg(&n)
	}
	digits := n.String()
	for len(digits) <= scale {
		digits = "0" + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst
}

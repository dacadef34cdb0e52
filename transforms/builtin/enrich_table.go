package builtin

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// table is what a reference file says, in memory: rows by their key. It does not change.
type table struct {
	rows map[string][]leatjson.Value
	// columns are the fields that rows give records, in the order of the rows' values; with tableShape.whole there is one, without a name.
	columns []string
	size    int64 // about what it takes, in bytes
	doubled int   // rows whose key a later row has too
}

// tableShape says what a table is made of.
type tableShape struct {
	key     string
	columns []string // those that are taken; empty: all but the key
	whole   bool     // a row is one value, an object
	most    int64    // bytes
}

// maxColumns bounds the columns of a reference.
const maxColumns = 1000

// rowOverhead is about what a row takes besides its bytes: its place in the map, and the headers of its key and values.
const rowOverhead = 128

// errTableTooLarge is the error about a reference that does not fit.
type errTableTooLarge struct{ most int64 }

func (e errTableTooLarge) Error() string {
	return fmt.Sprintf("it takes more than %d MiB of memory", e.most>>20)
}

// tableBuilder makes a table row by row.
type tableBuilder struct {
	tableShape
	table  table
	places map[string]int // of columns
	row    []leatjson.Value
	object []byte
}

func newTableBuilder(shape tableShape) *tableBuilder {
	b := &tableBuilder{tableShape: shape, table: table{rows: map[string][]leatjson.Value{}}, places: map[string]int{}}
	if b.whole {
		b.table.columns = []string{""}
	}
	return b
}

// member is a field of a row: its name, and its value as JSON.
type member struct {
	name string
	json []byte
}

// add adds a row. Its memory is the caller's again afterwards.
func (b *tableBuilder) add(key string, members func(yield func(member) bool)) error {
	b.row, b.object = b.row[:0], append(b.object[:0], '{')
	size := int64(len(key) + rowOverhead)
	var err error
	for m := range members {
		if m.name == b.key || len(b.columns) > 0 && !slices.Contains(b.columns, m.name) {
			continue
		}
		size += int64(len(m.json) + 24)
		if b.table.size+size > b.most {
			return errTableTooLarge{b.most}
		}
		if b.whole {
			if len(b.object) > 1 {
				b.object = append(b.object, ',')
			}
			b.object = append(append(leatjson.AppendString(b.object, m.name), ':'), m.json...)
			size += int64(len(m.name) + 4)
			continue
		}
		if err = b.set(m); err != nil {
			return err
		}
	}
	var row []leatjson.Value
	if b.whole {
		v, err := leatjson.Get(slices.Clone(append(b.object, '}')))
		if err != nil {
			return err
		}
		row = []leatjson.Value{v}
	} else {
		row = slices.Clone(b.row)
	}
	if b.table.size += size; b.table.size > b.most {
		return errTableTooLarge{b.most}
	}
	if _, there := b.table.rows[key]; there {
		b.table.doubled++
	}
	b.table.rows[key] = row
	return nil
}

// set puts a member in its column's place.
func (b *tableBuilder) set(m member) error {
	at, ok := b.places[m.name]
	if !ok {
		if at = len(b.table.columns); at >= maxColumns {
			return fmt.Errorf("it has more than %d columns", maxColumns)
		}
		b.places[m.name] = at
		b.table.columns = append(b.table.columns, m.name)
	}
	for len(b.row) <= at {
		b.row = append(b.row, leatjson.Value{})
	}
	v, err := leatjson.Get(slices.Clone(m.json))
	if err != nil {
		return fmt.Errorf("column %s: %w", m.name, err)
	}
	b.row[at] = v
	return nil
}

// hasColumns reports what a reference with a header lacks.
func (b *tableBuilder) hasColumns(names []string) error {
	if !slices.Contains(names, b.key) {
		return errNoColumn{"key", b.key, names}
	}
	for _, name := range b.columns {
		if !slices.Contains(names, name) {
			return errNoColumn{"columns", name, names}
		}
	}
	if len(names) > maxColumns {
		return fmt.Errorf("it has more than %d columns", maxColumns)
	}
	return nil
}

// errNoColumn is the error about a column that a setting names and the reference does not have.
type errNoColumn struct {
	setting, name string
	has           []string
}

func (e errNoColumn) Error() string {
	const most = 20
	has, more := e.has, ""
	if len(has) > most {
		has, more = has[:most], fmt.Sprintf(" and %d more", len(has)-most)
	}
	return fmt.Sprintf("it has no column %q; it has %q%s", e.name, has, more)
}

// errNoRows is the error about a reference that holds nothing: more likely one that is being written than one that is meant.
var errNoRows = errors.New("it has no rows")

func (b *tableBuilder) done() (*table, error) {
	if len(b.table.rows) == 0 {
		return nil, errNoRows
	}
	return &b.table, nil
}

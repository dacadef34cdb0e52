package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

type kind uint8

const (
	kindString kind = iota
	kindInteger
	kindNumber
	kindDate
)

var kinds = map[string]kind{"": kindString, "string": kindString, "integer": kindInteger, "number": kindNumber, "date": kindDate}

// config is the stage's config in the pipeline file.
type config struct {
	Columns []column `json:"columns"`

	// room is what an object takes at most beside its values, in bytes.
	room int
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`

	kind kind
	// head is what stands before the value in the object: {"name": or ,"name": and, for what is always text, a quote.
	head []byte
	// words are the beginning of head; long means that there is more of it.
	words [4]uint64
	long  bool
	next  *column
	// from and begin are where the field of the current row begins, in line and in buf.
	from, begin int
}

// Validate checks the columns and prepares them. leat calls it before the first row.
func (c *config) Validate() error {
	c.room = 8 + 1 // a word that is written in part behind the last value, and the closing brace
	if len(c.Columns) == 0 {
		return errors.New("columns: name at least one")
	}
	seen := map[string]bool{}
	for i := range c.Columns {
		col := &c.Columns[i]
		k, known := kinds[col.Type]
		switch {
		case col.Name == "":
			return fmt.Errorf("columns[%d]: it has no name", i)
		case seen[col.Name]:
			return fmt.Errorf("columns[%d]: the name %q is taken", i, col.Name)
		case !known:
			return fmt.Errorf("columns[%d] (%s): the type is %q; it must be string, integer, number or date", i, col.Name, col.Type)
		}
		seen[col.Name] = true
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		col.kind, col.head = k, append(leatjson.AppendString([]byte{open}, col.Name), ':')
		if k == kindString {
			col.head = append(col.head, '"')
		}
		var first [8 * len(col.words)]byte
		copy(first[:], col.head)
		for w := range col.words {
			col.words[w] = binary.LittleEndian.Uint64(first[8*w:])
		}
		col.long = len(col.head) > len(first)
		if i > 0 {
			c.Columns[i-1].next = col
		}
		c.room += len(first)
		c.room += len(col.head) + len("null") + 2
	}
	return nil
}

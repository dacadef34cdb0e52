package main

import (
	"encoding/json"
	"errors"
	"fmt"
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

	// room is what the names of an object take, and the quotes of its values, in bytes.
	room int
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`

	kind kind
	// prefix is what stands before the value in the object: {"name": or ,"name":
	prefix []byte
}

// Validate checks the columns and prepares them. leat calls it before the first row.
func (c *config) Validate() error {
	c.room = 1 // the closing brace
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
		name, err := json.Marshal(col.Name)
		if err != nil {
			return err
		}
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		col.kind, col.prefix = k, append(append([]byte{open}, name...), ':')
		c.room += len(col.prefix) + len("null") + 2
	}
	return nil
}

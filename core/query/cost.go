package query

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/bits"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	// maxWork is how many values one native may look at: some 10 ns each.
	maxWork = 1 << 26
	// maxNodes and maxText bound the values that natives walk through, in values and bytes: what is in a value at several places counts
	// for each, as ([.,.] | [.,.] | …) makes very many of them.
	maxNodes, maxText = 8 << 20, 1 << 29
	// maxDepth is how deep arrays and objects may be within each other, because natives follow them on the stack.
	maxDepth = 10_000
	// maxBits is the largest integer that a multiplication makes.
	maxBits = 1 << 18
)

var (
	errWork  = errors.New("a step of the query would take too long")
	errLarge = errors.New("a value is too large for one step of the query")
	errDeep  = errors.New("a value is nested too deeply for one step of the query")
)

// cost is what it takes to walk through a value: how many values are in it, and the bytes of text that they are in JSON.
type cost struct{ nodes, text int }

func costOf(v any) (cost, error) {
	var c cost
	return c, c.add(v, 0)
}

// add is called through costOf.
func (c *cost) add(v any, depth int) error {
	c.nodes++
	switch {
	case c.nodes > maxNodes || c.text > maxText:
		return errLarge
	case depth > maxDepth:
		return errDeep
	}
	switch v := v.(type) {
	case string:
		c.text += quoted(v)
	case json.Number:
		c.text += len(v)
	case *big.Int:
		c.text += v.BitLen()/3 + 2
	case []any:
		c.text += len(v) + 2
		for _, e := range v {
			if err := c.add(e, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		c.text += 2*len(v) + 2
		for k, e := range v {
			c.text += quoted(k)
			if err := c.add(e, depth+1); err != nil {
				return err
			}
		}
	default:
		c.text += 24
	}
	return nil
}

// quoted is the size of a text in JSON.
func quoted(s string) int {
	n := len(s) + 2
	for i := range len(s) {
		switch b := s[i]; {
		case b < ' ' || b == 0x7f:
			n += 5
		case b == '"' || b == '\\':
			n++
		}
	}
	if !utf8.ValidString(s) {
		n += 5 * len(s)
	}
	return n
}

// units is how much work it is to compare with a value.
func (c cost) units() int { return c.nodes + c.text/16 }

// work returns an error if a native would take too long that does so much, times over.
func work(units, times int) error {
	if over, n := bits.Mul64(uint64(units), uint64(times)); over > 0 || n > maxWork {
		return errWork
	}
	return nil
}

// compares returns an error if it would take too long to compare each of a with each of b.
func compares(a, b any, na, nb int) error {
	ca, err := costOf(a)
	if err == nil && work(ca.units(), nb) == nil {
		return nil
	}
	return comparesOne(b, na)
}

// comparesOne returns an error if it would take too long to compare a value so many times.
func comparesOne(v any, times int) error {
	c, err := costOf(v)
	if err != nil {
		return err
	}
	return work(c.units(), times)
}

// sorts returns an error if it would take too long or too much memory to sort by keys.
func (g *Guard) sorts(keys any) error {
	all, ok := keys.([]any)
	if !ok {
		return nil // gojq says so
	}
	c, err := costOf(keys)
	if err != nil {
		return err
	}
	if err := work(c.units(), 20+bits.Len(uint(len(all)))); err != nil {
		return err
	}
	return g.room(128 * len(all))
}

// writes returns an error if JSON of a value, and so many times its size, would take too much memory.
func (g *Guard) writes(v any, times int) error {
	c, err := costOf(v)
	if err != nil {
		return err
	}
	return g.room((3 + times) * c.text) // the buffer doubles as it grows
}

// Marshal returns a value as JSON, as jq writes it.
func (g *Guard) Marshal(v any) ([]byte, error) {
	if err := g.writes(v, 0); err != nil {
		return nil, err
	}
	return gojq.Marshal(v)
}

package query

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	// What the elements of arrays and objects take at most while those grow, in bytes.
	arrayGrows, objectGrows = 36, 100
	// element is what an element of an array takes.
	element = 16
	// small is a size, in bytes, that is not worth a question.
	small = 256
)

// check returns an error if a native must not run: one step of gojq would take too long or make too much.
type check = func(g *Guard, v any, args []any) error

// checks are of all natives whose time or memory grows faster than what they are given, or that make text or arrays at once.
var checks = map[string]check{
	"_add":      func(g *Guard, _ any, args []any) error { return g.adds(args[0], args[1]) },
	"_multiply": func(g *Guard, _ any, args []any) error { return g.multiplies(args[0], args[1]) },
	"_subtract": func(_ *Guard, _ any, args []any) error {
		l, ok := args[0].([]any)
		r, ok2 := args[1].([]any)
		if !ok || !ok2 {
			return nil
		}
		return compares(l, r, len(l), len(r))
	},
	"_divide": func(g *Guard, _ any, args []any) error { return g.splits(args[0], args[1]) },
	"split":   func(g *Guard, v any, args []any) error { return g.splits(v, args[0]) },

	"_equal": compared, "_notequal": compared, "_less": compared, "_greater": compared, "_lesseq": compared, "_greatereq": compared,
	"sort": sorted, "unique": sorted, "min": sorted, "max": sorted,
	"_sort_by": sortedBy, "_unique_by": sortedBy, "_group_by": sortedBy, "_min_by": sortedBy, "_max_by": sortedBy,
	"contains": func(_ *Guard, v any, args []any) error { return contains(v, args[0]) },
	"inside":   func(_ *Guard, v any, args []any) error { return contains(args[0], v) },
	"bsearch":  func(_ *Guard, _ any, args []any) error { return comparesOne(args[0], 64) },

	"add":  func(g *Guard, v any, _ []any) error { return g.sum(v, 0) },
	"join": func(g *Guard, v any, args []any) error { s, _ := args[0].(string); return g.sum(v, len(s)) },
	"tostring": func(g *Guard, v any, _ []any) error {
		if _, ok := v.(string); ok {
			return nil
		}
		return g.writes(v, 0)
	},
	"tojson": writes(0), "_tohtml": writes(6), "_touri": writes(6), "_tourid": writes(2), "_tobase64": writes(3), "_tobase64d": writes(2),
	"_tocsv": writes(8), "_totsv": writes(8), "_tosh": writes(8), "format": writes(8),
	"ascii_downcase": writes(0), "ascii_upcase": writes(0),
	"strftime": formats, "strflocaltime": formats,

	"explode": makes(1, 24), "implode": makes(1, 8), "keys": makes(48, 48), "reverse": makes(element, element), "transpose": transposes,
	"flatten": func(g *Guard, v any, _ []any) error {
		c, err := costOf(v)
		if err != nil {
			return err
		}
		return g.room(arrayGrows * c.nodes)
	},
	"setpath": setsPath, "_setpath": setsPath, "delpaths": deletesPaths, "_delpaths": deletesPaths,
	"jn": bessel, "yn": bessel,
}

func compared(_ *Guard, _ any, args []any) error {
	for _, v := range args[:2] {
		switch v.(type) {
		case []any, map[string]any:
			few := cost{nodes: maxNodes - 1000}
			if few.add(v, 0) == nil { // no matter what it is compared with
				return nil
			}
		default:
			return nil
		}
	}
	return compares(args[0], args[1], 1, 1)
}

func sorted(g *Guard, v any, _ []any) error      { return g.sorts(v) }
func sortedBy(g *Guard, _ any, args []any) error { return g.sorts(args[0]) }

func contains(v, part any) error {
	if _, ok := v.(string); ok {
		return nil
	}
	a, err := costOf(v)
	if err != nil {
		return err
	}
	b, err := costOf(part)
	if err != nil {
		return err
	}
	return work(a.units(), b.units())
}

func (g *Guard) adds(l, r any) error {
	switch l := l.(type) {
	case string:
		r, _ := r.(string)
		return g.room(len(l) + len(r))
	case []any:
		r, _ := r.([]any)
		return g.room(element * (len(l) + len(r)))
	case map[string]any:
		r, _ := r.(map[string]any)
		return g.room(objectGrows * (len(l) + len(r)))
	}
	return nil
}

func (g *Guard) multiplies(l, r any) error {
	if m, ok := l.(map[string]any); ok {
		if n, ok := r.(map[string]any); ok {
			var c cost
			if err := c.merge(m, n, 0); err != nil {
				return err
			}
			return g.room(objectGrows * c.nodes)
		}
	}
	text, ok := l.(string)
	if !ok {
		text, ok = r.(string)
		r = l
	}
	if !ok {
		if bitsOf(l)+bitsOf(r) > maxBits {
			return errWork
		}
		return nil
	}
	if times, ok := gojq.ToFloat64(r); ok && times > 0 {
		return g.room(int(min(times*float64(len(text)), math.MaxInt32)))
	}
	return nil
}

// bitsOf is the size of a number if it is an integer.
func bitsOf(v any) int {
	switch v := v.(type) {
	case *big.Int:
		return v.BitLen()
	case json.Number:
		return 4 * len(v)
	}
	return 64
}

// merge adds what it takes to merge objects, and those in them.
func (c *cost) merge(l, r map[string]any, depth int) error {
	c.nodes += len(l) + len(r)
	if c.nodes > maxNodes {
		return errLarge
	}
	if depth > maxDepth {
		return errDeep
	}
	for k, v := range r {
		if v, ok := v.(map[string]any); ok {
			if w, ok := l[k].(map[string]any); ok {
				if err := c.merge(w, v, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (g *Guard) splits(v, by any) error {
	text, ok := v.(string)
	sep, ok2 := by.(string)
	if !ok || !ok2 || len(text) <= small {
		return nil
	}
	return g.room(48 * (1 + strings.Count(text, sep)))
}

// sum is about adding the elements of an array or object, with so many bytes between them.
func (g *Guard) sum(v any, between int) error {
	n := 0
	each := func(v any) {
		switch v := v.(type) {
		case string:
			n += 3 * len(v)
		case []any:
			n += arrayGrows * len(v)
		case map[string]any:
			n += objectGrows * len(v)
		}
		n += 24 + 3*between
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			each(e)
		}
	case map[string]any:
		for _, e := range v {
			each(e)
		}
	}
	return g.room(n)
}

// writes is about text that is made of a value as JSON, or of its text, and is so many times as long.
func writes(times int) check {
	return func(g *Guard, v any, _ []any) error {
		if text, ok := v.(string); ok {
			return g.room((6 + times) * len(text))
		}
		return g.writes(v, times)
	}
}

func formats(g *Guard, _ any, args []any) error {
	format, _ := args[0].(string)
	return g.room(2*len(format) + 2048*strings.Count(format, "%")) // fields are at most 1024 wide
}

// makes is about as many bytes for each element, or byte of text.
func makes(perElement, perByte int) check {
	return func(g *Guard, v any, _ []any) error {
		switch v := v.(type) {
		case string:
			return g.room(perByte * len(v))
		case []any:
			return g.room(max(perElement, 8) * len(v))
		case map[string]any:
			return g.room(perElement * len(v))
		}
		return nil
	}
}

func transposes(g *Guard, v any, _ []any) error {
	rows, _ := v.([]any)
	longest := 0
	for _, row := range rows {
		row, _ := row.([]any)
		longest = max(longest, len(row))
	}
	return g.room(element*len(rows)*longest + 64*longest)
}

// setsPath is about the elements before that which is set.
func setsPath(g *Guard, v any, args []any) error {
	path, _ := args[0].([]any)
	if len(path) > maxDepth {
		return errDeep
	}
	for _, at := range path {
		switch key := at.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[key]
		case map[string]any: // a part of an array, which is copied
			array, _ := v.([]any)
			if err := g.room(2 * element * len(array)); err != nil {
				return err
			}
			v = nil
		default:
			i, _ := gojq.ToInt(at)
			array, _ := v.([]any)
			if v = nil; i >= len(array) {
				if err := g.room(element * (min(i, math.MaxInt32) + 1 + len(array))); err != nil {
					return err
				}
			} else if i >= 0 {
				v = array[i]
			}
		}
	}
	return nil
}

func deletesPaths(g *Guard, v any, args []any) error {
	paths, _ := args[0].([]any)
	if len(paths) == 0 {
		return nil
	}
	for _, path := range paths {
		if path, ok := path.([]any); ok && len(path) > maxDepth {
			return errDeep
		}
	}
	if _, err := costOf(v); err != nil {
		return err
	}
	return g.sorts(paths)
}

// bessel is about jn and yn, which take as long as both arguments are large.
func bessel(_ *Guard, _ any, args []any) error {
	n, _ := gojq.ToFloat64(args[0])
	x, _ := gojq.ToFloat64(args[1])
	if min(math.Abs(n), math.Abs(x)) > 1e7 && !math.IsInf(x, 0) {
		return errWork
	}
	return nil
}

// positions returns a native that finds text in text: gojq makes arrays of both.
func positions(find func(g *Guard, text, part string) any) own {
	return func(g *Guard, plain native, v any, args []any) any {
		text, ok := v.(string)
		part, ok2 := args[0].(string)
		if ok && ok2 && part != "" && utf8.ValidString(text) && utf8.ValidString(part) {
			return find(g, text, part)
		}
		if err := searches(g, v, args[0]); err != nil {
			return err
		}
		return plain(v, args)
	}
}

// searches is about finding elements in an array, or text that is not UTF-8.
func searches(g *Guard, v, part any) error {
	switch v := v.(type) {
	case []any:
		if err := g.room(arrayGrows * len(v)); err != nil {
			return err
		}
		return comparesOne(part, len(v))
	case string:
		part, _ := part.(string)
		if err := g.room(24 * (len(v) + len(part))); err != nil {
			return err
		}
		return work(len(v), len(part))
	}
	return nil
}

func position(g *Guard, text string, at int) any {
	if at < 0 {
		return nil
	}
	return g.runes(text).at(at)
}

func indices(g *Guard, text, part string) any {
	all, r := []any{}, g.runes(text)
	for from := 0; ; {
		at := strings.Index(text[from:], part)
		if at < 0 {
			return all
		}
		if err := g.ask(); err != nil {
			return err
		}
		if err := g.room(arrayGrows + 8); err != nil {
			return err
		}
		from += at
		all = append(all, r.at(from))
		_, width := utf8.DecodeRuneInString(text[from:])
		from += width
	}
}

// toNumber is tonumber, and fromJSON fromjson: numbers of too many digits are rounded, as Decode does.
func toNumber(_ *Guard, plain native, v any, args []any) any {
	if text, ok := v.(string); ok && len(text) > maxDigits && strings.Trim(text, "0123456789.eE+-") == "" {
		if f, err := strconv.ParseFloat(text, 64); err == nil || math.IsInf(f, 0) {
			return f
		}
	}
	return plain(v, args)
}

func fromJSON(g *Guard, plain native, v any, args []any) any {
	text, ok := v.(string)
	if !ok || len(text) <= small {
		return plain(v, args)
	}
	parts := 0
	for _, c := range ",:[{" {
		parts += strings.Count(text, string(c))
	}
	if err := g.room(3*len(text) + 64*parts); err != nil {
		return fmt.Errorf("fromjson of %d bytes: %w", len(text), err)
	}
	return rounded(plain(v, args))
}

// rounded replaces numbers of too many digits in a value that nobody else has.
func rounded(v any) any {
	switch v := v.(type) {
	case json.Number:
		if len(v) > maxDigits {
			return number([]byte(v))
		}
	case []any:
		for i, e := range v {
			v[i] = rounded(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = rounded(e)
		}
	}
	return v
}

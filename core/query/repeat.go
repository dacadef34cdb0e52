package query

import (
	"fmt"
	"math/big"
	"reflect"

	"github.com/itchyny/gojq"
)

// Text times a number is that text so many times over, which gojq makes in one step of up to 2 GiB, where no guard looks. So each
// multiplication asks before.

// maxRepeated is the longest text, in bytes, that a multiplication makes.
const maxRepeated = 16 << 20

// A multiplication becomes the first of these, *= the second; gojq evaluates the right side first.
const (
	multiply       = `(leat_right) as $leat_r | (leat_left) as $leat_l | leat_repeat($leat_l; $leat_r) | $leat_l * $leat_r`
	multiplyUpdate = `(leat_right) as $leat_r | (leat_left) |= (leat_repeat(.; $leat_r) as $leat_n | . * $leat_r)`
)

var withRepeat = gojq.WithFunction("leat_repeat", 2, 2, func(_ any, args []any) any {
	text, ok := args[0].(string)
	times := args[1]
	if !ok {
		if text, ok = args[1].(string); !ok {
			return nil
		}
		times = args[0]
	}
	var n float64
	switch t := times.(type) {
	case int:
		n = float64(t)
	case float64:
		n = t
	case *big.Int:
		n, _ = new(big.Float).SetInt(t).Float64()
	case interface{ Float64() (float64, error) }: // json.Number
		n, _ = t.Float64() // out of range is ±Inf
	default:
		return nil
	}
	if n*float64(len(text)) > maxRepeated {
		return fmt.Errorf("text of %d bytes, %v times, is more than %d MiB", len(text), n, maxRepeated>>20)
	}
	return nil
})

// guardRepeats has each multiplication in a query ask before.
func guardRepeats(q *gojq.Query) error {
	var failed error
	walk(reflect.ValueOf(q), func(q *gojq.Query) {
		text := multiply
		switch q.Op {
		case gojq.OpMul:
		case gojq.OpUpdateMul:
			text = multiplyUpdate
		default:
			return
		}
		with, err := gojq.Parse(text)
		if err != nil {
			failed = err
			return
		}
		left, right := q.Left, q.Right
		walk(reflect.ValueOf(with), func(hole *gojq.Query) {
			if hole.Term == nil || hole.Term.Type != gojq.TermTypeFunc {
				return
			}
			switch hole.Term.Func.Name {
			case "leat_left":
				*hole = *left
			case "leat_right":
				*hole = *right
			}
		})
		with.Meta, with.Imports, with.FuncDefs = q.Meta, q.Imports, q.FuncDefs
		*q = *with
	})
	return failed
}

// walk calls visit for each query within v, the inner ones first.
func walk(v reflect.Value, visit func(*gojq.Query)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		walk(v.Elem(), visit)
		if q, ok := v.Interface().(*gojq.Query); ok {
			visit(q)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	}
}

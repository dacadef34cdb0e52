package query

import (
	"reflect"
	"strings"
	"unsafe"

	"github.com/itchyny/gojq"
)

// Code is a compiled query. Goroutines may share it.
type Code struct{ plain *gojq.Code }

// native is a function of jq that is written in Go. It returns an error to fail.
type native = func(v any, args []any) any

// bind returns a copy of compiled code with other natives: with returns what stands for one.
//
// gojq asks its context between natives and not within them, gives it to none, and has no option to replace one: functions that a
// program adds come after its own, and operators, assignments and what is defined in jq call natives directly. So this reaches into the
// compiled code, where each call of a native is [3]any{function, number of arguments, name}.
func bind(plain *gojq.Code, with func(name string, plain native) native) *gojq.Code {
	bound := *plain
	codes := private(reflect.ValueOf(&bound).Elem(), "codes")
	steps := reflect.MakeSlice(codes.Type(), codes.Len(), codes.Len())
	reflect.Copy(steps, codes)
	for i := range steps.Len() {
		call, ok := private(steps.Index(i).Elem(), "v").Interface().([3]any)
		if !ok {
			continue
		}
		call[0] = with(call[2].(string), call[0].(native))
		step := reflect.New(steps.Type().Elem().Elem())
		step.Elem().Set(steps.Index(i).Elem())
		private(step.Elem(), "v").Set(reflect.ValueOf(call))
		steps.Index(i).Set(step)
	}
	codes.Set(steps)
	return &bound
}

// private is a field of a struct of another package, to be read and set.
func private(of reflect.Value, name string) reflect.Value {
	f := of.FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// own is a guard's own native. It gets that of gojq.
type own = func(g *Guard, plain native, v any, args []any) any

// owns are natives that take the place of gojq's.
var owns = map[string]own{
	"_match":   (*Guard).match,
	"_slice":   (*Guard).slice,
	"_index":   (*Guard).index,
	substitute: (*Guard).substitute,
	"indices":  positions(indices),
	"index":    positions(func(g *Guard, text, part string) any { return position(g, text, strings.Index(text, part)) }),
	"rindex":   positions(func(g *Guard, text, part string) any { return position(g, text, strings.LastIndex(text, part)) }),
	"tonumber": toNumber,
	"fromjson": fromJSON,
}

// code returns the query with natives that ask this guard.
func (g *Guard) code(c *Code) *gojq.Code {
	bound := g.codes[c]
	if bound == nil {
		bound = bind(c.plain, func(name string, plain native) native {
			own, check := owns[name], checks[name]
			switch {
			case own != nil:
				return func(v any, args []any) any { return own(g, plain, v, args) }
			case check != nil:
				return func(v any, args []any) any {
					if err := check(g, v, args); err != nil {
						return err
					}
					return plain(v, args)
				}
			}
			return plain
		})
		if g.codes == nil {
			g.codes = map[*Code]*gojq.Code{}
		}
		g.codes[c] = bound
	}
	return bound
}

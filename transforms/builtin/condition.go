package builtin

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

const (
	// maxCondition is the most bytes of a condition's text.
	maxCondition = 16 << 10
	// maxSteps is how many elements a condition may look at, over all its loops: about half a second.
	maxSteps = 1_000_000
)

// conditionText is the part of reference pages that says what a condition is.
const conditionText = "A condition is an expression of [Expr](https://expr-lang.org/docs/language-definition). Its names are those of the record's " +
	"JSON fields: `status`, `user.id`, `tags[0]`, `user[\"odd key\"]`. A field that is missing, or that lies in something missing, is `nil`. " +
	"Whole numbers are integers as far as 64 bits hold them. Names that do not come from the JSON: `_key` (the partition key), `_attrs` (a map " +
	"of attributes), `_arrived` (the time of arrival), `_data` (the data as text), `_size` (its bytes), `_shard`, `_seq`, `_sub`; and `_record`, the whole " +
	"JSON value, as in `_record[\"odd key\"]`. A condition without names of JSON fields takes records of any form. " +
	"An operator that gets what it does not work on, such as `nil > 3` or `\"a\" > 3`, fails the record: `(status ?? 0) > 3` does not. " +
	"Loops (`any`, `all`, `filter`, …) look at a million elements a record at most; `reduce` and `repeat` are not there."

// condition is a compiled expression that a record meets or does not. It does not change.
type condition struct {
	program *vm.Program
	json    bool // it has names of JSON fields
}

// conditions are conditions on the same record: one scan finds the fields of all. They do not change once they are compiled.
type conditions struct {
	list []condition
	set  *jsonpath.Set
	// names are what the programs call the values of the set's paths; meta are the other names that they use.
	names, meta []string
}

// add compiles the expression that stands in the setting key.
func (c *conditions) add(n *setting.Node, key, code, text string) *fault.Error {
	if len(text) > maxCondition {
		return invalid(n, key, code, "%s has %d bytes; at most %d are allowed", key, len(text), maxCondition)
	}
	types := maps.Clone(metaTypes)
	types[steps] = new(int)
	find := &finder{}
	program, err := expr.Compile(text, expr.Env(types), expr.AllowUndefinedVariables(), expr.MaxNodes(2000),
		expr.DisableBuiltin("repeat"), expr.Patch(find),
		expr.Function("_step", countStep, new(func(*int) bool)))
	if find.err != nil {
		err = find.err
	}
	if err != nil {
		bad := invalid(n, key, code, "%s: %s", key, conditionError(err))
		if at, ok := errors.AsType[*file.Error](err); ok {
			if place, ok := n.PlaceIn(key, text, at.Line, at.Column+1); ok {
				bad = fault.New(fault.Permanent, code, "%s: %s", key, at.Message).At(place)
			}
		}
		if hint := conditionHint(err); hint != "" {
			bad = bad.WithHint("%s", hint)
		}
		return bad
	}
	root := program.Node()
	if t := root.Type(); t != nil && t.Kind() != reflect.Bool && t.Kind() != reflect.Interface {
		return invalid(n, key, code, "%s: it gives a value of type %v, neither true nor false", key, t)
	}
	used := &users{}
	ast.Walk(&root, used)
	one := condition{program: program}
	for _, name := range used.names {
		to := &c.meta
		if _, ok := metaTypes[name]; !ok {
			to, one.json = &c.names, true
		}
		if !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	c.list = append(c.list, one)
	var paths []jsonpath.Path
	for _, name := range c.names {
		path, err := jsonpath.Parse(name)
		if err != nil { // the finder has written it
			return invalid(n, key, code, "%s: %w", key, err)
		}
		paths = append(paths, path)
	}
	c.set = jsonpath.NewSet(paths...)
	return nil
}

// conditionError is an error of expr in one line.
func conditionError(err error) string {
	var at *file.Error
	if errors.As(err, &at) {
		return fmt.Sprintf("%s, at line %d, column %d", at.Message, at.Line, at.Column+1)
	}
	return err.Error()
}

// conditionHint says what to write for what people write who know other languages of conditions: jq, SQL. It is empty for anything else.
func conditionHint(err error) string {
	var at *file.Error
	if !errors.As(err, &at) {
		return ""
	}
	switch at.Message {
	case `unexpected token Operator(".")`:
		return "fields have no dot in front here: status, user.id"
	case `unexpected token Operator("=")`:
		return "compare with =="
	case `unexpected token Identifier("AND")`, `unexpected token Identifier("OR")`:
		return "write and, or, not in small letters, or &&, ||, !"
	}
	return ""
}

// metaTypes are the names that do not come from the record's JSON, with a value of their type.
var metaTypes = map[string]any{
	"_key": "", "_attrs": map[string]any(nil), "_arrived": time.Time{}, "_data": "", "_size": 0, "_shard": "", "_seq": 0, "_sub": 0,
}

// steps is the name of the count of steps, which only what the finder adds to an expression has.
const steps = "_steps"

var errTooManySteps = fmt.Errorf("its loops look at more than %d elements", maxSteps)

func countStep(args ...any) (any, error) {
	n := args[0].(*int)
	if *n++; *n > maxSteps {
		return nil, errTooManySteps
	}
	return true, nil
}

// evaluation is the memory of one goroutine that evaluates conditions.
type evaluation struct {
	scan  jsonpath.Scan
	vm    vm.VM
	env   map[string]any
	steps int
	// loaded says that env has the fields of the record.
	loaded bool
}

func newEvaluation() *evaluation {
	e := &evaluation{env: map[string]any{}}
	e.env[steps] = &e.steps
	return e
}

// Codes of records that no condition can be decided for, after the name of the transform.
const (
	codeNotJSON   = ".not_json"
	codeCondition = ".failed"
)

// conditionCodes describes them.
func conditionCodes(name string) []Code {
	return []Code{
		{name + codeNotJSON, "The record is not one JSON value, and the condition has names of fields."},
		{name + codeCondition, "The condition is neither true nor false for the record: an operator got what it does not work on, or a loop is too long."},
	}
}

// load begins with a record. The fields are looked for when a condition wants them.
func (e *evaluation) load(c *conditions, r *record.Record) {
	e.loaded = false
	for _, name := range c.meta {
		e.meta(name, r)
	}
}

// holds reports whether the record, which has been loaded, meets condition i. code, if it is not empty, is the end of the code that
// the record fails with.
func (e *evaluation) holds(c *conditions, i int, r *record.Record) (holds bool, code, reason string) {
	if c.list[i].json && !e.loaded {
		if at, ok := e.scan.Run(c.set, r.Data); !ok {
			return false, codeNotJSON, fmt.Sprintf("the record is not one JSON value: byte %d does not belong there", at)
		}
		for i, name := range c.names {
			e.env[name] = goValue(e.scan.Values[i])
		}
		e.loaded = true
	}
	e.steps = 0
	out, err := e.vm.Run(c.list[i].program, e.env)
	if err != nil {
		return false, codeCondition, conditionError(err)
	}
	holds, ok := out.(bool)
	if !ok {
		return false, codeCondition, fmt.Sprintf("the condition gives %s, neither true nor false", kindOf(out))
	}
	return holds, "", ""
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nil"
	case string:
		return "a text"
	case int, float64:
		return "a number"
	case []any:
		return "an array"
	}
	return fmt.Sprintf("a %T", v)
}

// meta sets a name that does not come from the JSON.
func (e *evaluation) meta(name string, r *record.Record) {
	switch name {
	case "_key":
		e.env[name] = r.Key
	case "_attrs":
		attrs := make(map[string]any, len(r.Attrs))
		for _, a := range r.Attrs {
			attrs[a.Name] = a.Value
		}
		e.env[name] = attrs
	case "_arrived":
		e.env[name] = r.ArrivedAt()
	case "_data":
		e.env[name] = record.StringOf(r.Data)
	case "_size":
		e.env[name] = len(r.Data)
	case "_shard":
		e.env[name] = r.Shard.String()
	case "_seq":
		e.env[name] = int(min(r.Seq, math.MaxInt))
	case "_sub":
		e.env[name] = int(r.Sub)
	}
}

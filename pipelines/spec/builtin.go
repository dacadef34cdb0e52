package spec

import (
	"reflect"

	"github.com/leatstream/leat/transforms/builtin"
)

var builtinType = reflect.TypeFor[builtin.Config]()

// Builtin returns the stage's built-in transform and its key in the file; nil if the stage has none.
func (t *Transform) Builtin() (key string, c builtin.Config) {
	v := reflect.ValueOf(t).Elem()
	for _, f := range fieldsOf(v.Type()).list {
		if f.typ.Implements(builtinType) && !v.Field(f.index).IsNil() {
			return f.key, v.Field(f.index).Interface().(builtin.Config)
		}
	}
	return "", nil
}

// Builtins returns a configuration without settings of each built-in transform, by its key in the file.
func Builtins() map[string]builtin.Config {
	all := map[string]builtin.Config{}
	for _, f := range fieldsOf(reflect.TypeFor[Transform]()).list {
		if f.typ.Implements(builtinType) {
			all[f.key] = reflect.New(f.typ.Elem()).Interface().(builtin.Config)
		}
	}
	return all
}

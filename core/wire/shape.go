package wire

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Shapes are Go structs with json tags, as encoding/json has them: a member's name and omitempty. Members are strings,
// bool, int32, int64, float64, blobs ([]byte), [Timestamp], structs, pointers to these, lists and maps of them. An
// embedded struct is no shape.

// member of a structure.
type member struct {
	name      string
	index     int
	omitEmpty bool
}

// structure is what is known of a struct type.
type structure struct {
	members []member
	byName  map[string]int // index into members
}

var structures sync.Map // of reflect.Type to *structure

var timestampType = reflect.TypeFor[Timestamp]()

func structureOf(t reflect.Type) *structure {
	if s, ok := structures.Load(t); ok {
		return s.(*structure)
	}
	s := &structure{byName: map[string]int{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if f.Anonymous {
			panic(fmt.Sprintf("wire: %s embeds %s, which no shape does", t, f.Type))
		}
		if name == "" {
			name = f.Name
		}
		s.byName[name] = len(s.members)
		s.members = append(s.members, member{name: name, index: i, omitEmpty: options == "omitempty"})
	}
	known, _ := structures.LoadOrStore(t, s)
	return known.(*structure)
}

package builtin

import (
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// edited makes the record with doc's changes the output; without changes the record goes on as it is. code is that of a change which
// does not fit the record.
func (w *writer) edited(r *record.Record, doc *leatjson.Doc, code string) {
	if !doc.Changed() {
		w.keep()
		return
	}
	patched, err := doc.AppendPatched(reuse(w.scratch))
	if err != nil {
		w.fail(code, "%v", err)
		return
	}
	w.scratch = patched
	w.data(r, patched)
}

// fieldsOf returns a document's fields at some paths.
func fieldsOf(doc *leatjson.Doc, paths [][]string) []leatjson.Field {
	var fields []leatjson.Field
	for _, keys := range paths {
		fields = append(fields, doc.Field(keys...))
	}
	return fields
}

// editor is the memory of one goroutine that changes fields of JSON records.
type editor struct {
	doc    leatjson.Doc
	fields []leatjson.Field
}

// editing makes editors of the fields at some paths.
func editing(paths [][]string) func() *editor {
	return func() *editor {
		e := new(editor)
		e.fields = fieldsOf(&e.doc, paths)
		return e
	}
}

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

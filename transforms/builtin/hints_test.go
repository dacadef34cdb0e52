package builtin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
)

func TestWhatOtherLanguagesWriteIsAnsweredWithHowToWriteIt(t *testing.T) {
	for _, c := range []struct{ transform, settings, hint string }{
		{"split", "array: items", "write .items"},
		{"remove_fields", "fields: [ .a, user.id ]", "write .user.id"},
		{"remove_fields", "fields: [ '.a[' ]", ""},
		{"remove_fields", "fields: [ '' ]", ""},
		{"csv_to_json", `{ header: true, delimiter: '\t' }`, "double quotes"},
		{"json_to_csv", "{ columns: [ .a ], delimiter: tab }", "double quotes"},
		{"json_to_csv", "{ columns: [ .a ], delimiter: ab }", ""},
		{"dedupe", "by: user.id", "such as .user.id,"},
		{"dedupe", "by: host", "such as .host,"},
		{"dedupe", "by: _kye", "such as .user.id,"},
		{"filter", "when: .status == 200", "no dot in front"},
		{"filter", "when: status = 200", "=="},
		{"filter", "when: status == 200 AND ok", "small letters"},
		{"route", "cases: [ { name: a, when: a == 1 OR b == 1 } ]", "small letters"},
		{"filter", "when: 'status == ('", ""},
		{"enrich", "{ by: .a, key: a, file: /nowhere.csv }", "relative to the pipeline file"},
	} {
		_, err := tryOpen(t, c.transform, c.settings)
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Hint, c.hint) || (c.hint == "") != (f.Hint == "") {
			t.Errorf("%s %s: got %v with the hint %q, want a hint with %q", c.transform, c.settings, err, f.Hint, c.hint)
		}
	}
}

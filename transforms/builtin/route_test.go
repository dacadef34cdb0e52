package builtin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/builtin"
)

const someRoutes = "cases: [ { name: bin, when: '_data startsWith \"BIN\"' }, { name: errors, when: 'level == \"error\"' }, { name: slow, when: 'ms > 10' } ]"

func routeOf(t *testing.T, tr stage.Transform, data string) string {
	t.Helper()
	got := apply(t, tr, data)[0]
	if got.Status != stage.OK {
		return got.String()
	}
	o := got.Results[0]
	if string(o.Data) != data || o.Key != "key" {
		t.Errorf("%q became %q with key %s", data, o.Data, o.Key)
	}
	return fmt.Sprint(o.Attrs, o.Partition)
}

func TestTheFirstConditionThatIsMetNamesTheRoute(t *testing.T) {
	tr := open(t, "route", someRoutes)
	for data, want := range map[string]string{
		`{"level":"error","ms":20}`: "[{origin test} {route errors}] [{route errors}]",
		`{"level":"info","ms":20}`:  "[{origin test} {route slow}] [{route slow}]",
		`{"level":"info","ms":1}`:   "[{origin test} {route other}] [{route other}]",
		`{"level":"error"}`:         "[{origin test} {route errors}] [{route errors}]",
		`{}`:                        "route.failed: case slow: invalid operation: <nil> > int, at line 1, column 4",
		`BINARY`:                    "[{origin test} {route bin}] [{route bin}]",
		`TEXT`:                      "route.not_json: case errors: the record is not one JSON value: byte 0 does not belong there",
	} {
		if got := routeOf(t, tr, data); got != want {
			t.Errorf("%s: %s", data, got)
		}
	}
	all := open(t, "route", someRoutes+"\nmatch: all\notherwise: rest")
	for data, want := range map[string]string{
		`{"level":"error","ms":20}`: "[{origin test} {route errors,slow}] [{route errors}]",
		`{"level":"info","ms":20}`:  "[{origin test} {route slow}] [{route slow}]",
		`{"level":"info","ms":1}`:   "[{origin test} {route rest}] [{route rest}]",
	} {
		if got := routeOf(t, all, data); got != want {
			t.Errorf("%s: %s", data, got)
		}
	}
}

// A record without attributes of its own shares those of its route.
func TestRoutesOfRecordsWithoutAttributes(t *testing.T) {
	in := record.NewBatch()
	defer in.Release()
	for _, data := range []string{`{"level":"error"}`, `{"level":"error","ms":11}`} {
		in.Add(record.Record{Data: []byte(data)})
	}
	tr := open(t, "route", someRoutes)
	out := new(stage.Output)
	out.Reset()
	if err := tr.Apply(context.Background(), in, out); err != nil || len(out.Outs) != 2 {
		t.Fatal(err, len(out.Outs))
	}
	if got := fmt.Sprint(out.Outs[1].Attrs, out.Outs[1].Partition); got != "[{route errors}] [{route errors}]" {
		t.Error(got)
	}
}

func TestASinkTakesItsRoutesOnly(t *testing.T) {
	for _, c := range []struct {
		route string
		want  stage.Status
	}{{"errors", stage.Unchanged}, {"slow", stage.Dropped}, {"slow,errors", stage.Unchanged}, {"slow,err", stage.Dropped}, {"", stage.Dropped}} {
		in := record.NewBatch()
		in.Add(record.Record{Attrs: record.Attrs{{Name: "route", Value: c.route}}})
		out := new(stage.Output)
		out.Reset()
		if err := builtin.OnlyRoutes([]string{"errors", "never"}).Apply(context.Background(), in, out); err != nil || out.Results[0].Status != c.want {
			t.Errorf("%q: %v, %v", c.route, out.Results, err)
		}
		in.Release()
	}
	if builtin.TakesRoute([]string{"errors"}, nil) {
		t.Error("a record without a route is taken")
	}
}

func TestRoutesThatCannotBe(t *testing.T) {
	refused(t, "route", map[string]string{
		"cases: []": "it takes 1 to 100",
		"{}":        `needs the key "cases"`,
		"cases: [ { name: a, when: 'true' }, { name: a, when: 'false' } ]": "there twice",
		"cases: [ { name: 'a,b', when: 'true' } ]":                         "name",
		"cases: [ { name: a, when: 'x ==' } ]":                             "when: unexpected token EOF",
	})
}

func BenchmarkRoute(b *testing.B) {
	measure(b, open(b, "route", "cases: [ { name: warnings, when: 'level == \"warn\"' }, { name: errors, when: 'level == \"error\"' } ]"), logLine)
}

package pipetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

// maxShown is the most bytes of a record in a message.
const maxShown = 4 << 10

// comparison collects what does not hold.
type comparison struct {
	test     *spec.Test
	got      *outcome
	fuel     func(stage string) (perByte float64, ok bool)
	failures []*fault.Error
}

func (c *comparison) fail(place, code, format string, args ...any) *fault.Error {
	e := fault.New(fault.Permanent, code, format, args...).At(place)
	c.failures = append(c.failures, e)
	return e
}

func (c *comparison) run() {
	for i := range c.test.Output {
		c.sink(&c.test.Output[i])
	}
	if want := c.test.Dropped; want != nil && *want != c.got.dropped {
		c.fail(c.test.PlaceOf("dropped"), CodeDropped, "%s dropped, want %d", records(c.got.dropped), *want)
	}
	if want := c.test.Unchanged; want != nil && *want != c.got.unchanged {
		c.fail(c.test.PlaceOf("unchanged"), CodeUnchanged, "%s unchanged, want %d", records(c.got.unchanged), *want)
	}
	c.dead()
	for i := range c.test.MaxFuel {
		w := &c.test.MaxFuel[i]
		got, ok := c.fuel(w.Stage)
		switch {
		case !ok:
			c.fail(w.Place(), CodeFuel, "stage %s does not count its work", w.Stage).Hint = "give it the guard metered, and the test a record that reaches it"
		case got > float64(w.PerByte):
			c.fail(w.PlaceOf("per_byte"), CodeFuel, "stage %s spends %.0f units of fuel a byte, more than %d", w.Stage, got, w.PerByte)
		}
	}
}

// sink reports the first difference only: those behind it often follow from it.
func (c *comparison) sink(want *spec.TestOutput) {
	got := c.got.outputs[want.Sink]
	for i := range want.Records {
		w := &want.Records[i]
		if i >= len(got) {
			e := c.fail(w.Place(), CodeOutput, "sink %s gets %s, want %d; the first that is missing is %s", want.Sink, records(len(got)), len(want.Records), short(w.Bytes()))
			if len(c.got.dead) > 0 {
				e.Hint = "dead letters: " + c.got.dead[0].String()
			}
			return
		}
		if diff := differ(w, got[i].data); diff != "" {
			e := c.fail(w.Place(), CodeOutput, "sink %s, record %d differs (- want, + got, ~ want -> got):\n%s", want.Sink, i, diff)
			if json.Valid(got[i].data) { // the difference names fields alone
				e.Hint = "the record is " + short(got[i].data)
			}
			return
		}
		if w.Key != nil && *w.Key != got[i].key {
			c.fail(w.PlaceOf("key"), CodeOutput, "sink %s, record %d has the key %q, want %q", want.Sink, i, got[i].key, *w.Key)
			return
		}
		if diff := differAttrs(w, got[i].attrs); w.Has("attrs") && diff != "" {
			c.fail(w.PlaceOf("attrs"), CodeOutput, "sink %s, record %d has other attributes (- want, + got, ~ want -> got):\n%s", want.Sink, i, diff)
			return
		}
		if w.Prefix != nil && *w.Prefix != got[i].prefix {
			c.fail(w.PlaceOf("prefix"), CodeOutput, "sink %s, record %d goes to the prefix %q, want %q", want.Sink, i, got[i].prefix, *w.Prefix)
			return
		}
	}
	if n := len(want.Records); len(got) > n {
		c.fail(want.Place(), CodeOutput, "sink %s gets %s, want %d; the first too many is %s", want.Sink, records(len(got)), n, short(got[n].data))
	}
}

// dead compares the dead letters in order. A record that dies in several sinks for the same reason counts once.
func (c *comparison) dead() {
	var got []dead
	seen := map[string]bool{}
	for _, d := range c.got.dead {
		if id := fmt.Sprint(d.input, " ", d.code); !seen[id] {
			seen[id] = true
			got = append(got, d)
		}
	}
	for i := range c.test.Dead {
		w := &c.test.Dead[i]
		if i >= len(got) {
			c.fail(w.Place(), CodeDead, "%s dead, want %d", records(len(got)), len(c.test.Dead))
			return
		}
		g := got[i]
		switch {
		case w.Input != nil && *w.Input != g.input:
			c.fail(w.PlaceOf("input"), CodeDead, "dead letter %d is not input %d, but %s", i, *w.Input, g)
			return
		case w.Code != "" && w.Code != g.code:
			c.fail(w.PlaceOf("code"), CodeDead, "dead letter %d has the code %q, want %q: %s", i, g.code, w.Code, g)
			return
		case !strings.Contains(g.reason, w.Reason):
			c.fail(w.PlaceOf("reason"), CodeDead, "the reason of dead letter %d does not contain %q: %s", i, w.Reason, g)
			return
		}
	}
	if n := len(c.test.Dead); len(got) > n {
		c.fail(c.test.PlaceOf("dead"), CodeDead, "%s dead, want %d; the first too many is %s", records(len(got)), n, got[n])
	}
}

// String describes a dead letter for a message.
func (d dead) String() string {
	return fmt.Sprintf("input %d, in %s: %s (%s)", d.input, d.where, short([]byte(d.reason)), d.code)
}

func short(b []byte) string {
	if len(b) > maxShown {
		b = append(b[:maxShown:maxShown], "…"...)
	}
	s := strings.ToValidUTF8(strings.TrimSuffix(string(b), "\n"), "\uFFFD")
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(s)
	}
	return s
}

// differ returns "" if a sink's record is what the test wants.
func differ(w *spec.TestRecord, got []byte) string {
	want := w.Bytes()
	if bytes.Equal(want, got) {
		return ""
	}
	if w.Base64 == nil {
		if want, got = bytes.TrimSuffix(want, []byte("\n")), bytes.TrimSuffix(got, []byte("\n")); bytes.Equal(want, got) {
			return ""
		}
		wv, werr := codec.JSONValue(want)
		gv, gerr := codec.JSONValue(got)
		switch {
		case werr == nil && gerr == nil && reflect.DeepEqual(wv, gv):
			return ""
		case gerr != nil && w.JSON != nil:
			return fmt.Sprintf("want JSON, got %s", short(got))
		}
	}
	return shown(view.Diff(want, got))
}

// shown writes a difference as lines.
func shown(diff []view.Line) string {
	var b strings.Builder
	for _, l := range diff {
		fmt.Fprintf(&b, "\n%c %s", l.Mark, l.Text)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func differAttrs(w *spec.TestRecord, got record.Attrs) string {
	wanted, there := map[string]string{}, map[string]string{}
	for _, a := range w.Attrs {
		wanted[a.Name] = a.Value
	}
	for _, a := range got {
		there[a.Name] = a.Value
	}
	before, _ := json.Marshal(wanted) // text always encodes
	after, _ := json.Marshal(there)
	return shown(view.Diff(before, after))
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

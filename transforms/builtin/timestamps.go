package builtin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/timefmt-go"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// Timestamps reads times in JSON records and writes them in one form.
type Timestamps struct {
	setting.Node
	Fields    []string `yaml:"fields,required" items:"1..1000" doc:"Paths of the fields with times."`
	From      []string `yaml:"from" items:"0..20" doc:"The forms that a time may have, tried in order: rfc3339, iso8601, apache, epoch_s, epoch_ms, epoch_us, epoch_ns, epoch (by its size one of those), or a format of strftime such as %d/%m/%Y %H:%M:%S. Default: rfc3339."`
	To        string   `yaml:"to" default:"rfc3339" doc:"The form that it gets: rfc3339, epoch_s, epoch_ms, epoch_us or epoch_ns, which are numbers, or a format of strftime."`
	Precision string   `yaml:"precision" default:"auto" enum:"auto|s|ms|us|ns" doc:"Digits of rfc3339's seconds: as many as it needs, none, 3, 6 or 9. What is finer is cut off."`
	TimeZone  string   `yaml:"time_zone" default:"UTC" doc:"The time zone of times that do not say theirs, such as Europe/Vienna."`
	ToZone    string   `yaml:"to_zone" default:"UTC" doc:"The time zone that times are written in."`
	Into      string   `yaml:"into" doc:"The field that the time goes to, if there is one field. Default: in its own place."`
	Fallback  string   `yaml:"fallback" default:"fail" enum:"fail|keep|arrival" doc:"What happens to a time that is missing or in none of the forms: the record fails, the field stays as it is, or it becomes the time of the record's arrival."`
}

const (
	// maxTimeText is the longest text, in bytes, that is read as a time.
	maxTimeText = 128
	// maxTimeFormat bounds a format of strftime, in bytes.
	maxTimeFormat = 256
)

// A timeReader reads a time from a text. zone is that of times without one.
type timeReader func(text []byte, zone *time.Location) (time.Time, bool)

var timeReaders = map[string]timeReader{
	"rfc3339": func(text []byte, zone *time.Location) (time.Time, bool) { return readISO(text, zone, true) },
	"iso8601": func(text []byte, zone *time.Location) (time.Time, bool) { return readISO(text, zone, false) },
	"apache":  readApache,
	"epoch_s": epoch(time.Second), "epoch_ms": epoch(time.Millisecond), "epoch_us": epoch(time.Microsecond), "epoch_ns": epoch(time.Nanosecond),
	"epoch": readEpoch,
}

// epochUnits are the units of numbers that times are written as.
var epochUnits = map[string]time.Duration{"epoch_s": time.Second, "epoch_ms": time.Millisecond, "epoch_us": time.Microsecond, "epoch_ns": time.Nanosecond}

// Open implements Config.
func (c *Timestamps) Open(context.Context, Env) (stage.Transform, error) {
	t := &timestamps{config: c}
	var bad *fault.Error
	if t.zone, bad = zoneAt(&c.Node, "time_zone", "timestamps.bad_time_zone", c.TimeZone); bad != nil {
		return nil, bad
	}
	if t.toZone, bad = zoneAt(&c.Node, "to_zone", "timestamps.bad_time_zone", c.ToZone); bad != nil {
		return nil, bad
	}
	paths, bad := fieldsAt(&c.Node, "fields", "timestamps.bad_path", c.Fields)
	if bad == nil {
		bad = apart(&c.Node, "fields", "timestamps.bad_path", paths...)
	}
	if bad != nil {
		return nil, bad
	}
	into := paths
	if c.Into != "" {
		if len(paths) > 1 {
			return nil, invalid(&c.Node, "into", "timestamps.bad_path", "into is for one field, and there are %d", len(paths))
		}
		keys, err := keysAt(&c.Node, "into", "timestamps.bad_path", c.Into)
		if err != nil {
			return nil, err
		}
		into = [][]string{keys}
	}
	if bad := c.forms(t); bad != nil {
		return nil, bad
	}
	type editor struct {
		*timestamps
		doc      leatjson.Doc
		from, to []leatjson.Field
	}
	open := func() *editor {
		e := &editor{timestamps: t}
		e.from, e.to = fieldsOf(&e.doc, paths), fieldsOf(&e.doc, into)
		return e
	}
	return eachWith(open, func(e *editor, r *record.Record, w *writer) {
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("timestamps.not_json", "%v", err)
			return
		}
		for i, from := range e.from {
			if w.failed(e.convert(c.Fields[i], from, e.to[i], r)) {
				return
			}
		}
		w.edited(r, &e.doc, "timestamps.no_object")
	}), nil
}

// forms sets how times are read and written.
func (c *Timestamps) forms(t *timestamps) *fault.Error {
	names := c.From
	if len(names) == 0 {
		names = []string{"rfc3339"}
	}
	for _, name := range names {
		yearless := false
		read, ok := timeReaders[name]
		if !ok {
			back, bad := c.strftime("from", name)
			switch {
			case bad != nil:
				return bad
			case back.Year() == sampleTime.Year():
				read = strftimeReader(name)
			case back.YearDay() == sampleTime.YearDay():
				read = strftimeReader("%Y " + name)
			default:
				return invalid(&c.Node, "from", "timestamps.bad_format", "from: %q tells neither the year nor the day of the year", name)
			}
			yearless = back.Year() != sampleTime.Year()
		}
		t.readers, t.yearless = append(t.readers, read), append(t.yearless, yearless)
	}
	t.unit = epochUnits[c.To]
	switch {
	case c.To == "rfc3339":
		t.layout = map[string]string{
			"auto": time.RFC3339Nano, "s": time.RFC3339, "ms": "2006-01-02T15:04:05.000Z07:00", "us": "2006-01-02T15:04:05.000000Z07:00", "ns": "2006-01-02T15:04:05.000000000Z07:00",
		}[c.Precision]
	case c.Has("precision"):
		return invalid(&c.Node, "precision", "timestamps.bad_format", "precision is for rfc3339")
	case t.unit == 0:
		_, bad := c.strftime("to", c.To)
		return bad
	}
	return nil
}

// sampleTime is what a format has to write and to read.
var sampleTime = time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)

// strftime checks a format: what it writes must be what it reads, or it has a directive that there is not. back is what it reads of the sample.
func (c *Timestamps) strftime(key, format string) (back time.Time, bad *fault.Error) {
	forms := "rfc3339, iso8601, apache, epoch, epoch_s, epoch_ms, epoch_us, epoch_ns"
	if key == "to" {
		forms = "rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns"
	}
	bad = invalid(&c.Node, key, "timestamps.bad_format", "%s: %q is neither the name of a form nor a format of strftime", key, format).
		WithHint("there are %s, and formats such as %%d/%%m/%%Y %%H:%%M:%%S", forms)
	if !strings.Contains(format, "%") || len(format) > maxTimeFormat {
		return back, bad
	}
	back, err := timefmt.Parse(timefmt.Format(sampleTime, format), format)
	if err != nil {
		return back, bad
	}
	return back, nil
}

// timestamps is a configuration, ready for records.
type timestamps struct {
	config       *Timestamps
	readers      []timeReader
	yearless     []bool // the reader wants the year and a space before the text
	zone, toZone *time.Location
	layout       string        // of rfc3339
	unit         time.Duration // of numbers
}

// convert reads the time in a field and writes it to another.
func (t *timestamps) convert(name string, from, to leatjson.Field, r *record.Record) failure {
	at, ok := t.read(from, r)
	if !ok {
		switch {
		case t.config.Fallback == "keep":
			return failure{}
		case t.config.Fallback == "arrival":
			at = r.ArrivedAt()
		case from.Kind() <= leatjson.Null:
			return failure{"timestamps.missing", name + " is " + from.Kind().String()}
		default:
			return failure{"timestamps.no_match", name + " is " + excerpt(from.Raw()) + ", a time in none of the forms"}
		}
	}
	at = at.In(t.toZone)
	var text [4 * maxTimeText]byte
	switch {
	case at.Year() < 0 || at.Year() > 9999:
		return failure{"timestamps.out_of_range", name + " is " + excerpt(from.Raw()) + ", a time in the year " + strconv.Itoa(at.Year())}
	case t.layout != "":
		to.SetText(at.AppendFormat(text[:0], t.layout))
	case t.unit == 0:
		to.SetText(timefmt.AppendFormat(text[:0], at, t.config.To))
	default:
		n, ok := inUnits(at, t.unit)
		if !ok {
			return failure{"timestamps.out_of_range", name + " is " + excerpt(from.Raw()) + ", a time that has no number of " + t.unit.String() + " in 64 bits"}
		}
		to.SetInt(n)
	}
	return failure{}
}

func (t *timestamps) read(from leatjson.Field, r *record.Record) (at time.Time, ok bool) {
	text := from.Raw()
	switch from.Kind() {
	case leatjson.String:
		text, _ = from.Text()
	case leatjson.Number:
	default:
		return time.Time{}, false
	}
	if len(text) > maxTimeText {
		return time.Time{}, false
	}
	for i, read := range t.readers {
		if t.yearless[i] {
			at, ok = readYearless(read, text, t.zone, r.ArrivedAt())
		} else {
			at, ok = read(text, t.zone)
		}
		if ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// readYearless reads a time in the year that brings it closest to the record's arrival.
func readYearless(read timeReader, text []byte, zone *time.Location, arrived time.Time) (closest time.Time, ok bool) {
	for year := arrived.Year() - 1; year <= arrived.Year()+1; year++ {
		var buf [maxTimeText + 16]byte
		at, can := read(append(strconv.AppendInt(buf[:0], int64(year), 10), " "+string(text)...), zone)
		if can && (!ok || at.Sub(arrived).Abs() < closest.Sub(arrived).Abs()) {
			closest, ok = at, true
		}
	}
	return closest, ok
}

// inUnits returns the units since 1970, rounded down.
func inUnits(at time.Time, unit time.Duration) (n int64, ok bool) {
	perSecond := int64(time.Second / unit)
	if n = at.Unix() * perSecond; n/perSecond != at.Unix() {
		return 0, false
	}
	sum := n + int64(at.Nanosecond())/int64(unit)
	return sum, sum >= n
}

// Doc implements Config.
func (c *Timestamps) Doc() Doc {
	return Doc{
		Summary: "Reads times in JSON fields, in any of several forms, and writes them in one.",
		Text: "`rfc3339` is as in 2026-11-23T12:34:56.789+01:00; `iso8601` also takes a space for the T, a comma before the fraction, an offset without colon, and a time without seconds, offset or " +
			"all of the time of day; `apache` is as in 10/Oct/2000:13:55:36 -0700. `epoch_s` and its like are numbers since 1970, or texts of them, and may have a fraction; `epoch` takes up to 11 digits for seconds, 14 for milliseconds, " +
			"17 for microseconds and more for nanoseconds.\n\n" +
			"Formats are those of strftime, as Fluent Bit, Vector and jq have them: %Y-%m-%d %H:%M:%S, %f for a fraction of up to 6 digits, %b for Nov, %p for AM and PM, %z for +0100, %s for seconds since 1970, %% for a percent sign. " +
			"A format without a year takes the one that brings the time closest to the record's arrival. A leap second is not read.",
		Codes: []Code{
			{"timestamps.not_json", "The record is not JSON."},
			{"timestamps.missing", "The field is missing or null."},
			{"timestamps.no_match", "The field is in none of the forms."},
			{"timestamps.out_of_range", "The time is before the year 0 or after 9999, or has no such number in 64 bits."},
			{"timestamps.no_object", "What should hold the field is not an object."},
		},
		Examples: []Example{
			{
				Title: "Several forms become one", Config: "fields: [ .time ]\nfrom: [ iso8601, epoch, '%d.%m.%Y %H:%M' ]\ntime_zone: Europe/Vienna\nprecision: ms\n",
				Input:  []string{`{"time":"2026-07-01 14:30:00,5"}`, `{"time":1782909000500}`, `{"time":"1.7.2026 14:30"}`, `{"time":"noon"}`, `{}`},
				Output: []string{`{"time":"2026-07-01T12:30:00.500Z"}`, `{"time":"2026-07-01T12:30:00.500Z"}`, `{"time":"2026-07-01T12:30:00.000Z"}`},
				Failed: []string{"timestamps.no_match", "timestamps.missing"},
			},
			{
				Title: "A day of its own, in another zone, or that of the arrival", Config: "fields: [ .time ]\ninto: .day\nto: '%Y-%m-%d'\nto_zone: Asia/Tokyo\nfallback: arrival\n",
				Input: []string{`{"time":"2026-12-31T23:00:00Z"}`, `{"time":null}`}, Output: []string{`{"time":"2026-12-31T23:00:00Z","day":"2027-01-01"}`, `{"time":null,"day":"2000-01-01"}`},
			},
			{Title: "Numbers", Config: `{ fields: [ .a, .b ], to: epoch_ms }`, Input: []string{`{"a":"1970-01-01T00:00:01.2345Z", "b":"1969-12-31T23:59:59.9999+00:00"}`}, Output: []string{`{"a":1234, "b":-1}`}},
		},
	}
}

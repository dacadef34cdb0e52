package builtin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/stage"
)

func TestTimesAreRead(t *testing.T) {
	for form, cases := range map[string]map[string]string{
		"rfc3339": {
			`"2026-11-23T12:34:56Z"`: "2026-11-23T12:34:56Z", `"2026-11-23t12:34:56.123456789123+01:30"`: "2026-11-23T11:04:56.123456789Z", `"2024-02-29 00:00:00-00:00"`: "2024-02-29T00:00:00Z",
			`"2026-11-23T12:34:56"`: "", `"2026-02-29T12:34:56Z"`: "", `"2026-11-23T24:00:00Z"`: "", `"2026-11-23T12:34:60Z"`: "", `"2026-11-23T12:34:56.Z"`: "", `"2026-11-23T12:34:56+0100"`: "", `"2026-11-23T12:34:56Zx"`: "", `""`: "", `1763899200`: "", `true`: "", `[]`: "", `"2026-11-23T12:34:56,5Z"`: "",
		},
		"iso8601": {
			`"2026-11-23"`: "2026-11-22T23:00:00Z", `"2026-07-01 12:34"`: "2026-07-01T10:34:00Z", `"2026-07-01T12:34:56,7"`: "2026-07-01T10:34:56.7Z", `"2026-07-01 12:34:56-0130"`: "2026-07-01T14:04:56Z", `"2026-07-01T12:34+02"`: "2026-07-01T10:34:00Z",
			`"2026-07-01 12"`: "", `"2026-07-01T12:34:5"`: "", `"2026-07-01 12:34:56 +01:00"`: "", `"2026-7-1"`: "", `"2026-07-01Z12:34"`: "",
		},
		"apache":             {`"10/Oct/2000:13:55:36 -0700"`: "2000-10-10T20:55:36Z", `"10/Okt/2000:13:55:36 -0700"`: "", `"10/Oct/2000:13:55:36"`: ""},
		"epoch_s":            {`1763899200`: "2025-11-23T12:00:00Z", `"1763899200.25"`: "2025-11-23T12:00:00.25Z", `-0.5`: "1969-12-31T23:59:59.5Z", `-1`: "1969-12-31T23:59:59Z", `1e3`: "", `"x"`: "", `"1."`: "", `".5"`: "", `"--1"`: "", `"+1"`: "", `99999999999999999999`: "", `999999999999`: "range", `""`: ""},
		"epoch_ms":           {`1763899200123`: "2025-11-23T12:00:00.123Z", `-1.5`: "1969-12-31T23:59:59.9985Z", `0`: "1970-01-01T00:00:00Z"},
		"epoch_us":           {`1763899200123456`: "2025-11-23T12:00:00.123456Z", `1.25`: "1970-01-01T00:00:00.00000125Z"},
		"epoch_ns":           {`1763899200123456789`: "2025-11-23T12:00:00.123456789Z", `1.9`: "1970-01-01T00:00:00.000000001Z"},
		"epoch":              {`1763899200`: "2025-11-23T12:00:00Z", `1763899200123`: "2025-11-23T12:00:00.123Z", `1763899200123456`: "2025-11-23T12:00:00.123456Z", `1763899200123456789`: "2025-11-23T12:00:00.123456789Z", `"1763899200.5"`: "2025-11-23T12:00:00.5Z", `-1763899200.5`: "1914-02-08T11:59:59.5Z"},
		"%d.%m.%Y %H:%M":     {`"1.7.2026 12:30"`: "2026-07-01T10:30:00Z", `"31.2.2026 12:30"`: "", `"1.4.2026 12:30"`: "2026-04-01T10:30:00Z", `"31.4.2026 2:30"`: "", `"3.3.2026 12:31"`: "2026-03-03T11:31:00Z", `"1.7.2026 12:30 "`: "", `7`: ""},
		"%a, %d %b %Y %T %z": {`"Wed, 01 Jul 2026 12:30:00 +0200"`: "2026-07-01T10:30:00Z"},
		// Records arrive in November 2026.
		"%b %d %H:%M:%S": {`"Nov 23 13:00:00"`: "2026-11-23T12:00:00Z", `"Jan 02 13:00:00"`: "2027-01-02T12:00:00Z", `"Jul 01 12:30:00"`: "2026-07-01T10:30:00Z", `"Feb 29 13:00:00"`: "", `"Nov 31 13:00:00"`: "", `"x"`: ""},
		"%d/%m":          {`"3/3"`: "2027-03-02T23:00:00Z", `"31/12"`: "2026-12-30T23:00:00Z"},
		"%Y":             {`"2024"`: "2023-12-31T23:00:00Z"},
		"%s.%f":          {`"1763899200.5"`: "2025-11-23T12:00:00.5Z"},
	} {
		tr := open(t, "timestamps", fmt.Sprintf(`{ fields: [ .t ], from: [ "%s" ], time_zone: Europe/Vienna }`, form))
		for value, want := range cases {
			got := apply(t, tr, `{"t":`+value+`}`)[0]
			switch {
			case want == "" && got.Code == "timestamps.no_match", want == "range" && got.Code == "timestamps.out_of_range":
			case got.String() != `[{"t":"`+want+`"}]`:
				t.Errorf("%s as %s: got %s, want %q", value, form, got, want)
			}
		}
	}
}

func TestTimesAreWritten(t *testing.T) {
	const in = `{"t":"2026-07-01T12:34:56.1234567Z"}`
	for settings, want := range map[string]string{
		`to_zone: Europe/Vienna`: `"2026-07-01T14:34:56.1234567+02:00"`,
		`precision: s`:           `"2026-07-01T12:34:56Z"`,
		`precision: ms`:          `"2026-07-01T12:34:56.123Z"`,
		`precision: us`:          `"2026-07-01T12:34:56.123456Z"`,
		`precision: ns`:          `"2026-07-01T12:34:56.123456700Z"`,
		`to: epoch_s`:            `1782909296`,
		`to: epoch_ms`:           `1782909296123`,
		`to: epoch_us`:           `1782909296123456`,
		`to: epoch_ns`:           `1782909296123456700`,
		`to: "%d/%m/%y %I:%M %p", to_zone: Asia/Tokyo`: `"01/07/26 09:34 PM"`,
	} {
		becomes(t, "timestamps", `{ fields: [ .t ], `+settings+` }`, in, `[{"t":`+want+`}]`)
	}
	becomes(t, "timestamps", `{ fields: [ .t ], into: .u.v }`, in, `[{"t":"2026-07-01T12:34:56.1234567Z","u":{"v":"2026-07-01T12:34:56.1234567Z"}}]`)
	becomes(t, "timestamps", `{ fields: [ .a, .b ], to: epoch_ns }`, `{"a":"2026-01-01T00:00:00Z","b":"3000-01-01T00:00:00Z"}`, `timestamps.out_of_range: .b is "\"3000-01-01T00:00:00Z\"", a time that has no number of 1ns in 64 bits`)
	becomes(t, "timestamps", `{ fields: [ .a.b ] }`, `{"a":{}}`, "timestamps.missing: .a.b is nothing", `{"a":{"b":null}}`, "timestamps.missing: .a.b is null", `{`, "timestamps.not_json: not JSON: at byte 1: …",
		`{"a":{"b":"`+strings.Repeat("x", 200)+`"}}`, `timestamps.no_match: .a.b is "\"`+strings.Repeat("x", 39)+`"…, a time in none of the forms`)
	becomes(t, "timestamps", `{ fields: [ .a ], fallback: keep }`, `{"a":"x"}`, "unchanged", `{}`, "unchanged")
	becomes(t, "timestamps", `{ fields: [ .a ], fallback: arrival, to: epoch_s }`, `{"a":"x"}`, `[{"a":1795435200}]`, `{}`, `[{"a":1795435200}]`, `[]`, "timestamps.no_object: …")
	refused(t, "timestamps", map[string]string{
		`{}`: "needs the key", `{ fields: [ a ] }`: "not a path", `{ fields: [ .a ], from: [ java ] }`: "neither the name", `{ fields: [ .a ], from: [ "%Q" ] }`: "neither the name", `{ fields: [ .a ], to: "%" }`: "neither the name", `{ fields: [ .a ], from: [ "%H:%M:%S" ] }`: "neither the year nor", `{ fields: [ .a ], from: [ "%d %H:%M" ] }`: "neither the year nor",
		`{ fields: [ .a ], to: epoch }`: "neither the name", `{ fields: [ .a, .b ], into: .c }`: "one field", `{ fields: [ .a ], into: . }`: "lone dot", `{ fields: [ .a ], time_zone: Mars }`: "time_zone", `{ fields: [ .a ], to_zone: Local }`: "to_zone",
		`{ fields: [ .a ], to: epoch_s, precision: ms }`: "precision is for", `{ fields: [ .a, .a.b ] }`: "one holds the other",
	})
}

// What is written in a form is read in it as the same time, as far as the form is precise.
func TestTimesSurviveEveryForm(t *testing.T) {
	forms := map[string]time.Duration{"rfc3339": 1, "epoch_s": time.Second, "epoch_ms": time.Millisecond, "epoch_us": time.Microsecond, "epoch_ns": 1, "%Y-%m-%dT%H:%M:%S.%f%z": time.Microsecond, "%d/%b/%Y:%T %z": time.Second}
	write, read := map[string]stage.Transform{}, map[string]stage.Transform{}
	for form := range forms {
		write[form] = open(t, "timestamps", fmt.Sprintf(`{ fields: [ .t ], to: "%s", to_zone: America/New_York }`, form))
		read[form] = open(t, "timestamps", fmt.Sprintf(`{ fields: [ .t ], from: [ "%s" ] }`, form))
	}
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1e9, 9e9).Draw(rt, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(rt, "nanos")).UTC()
		for form, unit := range forms {
			written := apply(t, write[form], `{"t":"`+at.Format(time.RFC3339Nano)+`"}`)[0]
			if len(written.Outs) != 1 {
				rt.Fatalf("%v as %s: %s", at, form, written)
			}
			got := apply(t, read[form], written.Outs[0])[0]
			var object struct{ T time.Time }
			if len(got.Outs) != 1 || json.Unmarshal([]byte(got.Outs[0]), &object) != nil {
				rt.Fatalf("%v as %s: %s, read as %s", at, form, written, got)
			}
			floor := at.Add(-time.Duration((at.UnixNano()%int64(unit) + int64(unit)) % int64(unit)))
			if !object.T.Equal(floor) {
				rt.Fatalf("%v as %s: %s, read as %s, want %v", at, form, written, got, floor)
			}
		}
	})
}

// FuzzTimestamps compares what is read as RFC 3339 with the standard library, and sees that no text breaks a form.
func FuzzTimestamps(f *testing.F) {
	for _, text := range []string{"2026-11-23T12:34:56.5+01:00", "2026-11-23 12:34", "10/Oct/2000:13:55:36 -0700", "-1.5", "23.11.2026 5:7 AM", "99999999999999999999"} {
		f.Add(text)
	}
	strict := open(f, "timestamps", `{ fields: [ .t ] }`)
	all := open(f, "timestamps", `{ fields: [ .t ], from: [ iso8601, apache, epoch, "%d.%m.%Y %I:%M %p", "%A %j %U %Z", "%G-W%V-%u" ], to: "%c %z" }`)
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		record := `{"t":` + string(quoted) + `}`
		apply(t, all, record)
		got := apply(t, strict, record)[0]
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || len(text) > 100 {
			return // it takes no small t and z, and no space
		}
		if want.UTC().Year() < 0 || want.UTC().Year() > 9999 {
			if got.Status != stage.Failed {
				t.Fatalf("%q: %s", text, got)
			}
			return
		}
		if _, offset := want.Zone(); strings.ContainsRune(text, ',') || offset >= 86400 || offset <= -86400 {
			return
		}
		if s := `[{"t":"` + want.UTC().Format(time.RFC3339Nano) + `"}]`; got.String() != s {
			t.Fatalf("%q: got %s, want %s", text, got, s)
		}
	})
}

func BenchmarkTimestamps(b *testing.B) {
	for name, settings := range map[string]string{
		"rfc3339 to epoch_ms": `{ fields: [ .time ], to: epoch_ms }`,
		"strftime":            `{ fields: [ .time ], from: [ "%Y-%m-%dT%H:%M:%SZ" ], to: "%d.%m.%Y" }`,
	} {
		b.Run(name, func(b *testing.B) { measure(b, open(b, "timestamps", settings), someJSON) })
	}
}

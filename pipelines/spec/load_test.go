package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/internal/testenv"
)

func load(t *testing.T, file string, opts Options) []*Pipeline {
	t.Helper()
	if opts.Env == nil {
		opts.Env = fixedEnv
	}
	pipelines, err := Load(file, opts)
	if err != nil {
		t.Fatalf("%s:\n%s", file, Render(err, false))
	}
	return pipelines
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

func TestDefaults(t *testing.T) {
	p := load(t, "testdata/good/minimal.yaml", Options{})[0]
	s := &p.Sinks[0]
	check(t, "shards", p.Source.Stream.Shards, 1)
	check(t, "mode", p.Source.Stream.Mode, "provisioned")
	check(t, "retention", p.Source.Stream.Retention.Hold, "50GiB")
	check(t, "limits", p.Source.Stream.Limits == nil, true)
	check(t, "from", p.Source.From.Kind, FromTrimHorizon)
	check(t, "buffer size", s.Buffer.Size, "5MiB")
	check(t, "buffer interval", s.Buffer.Interval.Std(), 5*time.Minute)
	check(t, "retry", s.Retry.For.Std(), 24*time.Hour)
	check(t, "format", s.Format, "json_lines")
	check(t, "compression", s.Compression, "none")
	check(t, "time zone", s.TimeZone, "UTC")
	check(t, "memory", s.Memory, "64MiB")
	check(t, "uploads", s.Uploads, 4)
	check(t, "isolation", s.Isolation, "in_process")
	check(t, "dead letters", p.DeadLetters == nil, true)
	check(t, "whether the buffer is given", s.Has("buffer"), false)
}

func TestEveryKeyArrives(t *testing.T) {
	p := load(t, "testdata/good/full.yaml", Options{})[0]
	check(t, "at", p.Source.From.At, "2026-10-31 23:00:00 +0000 UTC")
	check(t, "age", p.Source.Stream.Retention.Age, "7d")
	check(t, "hold beside age", p.Source.Stream.Retention.Hold, "0B")
	check(t, "path", p.Source.Files[0].Path, "testdata/good/*.csv")
	check(t, "path upwards", p.Source.Files[1].Path, "testdata/logs/app-[0-9].log")
	check(t, "absolute path", p.Source.Files[2].Path, "/var/log/x.log")
	check(t, "column", p.Source.Files[0].Key.CSVColumn, 5)
	check(t, "random", p.Source.Files[3].Key.Random, "random")
	check(t, "config", string(p.Transforms[0].Config), `{"columns":[{"name":"a","type":"string"},1.50,"007",true,null],"z":1,"a":"1"}`)
	check(t, "module", p.Transforms[0].Wasm.Module, "testdata/good/parse")
	check(t, "partition order", p.Sinks[0].Partition.Names(), "[state day]")
	check(t, "interval", p.Sinks[0].Buffer.Interval, "0s")
	check(t, "part size", p.Sinks[1].S3.PartSize, "8MiB")
	check(t, "path style", *p.Sinks[1].S3.PathStyle, true)
	check(t, "place of the prefix", p.Sinks[0].PlaceOf("prefix"), "testdata/good/full.yaml:27:13")
	check(t, "place of the sink", p.Sinks[1].Place(), "testdata/good/full.yaml:38:5")
	check(t, "base64", []byte(*p.Tests[0].Input[3].Base64), []byte{255, 0})
	check(t, "JSON of a test", string(p.Tests[0].Input[2].JSON), `{"a":[1,null]}`)
	check(t, "expected sink", p.Tests[0].Output[1].Sink, "print")
}

func TestLimitsHaveNames(t *testing.T) {
	for text, want := range map[string]string{
		"aws": "1MiB 1000", "off": "0B 0", "{ kind: off }": "0B 0", "{}": "1MiB 1000", "{ bytes_per_second: 2MiB }": "2MiB 1000",
	} {
		src := "version: 1\npipeline: p\nsource: { stream: { name: s, limits: " + text + " } }\nsinks: [ { name: out, stdout: {} } ]\n"
		got, err := Parse("p.yaml", []byte(src), Options{})
		if err != nil {
			t.Errorf("limits: %s\n%s", text, Render(err, false))
			continue
		}
		l := got[0].Source.Stream.Limits
		check(t, "limits: "+text, fmt.Sprint(l.BytesPerSecond, " ", l.RecordsPerSecond), want)
	}
}

func TestDirectoriesAndDocuments(t *testing.T) {
	dir := t.TempDir()
	one := "version: 1\npipeline: %s\nsource: { stream: s }\nsinks: [ { name: out, file: { dir: out } } ]\n"
	for name, text := range map[string]string{
		"b.yaml": fmt.Sprintf(one, "b"), "a.yml": fmt.Sprintf(one, "a1") + "---\n" + fmt.Sprintf(one, "a2"), "c.txt": "no", ".d.yaml": "no",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, p := range load(t, dir, Options{}) {
		names = append(names, p.Name)
		check(t, "dir", p.Sinks[0].File.Dir, filepath.Join(dir, "out"))
	}
	check(t, "pipelines", names, "[a1 a2 b]")
	if _, err := Load(filepath.Join(dir, "missing.yaml"), Options{}); fault.CodeOf(err) != "spec.io" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); fault.CodeOf(err) != "spec.no_files" {
		t.Errorf("a folder without pipeline files: got %v", err)
	}
}

func TestPatternCharactersOfTheFolderAreNotAPattern(t *testing.T) {
	src, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a[1]*")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p.yaml", "x.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := load(t, filepath.Join(dir, "p.yaml"), Options{})[0]
	found, err := filepath.Glob(p.Source.Files[0].Path)
	check(t, "matches", len(found), 1)
	check(t, "error", err, nil)
}

func TestFilesFromOtherEditors(t *testing.T) {
	src, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a byte order mark": "\ufeff" + string(src), "CRLF": strings.ReplaceAll(string(src), "\n", "\r\n"), "no last newline": strings.TrimSpace(string(src)),
	} {
		p, err := Parse("testdata/good/full.yaml", []byte(text), Options{Env: fixedEnv})
		if err != nil {
			t.Errorf("%s:\n%s", name, Render(err, false))
			continue
		}
		check(t, name, p[0].Sinks[0].PlaceOf("prefix"), "testdata/good/full.yaml:27:13")
		check(t, name, p[0].Sinks[0].Prefix, "state=!{partitionKeyFromQuery:state}/!{timestamp:yyyy'/'MM}/!{firehose:random-string}-")
	}
}

func TestSubstitution(t *testing.T) {
	p := load(t, "testdata/good/variables.yaml", Options{})[0]
	check(t, "shards", p.Source.Stream.Shards, 4)
	check(t, "size", p.Sinks[0].Buffer.Size, "2MiB")
	check(t, "config", string(p.Transforms[0].Config), `{"number":"4","literal":"${SHARDS}"}`)
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"NAME": "x\nversion: 2", "SHARDS": "7", "SIZE": "1MiB\nlanes: 9"}[name]
		return v, ok
	}
	_, err := Load("testdata/good/variables.yaml", Options{Env: env})
	var list *Errors
	if !errors.As(err, &list) || len(list.List) != 2 {
		t.Errorf("variables with line breaks must stay values; got %v", err)
	}
	for _, c := range []struct{ in, want, code string }{
		{"a${A}b${A}", "aXbX", ""},
		{"$${A}", "${A}", ""},
		{"$A $ $$", "$A $ $$", ""},
		{"${E:-d}", "d", ""},
		{"${E}", "", ""},
		{"${U:-}", "", ""},
		{"${U:-a:-b}", "a:-b", ""},
		{"${U:-$}", "$", ""},
		{"${A:?m}", "X", ""},
		{"${R}", "${A}", ""}, // what a variable holds is not read again
		{"${U}", "", "spec.substitution"},
		{"${E:?m}", "", "spec.substitution"},
		{"${A:=x}", "", "spec.substitution"},
		{"${A:}", "", "spec.substitution"},
		{"${}", "", "spec.substitution"},
		{"${A", "", "spec.substitution"},
		{"${Z}", "", "spec.substitution"},
	} {
		got, _, err := expand(c.in, func(name string) (string, bool) {
			v, ok := map[string]string{"A": "X", "E": "", "R": "${A}", "Z": "\x00"}[name]
			return v, ok
		})
		code := ""
		if err != nil {
			code = err.Code
		}
		if got != c.want || code != c.code {
			t.Errorf("%s: got %q %s, want %q %s", c.in, got, code, c.want, c.code)
		}
	}
}

func TestSecretsAreReadAtUseAndNeverShown(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	value := "first"
	env := func(name string) (string, bool) { return value, name == "KEY" }
	src := "version: 1\npipeline: p\nsource: { stream: s }\nsinks:\n  - name: a\n    s3:\n      bucket: bbb\n" +
		"      credentials: { access_key_id: id, secret_access_key: { secret: env:KEY }, session_token: { secret: file:token } }\n"
	pipelines, err := Parse(filepath.Join(dir, "p.yaml"), []byte(src), Options{Env: env})
	if err != nil {
		t.Fatal(Render(err, false))
	}
	cr := pipelines[0].Sinks[0].S3.Credentials
	if _, err := cr.SessionToken.Resolve(); fault.ClassOf(err) != fault.Unauthorized || fault.CodeOf(err) != "spec.secret" {
		t.Errorf("a missing file: %v", err)
	}
	for _, v := range []string{"first", "second"} {
		value = v
		if err := os.WriteFile(file, []byte(v+"-token\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err1 := cr.SecretAccessKey.Resolve()
		token, err2 := cr.SessionToken.Resolve()
		check(t, "secrets", []any{key, token, err1, err2}, []any{v, v + "-token", nil, nil})
	}
	id, _ := cr.AccessKeyID.Resolve()
	check(t, "plain id", id, "id")

	s := setting.PlainSecret("hunter2", "")
	marshalled, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "p", &s)
	for _, shown := range []string{string(marshalled), log.String(), fmt.Sprint(s, &s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v %#v", Credentials{SecretAccessKey: s}, Credentials{SecretAccessKey: s})} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e74657232") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		set  string
		get  func(p *Pipeline) any
		want any
	}{
		{"sinks.archive.buffer.size=1MiB", func(p *Pipeline) any { return p.Sinks[0].Buffer.Size }, "1MiB"},
		{"sinks[archive].buffer.size=1MiB", func(p *Pipeline) any { return p.Sinks[0].Buffer.Size }, "1MiB"},
		{"sinks[1].uploads=4", func(p *Pipeline) any { return p.Sinks[1].Uploads }, 4},
		{"sinks.0.uploads=4", func(p *Pipeline) any { return p.Sinks[0].Uploads }, 4},
		{"sinks.print.retry.for=1m", func(p *Pipeline) any { return p.Sinks[3].Retry.For }, "1m"},
		{"source.from=latest", func(p *Pipeline) any { return p.Source.From.Kind }, "latest"},
		{"source.stream.shards=9", func(p *Pipeline) any { return p.Source.Stream.Shards }, 9},
		{"transforms.parse.config.z=2", func(p *Pipeline) any { return string(p.Transforms[0].Config) }, `{"columns":[{"name":"a","type":"string"},1.50,"007",true,null],"z":2,"a":"1"}`},
		{"transforms.parse.config.columns[0].name=b=c", func(p *Pipeline) any { return string(p.Transforms[0].Config[:24]) }, `{"columns":[{"name":"b=c`},
		{"sinks.archive.partition.city=.city", func(p *Pipeline) any { return p.Sinks[0].Partition.Names() }, "[state day city]"},
		{"sinks.print.prefix=${HOME}", func(p *Pipeline) any { return p.Sinks[3].Prefix }, "${HOME}"},
	} {
		p := load(t, "testdata/good/full.yaml", Options{Set: []string{c.set}})[0]
		check(t, c.set, c.get(p), c.want)
	}
	p := load(t, "testdata/good/minimal.yaml", Options{Set: []string{"source.stream.shards=9"}})[0]
	check(t, "a stream that was written as text", p.Source.Stream.Name+" "+fmt.Sprint(p.Source.Stream.Shards), "s 9")
	many := load(t, "testdata/good/two.yaml", Options{Set: []string{"source.stream.shards=9"}})
	check(t, "both pipelines", []int{many[0].Source.Stream.Shards, many[1].Source.Stream.Shards}, "[9 9]")
	uses := load(t, "testdata/good/aliases.yaml", Options{Set: []string{"sinks.a.buffer.size=2MiB"}})[0]
	check(t, "one use of an anchor", []Bytes{uses.Sinks[0].Buffer.Size, uses.Sinks[1].Buffer.Size}, "[2MiB 1MiB]")
}

func TestSettingErrorsNameThePath(t *testing.T) {
	for set, want := range map[string]string{
		"x":                          "want path=value",
		"=x":                         "want path=value",
		"a..b=x":                     "this is not a path",
		"sinks[=x":                   "this is not a path",
		"sinks[0]x=y":                "this is not a path",
		"sinks.nope.uploads=1":       `no item is named "nope"`,
		"sinks[7].uploads=1":         "the list has 4 items",
		"sinks.archive.bufer.size=1": `did you mean "buffer"`,
		"pipeline.x=1":               "x is a key of a mapping, but there is the text",
		"source[0]=1":                "[0] is an item of a list, but there is a mapping",
		"sinks.archive.uploads=many": "--set sinks.archive.uploads: uploads wants a whole number",
		"sinks.archive.uploads=65":   "--set sinks.archive.uploads: uploads: 65 is out of range",
	} {
		_, err := Load("testdata/good/full.yaml", Options{Set: []string{set}, Env: fixedEnv})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--set") {
			t.Errorf("--set %s: got %v, want %q", set, err, want)
		}
	}
}

func TestHostileFilesAreRefusedQuickly(t *testing.T) {
	laughs := "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 20; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	n := testenv.Count(1<<18, 1<<20)
	for name, src := range map[string]string{
		"flow lists":      strings.Repeat("[", n),
		"flow mappings":   strings.Repeat("{a: ", n/4),
		"block lists":     strings.Repeat("- ", n/2),
		"explicit keys":   strings.Repeat("? ", n/2),
		"anchors":         "a: " + strings.Repeat("&a ", n/3),
		"tags":            "a: " + strings.Repeat("!!a ", n/4),
		"aliases":         laughs,
		"an own alias":    "a: &a [ *a ]",
		"too large":       strings.Repeat("#", maxFileSize+1),
		"a long scalar":   "a: " + strings.Repeat("x", n),
		"a long quote":    "a: \"" + strings.Repeat("\\n", n/2),
		"many keys":       strings.Repeat("a: b\n", n/5),
		"wide mappings":   strings.Repeat("a:\n"+strings.Repeat("  b: c\n", 1990), 1+n/16/1990),
		"a wide flow":     "{" + strings.Repeat("a: b,", n/5) + "}",
		"many lines":      strings.Repeat("\n", n) + "a",
		"long numbers":    strings.Repeat("pipeline: "+strings.Repeat("1", 1000)+"\n", n/1000),
		"wide secrets":    "token: {" + strings.Repeat("a: b, ", n/6) + "}",
		"many secrets":    strings.Repeat("token: [ a, b, c, d, e, f, g ]\n", 500),
		"many colons":     strings.Repeat("a:", n/2),
		"not UTF-8":       "a: \xff",
		"a NUL":           "a: \x00",
		"invalid comment": "#" + strings.Repeat(" #", n/2) + "\n]",
	} {
		start := time.Now()
		_, err := Parse("p.yaml", []byte(src), Options{})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s takes %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
		if len(Render(err, true)) > 1<<20 {
			t.Errorf("%s: %d bytes of errors", name, len(Render(err, true)))
		}
	}
}

func TestRenderKeepsTerminalsSafe(t *testing.T) {
	_, err := Parse("p.yaml", []byte("version: 1\npipeline: \"\u009b31m\u202e\"\nsource: {stream: s}\nx: "+strings.Repeat("y", 500)+"\n"), Options{})
	shown := Render(err, false)
	if strings.ContainsAny(shown, "\u009b\u202e\x1b") {
		t.Errorf("control characters are shown: %q", shown)
	}
	for _, line := range strings.Split(shown, "\n") {
		if len([]rune(line)) > 250 {
			t.Errorf("a line of %d characters", len(line))
		}
	}
	if !strings.Contains(Render(err, true), "\x1b[") {
		t.Error("no colour")
	}
	check(t, "a plain error", Render(errors.New("x"), false), "error: x\n")
	check(t, "a builder's error", strings.Contains(Render(fault.New(fault.Permanent, "a.b", "no").At("testdata/good/minimal.yaml:2:11"), false), "2 | pipeline: p\n  |           ^"), true)
}

func TestScalars(t *testing.T) {
	for in, want := range map[string]string{"5MiB": "5MiB", "1024KiB": "1MiB", "10MB": "10000000B", "0B": "0B", "1kB": "1000B", "1TiB": "1TiB"} {
		b, err := ParseBytes(in)
		check(t, in, []any{b, err}, []any{want, nil})
	}
	for _, in := range []string{"", "5", "5 MiB", "5mib", "-1B", "1.5MiB", "MiB", "9999999999TiB", "5Mi"} {
		if b, err := ParseBytes(in); err == nil {
			t.Errorf("the size %q is %v", in, b)
		}
	}
	for in, want := range map[string]string{"60s": "1m", "24h": "1d", "7d": "7d", "1d12h": "36h", "1h30m": "1h30m", "500ms": "500ms", "0s": "0s", "90m": "1h30m"} {
		d, err := ParseDuration(in)
		check(t, in, []any{d, err}, []any{want, nil})
	}
	for _, in := range []string{"", "5", "0", "-1s", "1d-1h", "d", "1w", "999999999999d", "1.5d", "292277h292277h9999999h9999999h"} {
		if d, err := ParseDuration(in); err == nil {
			t.Errorf("the duration %q is %v", in, d)
		}
	}
}

// Whatever the bytes, Parse returns; what it accepts is whole, and what it refuses can be rendered.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src, "sinks.out.uploads=2")
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, set string) {
		pipelines, err := Parse("p.yaml", src, Options{Env: fixedEnv, Set: []string{set}})
		if err != nil {
			if Render(err, false) == "" {
				t.Error("an error without a text")
			}
			return
		}
		for _, p := range pipelines {
			if p.Name == "" || len(p.Sinks) == 0 || p.Sinks[0].Buffer.Size < 1<<20 {
				t.Errorf("accepted: %+v", p)
			}
		}
	})
}

package builtin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/builtin"
)

// write puts a file into a folder of the test and returns its path.
func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const airports = "\ufeffcode,city,elevation,open\nVIE,Vienna,183,true\n\"IN\"\"N\",\"Inns\nbruck\",5.810e2,false\n,nowhere,1,true\nLNZ,,,\n7,Seven,007,null\nVIE,Wien,183,true\n"

func TestRecordsGetTheColumnsOfTheirRow(t *testing.T) {
	path := write(t, "airports.csv", []byte(airports))
	becomes(t, "enrich", "{ by: .to, key: code, file: '"+path+"' }",
		`{ "to" : "VIE", "n": 1.0 }`, `[{ "to" : "VIE", "n": 1.0,"city":"Wien","elevation":"183","open":"true" }]`,
		`{"to":"IN\"N","city":null}`, `[{"to":"IN\"N","city":"Inns\nbruck","elevation":"5.810e2","open":"false"}]`,
		`{"to":7.0}`, `[{"to":7.0,"city":"Seven","elevation":"007","open":"null"}]`,
		`{"to":"XXX"}`, "unchanged", `{}`, "unchanged", `{"to":null}`, "unchanged", `{"to":""}`, "unchanged",
		`{"to":["VIE"]}`, "unchanged", `{"to":"VIE"`, "enrich.not_json: not JSON: at byte 11: …")
	becomes(t, "enrich", "{ by: '.to[1]', key: code, file: '"+path+"', columns: [ city ] }",
		`{"to":["x","VIE"]}`, `[{"to":["x","VIE"],"city":"Wien"}]`, `{"to":[]}`, "unchanged", "x", "enrich.not_json: the record is not one JSON value: byte 0 does not belong there")
	becomes(t, "enrich", "{ by: .to, key: code, file: '"+path+"', infer: true, into: .a.b, missing: fail }",
		`{"to":"LNZ"}`, `[{"to":"LNZ","a":{"b":{"city":null,"elevation":null,"open":null}}}]`,
		`{"to":"7","a":{"b":1}}`, `[{"to":"7","a":{"b":{"city":"Seven","elevation":"007","open":null}}}]`,
		`{"to":"IN\"N","a":{}}`, `[{"to":"IN\"N","a":{"b":{"city":"Inns\nbruck","elevation":5.810e2,"open":false}}}]`,
		`{"to":"VIE","a":1}`, "enrich.no_object: a is a number, and nothing can be set in it",
		`{"to":"XXX"}`, `enrich.no_row: the reference has no row for "XXX"`, `{"x":1}`, "enrich.no_key: .to is missing or null")
	becomes(t, "enrich", "{ by: .to, key: code, file: '"+path+"', columns: [ city ], overwrite: false, missing: drop }",
		`{"to":"VIE"}`, `[{"to":"VIE","city":"Wien"}]`, `{"to":"VIE","city":0}`, "unchanged", `{}`, "dropped", `{"to":1}`, "dropped")
	becomes(t, "enrich", "{ by: _key, key: code, file: '"+write(t, "keys.tsv.gz", []byte(gzipped(t, "code\tcity\nkey\ta,b\n")))+"', missing: default, default: { city: none } }",
		`{}`, `[{"city":"a,b"}]`, "text", "enrich.not_json: not JSON: at byte 0: …")
	becomes(t, "enrich", "{ by: .to, key: code, file: '"+path+"', missing: default, default: { city: none, x: [ 1 ] } }",
		`{}`, `[{"city":"none","x":[1]}]`, `{"to":"LNZ"}`, `[{"to":"LNZ","city":"","elevation":"","open":""}]`)
}

func TestReferencesInJSON(t *testing.T) {
	for name, content := range map[string]string{
		"rows.json":  ` [ {"id":1,"name":"one","tags":[1, 2]} , {"name":"none"}, {"id":"2","extra":{"a":1.50}}, {"id":null} ] `,
		"rows.jsonl": "{\"id\":1,\"name\":\"one\",\"tags\":[1, 2]}\n{\"name\":\"none\"}\n\n{\"id\":\"2\",\"extra\":{\"a\":1.50}}{\"id\":null}",
	} {
		path := write(t, name, []byte(content))
		becomes(t, "enrich", "{ by: .id, key: id, file: '"+path+"' }",
			`{"id":"1"}`, `[{"id":"1","name":"one","tags":[1, 2]}]`, `{"id":2,"name":"x"}`, `[{"id":2,"name":"x","extra":{"a":1.50}}]`, `{"id":3}`, "unchanged")
		becomes(t, "enrich", "{ by: .id, key: id, columns: [ extra ], missing: fail, file: '"+path+"' }", `{"id":1}`, "unchanged", `{"id":9}`, `enrich.no_row: the reference has no row for "9"`)
		becomes(t, "enrich", "{ by: .id, key: id, into: .row, file: '"+path+"', columns: [ extra, name ] }",
			`{"id":1}`, `[{"id":1,"row":{"name":"one"}}]`, `{"id":2}`, `[{"id":2,"row":{"extra":{"a":1.50}}}]`)
	}
}

// parquetRow has a column of each kind.
type parquetRow struct {
	ID    int32     `parquet:"id"`
	Name  string    `parquet:"name"`
	Big   uint64    `parquet:"big"`
	F     float64   `parquet:"f"`
	G     float32   `parquet:"g"`
	OK    bool      `parquet:"ok"`
	At    time.Time `parquet:"at,timestamp(microsecond)"`
	Day   int32     `parquet:"day,date"`
	Price int64     `parquet:"price,decimal(2:18)"`
	Maybe *string   `parquet:"maybe,optional"`
	UUID  [16]byte  `parquet:"uuid,uuid"`
	Doc   []byte    `parquet:"doc,json"`
	Raw   []byte    `parquet:"raw"`
	Tags  []string  `parquet:"tags,list"`
}

func parquetFile(t testing.TB, codec compress.Codec, rows ...parquetRow) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&b, parquet.Compression(codec))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "rows.parquet", b.Bytes())
}

func TestReferencesInParquet(t *testing.T) {
	text := "there"
	rows := []parquetRow{{
		ID: -7, Name: "é", Big: 1<<64 - 1, F: 1.5, G: 0.25, OK: true, At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Day: 20000, Price: -1234, Maybe: &text,
		UUID: [16]byte{0x12, 0x34, 15: 0xff}, Doc: []byte(` {"a": 1} `), Raw: []byte{0xff, 0}, Tags: []string{"x"},
	}}
	for i := range 1000 {
		rows = append(rows, parquetRow{ID: int32(i), Name: fmt.Sprint("row ", i), Price: 5, Doc: []byte("1")})
	}
	for _, codec := range []compress.Codec{&parquet.Snappy, &parquet.Gzip, &parquet.Uncompressed} {
		becomes(t, "enrich", "{ by: .id, key: id, columns: [ name, maybe ], file: '"+parquetFile(t, codec, rows...)+"' }",
			`{"id":999}`, `[{"id":999,"name":"row 999","maybe":null}]`, `{"id":-7}`, `[{"id":-7,"name":"é","maybe":"there"}]`)
	}
	path := parquetFile(t, &parquet.Zstd, rows...)
	becomes(t, "enrich", "{ by: .id, key: id, into: .r, file: '"+path+"' }",
		`{"id":-7}`, `[{"id":-7,"r":{"name":"é","big":18446744073709551615,"f":1.5,"g":0.25,"ok":true,"at":"2026-01-02T03:04:05.000006Z","day":"2024-10-04","price":-12.34,"maybe":"there","uuid":"12340000-0000-0000-0000-0000000000ff","doc":{"a": 1},"raw":"/wA="}}]`,
		`{"id":"999"}`, `[{"id":"999","r":{"name":"row 999","big":0,"f":0,"g":0,"ok":false,"at":"0001-01-01T00:00:00Z","day":"1970-01-01","price":0.05,"maybe":null,"uuid":"00000000-0000-0000-0000-000000000000","doc":1,"raw":""}}]`)
	becomes(t, "enrich", "{ by: .n, key: name, columns: [ id, price ], file: '"+path+"' }", `{"n":"row 3"}`, `[{"n":"row 3","id":3,"price":0.05}]`)
	damaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "enrich", map[string]string{
		"{ by: .id, key: tags, file: '" + path + "' }":                                            "column tags is a list",
		"{ by: .id, key: id, columns: [ tags ], file: '" + path + "' }":                           "column tags is a list",
		"{ by: .id, key: id, file: '" + parquetFile(t, &parquet.Lz4Raw, rows...) + "' }":          "it is compressed with LZ4_RAW",
		"{ by: .id, key: nosuch, file: '" + path + "' }":                                          `no column "nosuch"`,
		"{ by: .id, key: id, file: '" + write(t, "cut.parquet", damaged[:len(damaged)-5]) + "' }": "cannot be used",
	})
}

// A damaged file is refused, or has other values; it does not stop the process, nor take more memory than it may.
func TestDamagedParquetIsNoPanic(t *testing.T) {
	var files [][]byte
	for _, codec := range []compress.Codec{&parquet.Snappy, &parquet.Gzip, &parquet.Uncompressed, &parquet.Zstd} {
		whole, err := os.ReadFile(parquetFile(t, codec, parquetRow{ID: 1, Name: "one", Doc: []byte("1"), Tags: []string{"x"}}, parquetRow{ID: 2, Doc: []byte("2")}))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, whole)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	refusals := 0
	var before, after runtime.MemStats
	for range testenv.Count(100, 20_000) {
		damaged := bytes.Clone(files[r.IntN(len(files))])
		for range 1 + r.IntN(3) {
			damaged[r.IntN(len(damaged))] ^= byte(1 << r.IntN(8))
		}
		runtime.ReadMemStats(&before)
		tr, err := tryOpen(t, "enrich", "{ by: .id, key: id, file: '"+write(t, "rows.parquet", damaged)+"', memory: 16MiB }")
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 128<<20 {
			t.Errorf("seed %d: %d MiB of memory for a file of %d bytes: %v", seed, took>>20, len(damaged), err)
		}
		if err != nil {
			refusals++
			continue
		}
		if err := tr.Close(context.Background()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if refusals == 0 {
		t.Errorf("seed %d: nothing was refused", seed)
	}
}

func TestReferencesThatCannotBeUsed(t *testing.T) {
	const two = "id,a\n1,x\n"
	var wide strings.Builder
	wide.WriteString("id,a\n")
	for i := range 2000 {
		fmt.Fprintf(&wide, "%d,%s\n", i, strings.Repeat("x", 1000))
	}
	refused(t, "enrich", map[string]string{
		"{ by: .a, key: id, file: /nowhere/x.csv }":                                                                               "no such file",
		"{ by: .a, key: id, file: '" + t.TempDir() + "', format: csv }":                                                           "it is a folder",
		"{ by: .a, key: id, file: '" + write(t, "x.txt", []byte(two)) + "' }":                                                     "does not tell the format",
		"{ by: .a, key: nosuch, file: '" + write(t, "x.csv", []byte(two)) + "' }":                                                 `no column "nosuch"; it has ["id" "a"]`,
		"{ by: .a, key: id, columns: [ b ], file: '" + write(t, "x.csv", []byte(two)) + "' }":                                     `no column "b"`,
		"{ by: .a, key: id, file: '" + write(t, "x.csv", []byte("id,a\n")) + "' }":                                                "no rows",
		"{ by: .a, key: id, file: '" + write(t, "x.csv", nil) + "' }":                                                             "no rows",
		"{ by: .a, key: id, file: '" + write(t, "x.csv", []byte("id,a\n1\n")) + "' }":                                             "wrong number of fields",
		"{ by: .a, key: id, file: '" + write(t, "x.csv", []byte(wide.String())) + "', memory: 1MiB }":                             "it takes more than 1 MiB of memory",
		"{ by: .a, key: id, file: '" + write(t, "x.csv.gz", []byte(gzipped(t, strings.Repeat("x", 5<<20)))) + "', memory: 1MiB }": "it takes more than 1 MiB of memory",
		"{ by: .a, key: id, file: '" + write(t, "x.json", []byte(`[{"id":1},2]`)) + "' }":                                         "row 2 is not an object",
		"{ by: .a, key: nosuch, file: '" + write(t, "x.json", []byte(`[{"id":1,"a":2},{}]`)) + "' }":                              `no column "nosuch"; it has ["id" "a"]`,
		"{ by: .a, key: id, file: '" + write(t, "x.json", []byte(`[{"id":1}`)) + "' }":                                            "EOF",
		"{ by: .a, key: id, file: '" + write(t, "x.json", []byte(`{"id":[1]}`)) + "' }":                                           "the key id is an array or an object",
		"{ by: .a, key: id, file: '" + write(t, "x.json", []byte(`{"id":1`)) + "' }":                                              "row 1: unexpected EOF",
		"{ by: a, key: id, file: x.csv }":                                                                                         "names no part",
		"{ by: .a, key: id, file: x.csv, missing: default }":                                                                      "needs the key default",
		"{ by: .a, key: id, file: x.csv, default: { a: 1 } }":                                                                     "needs missing: default",
		"{ by: .a, key: id, file: x.csv, missing: default, default: 1 }":                                                          "not an object",
		"{ by: .a, key: id, file: x.csv, delimiter: ab }":                                                                         "not one ASCII character",
		"{ by: .a, key: id }": "needs one of the keys",
	})
}

func TestAReferenceIsReadAgainWhenItHasChanged(t *testing.T) {
	path := write(t, "ref.csv", []byte("id,v\n1,one\n"))
	synctest.Test(t, func(t *testing.T) {
		var log testenv.Log
		c := &builtin.Enrich{By: ".id", File: path, Format: "csv", Key: "id", Overwrite: true, Missing: "keep", Delimiter: ",", Refresh: setting.Duration(10 * time.Second), Memory: 1 << 20}
		tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		becoming := func(want string) {
			t.Helper()
			if got := apply(t, tr, `{"id":1}`)[0].String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		change := func(content string) {
			t.Helper()
			next := path + ".new" // as a careful writer does it
			if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, path); err != nil {
				t.Fatal(err)
			}
		}
		becoming(`[{"id":1,"v":"one"}]`)
		change("id,v,w\n1,uno,x\n")
		becoming(`[{"id":1,"v":"one"}]`)
		time.Sleep(11 * time.Second)
		becoming(`[{"id":1,"v":"uno","w":"x"}]`)
		change("id,v\n1\n")
		time.Sleep(time.Minute)
		becoming(`[{"id":1,"v":"uno","w":"x"}]`)
		if n := log.Count("level=WARN"); n != 1 {
			t.Errorf("%d warnings about a broken reference", n)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		becoming(`[{"id":1,"v":"uno","w":"x"}]`)
		change("id,v\n1,eins\n")
		time.Sleep(11 * time.Second)
		becoming(`[{"id":1,"v":"eins"}]`)
		if n, m := log.Count("level=WARN"), log.Count("level=INFO"); n != 2 || m != 2 {
			t.Errorf("%d warnings and %d notes", n, m)
		}
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Records keep being enriched from one table or the other while it is read again.
func TestATableIsSwappedAsAWhole(t *testing.T) {
	path := write(t, "ref.csv", []byte("id,v,w\n1,0,0\n"))
	var log testenv.Log
	c := &builtin.Enrich{By: ".id", File: path, Format: "csv", Key: "id", Overwrite: true, Missing: "fail", Delimiter: ",", Refresh: setting.Duration(time.Millisecond), Memory: 1 << 20}
	tr, err := c.Open(t.Context(), builtin.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				got := apply(t, tr, `{"id":1}`)[0]
				var v, w int
				if _, err := fmt.Sscanf(got.String(), `[{"id":1,"v":"%d","w":"%d"}]`, &v, &w); err != nil || v != w {
					t.Errorf("%s: %v", got, err)
					return
				}
			}
		})
	}
	for i := 0; ctx.Err() == nil; i++ {
		next := path + ".new"
		if err := os.WriteFile(next, []byte(fmt.Sprintf("id,v,w\n1,%d,%d\n", i, i)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	all.Wait()
	if err := tr.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := log.Count("has changed"); n < 2 {
		t.Errorf("read again %d times", n)
	}
}

func FuzzEnrichReference(f *testing.F) {
	f.Add([]byte(airports), uint8(0))
	f.Add([]byte(`[{"code":1,"a":"\ud800"},{"code":2}]`), uint8(1))
	f.Add([]byte("{\"code\":1,\"a\":{\"b\":[]}}\n{\"code\":\"x\"}"), uint8(1))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		path := filepath.Join(dir, []string{"r.csv", "r.json"}[kind%2])
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, into := range []string{"", ", into: .x"} {
			tr, err := tryOpen(t, "enrich", "{ by: .id, key: code, infer: true, file: '"+path+"'"+into+" }")
			if err != nil {
				continue
			}
			for _, got := range apply(t, tr, `{"id":1}`, `{"id":"x"}`, `{"id":"VIE"}`) {
				for _, out := range got.Outs {
					if !json.Valid([]byte(out)) {
						t.Fatalf("%q became %q", data, out)
					}
				}
			}
			if err := tr.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkEnrich(b *testing.B) {
	path := write(b, "users.csv", []byte("id,name,country\nu-8842,Ann,AT\n"))
	for name, settings := range map[string]string{"merge": "", "into": ", into: .account"} {
		b.Run(name, func(b *testing.B) {
			measure(b, open(b, "enrich", "{ by: .user.id, key: id, file: '"+path+"'"+settings+" }"), logLine)
		})
	}
}

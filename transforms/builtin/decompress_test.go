package builtin_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat/internal/testenv"
)

func gzipped(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t testing.TB, data string, options ...zstd.EOption) string {
	t.Helper()
	z, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return string(z.EncodeAll([]byte(data), nil))
}

func TestCompressedRecordsAreUnpacked(t *testing.T) {
	long := strings.Repeat("a line of some text\n", 20_000)
	for _, settings := range []string{"{}", "layers: 3"} {
		becomes(t, "decompress", settings,
			gzipped(t, "hello"), "[hello]", gzipped(t, ""), "[]", zstded(t, "hello"), "[hello]",
			gzipped(t, long), "["+long+"]", zstded(t, long), "["+long+"]",
			gzipped(t, "one,")+gzipped(t, "")+gzipped(t, "two"), "[one,two]",
			zstded(t, "one,")+"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"+zstded(t, "two"), "[one,two]",
			"hello", `decompress.not_compressed: the record does not begin as a compressed one: "hello"`,
			"", `decompress.not_compressed: the record does not begin as a compressed one: ""`,
			gzipped(t, "hello")[:20], "decompress.damaged: layer 1 begins as gzip and cannot be unpacked: it ends too early",
			zstded(t, "hello")[:12], "decompress.damaged: layer 1 begins as zstd and cannot be unpacked: it ends too early",
			gzipped(t, "hello")+"x", "decompress.damaged: layer 1 begins as gzip and cannot be unpacked: it ends too early",
		)
	}
	twice := gzipped(t, zstded(t, gzipped(t, "x")))
	becomes(t, "decompress", "layers: 3", twice, "[x]")
	becomes(t, "decompress", "layers: 2", twice, "["+gzipped(t, "x")+"]")
	becomes(t, "decompress", "{ format: zstd, plain: keep }", "hello", "unchanged", gzipped(t, "x"), "unchanged", zstded(t, "x"), "[x]")
	tr := open(t, "decompress", "{}")
	flipped := []byte(gzipped(t, "hello"))
	flipped[len(flipped)-5] ^= 1
	if got := apply(t, tr, string(flipped), gzipped(t, "after"), zstded(t, "that")); !strings.HasPrefix(got[0].String(), "decompress.damaged") || fmt.Sprint(got[1:]) != "[[after] [that]]" {
		t.Errorf("got %v", got)
	}
}

// A few bytes can say that they are gigabytes.
func TestABombFailsItsRecordAlone(t *testing.T) {
	tr := open(t, "decompress", "max_size: 1MiB")
	exact, bomb := strings.Repeat("x", 1<<20), strings.Repeat("\x00", 1<<24)
	got := apply(t, tr, gzipped(t, bomb), gzipped(t, exact), zstded(t, bomb), zstded(t, exact), zstded(t, exact+"y"), gzipped(t, exact+"y"))
	const tooLarge = "decompress.too_large: the record has more than 1048576 bytes when it is unpacked"
	for i, want := range []string{tooLarge, "[" + exact + "]", tooLarge, "[" + exact + "]", tooLarge, tooLarge} {
		if got[i].String() != want {
			t.Errorf("record %d: %.100s", i, got[i])
		}
	}
	wide := zstded(t, strings.Repeat("0123456789abcdef", 1<<20), zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))
	if got := apply(t, open(t, "decompress", "max_size: 64MiB"), wide)[0].String(); !strings.HasPrefix(got, "decompress.damaged") || !strings.Contains(got, "window") {
		t.Errorf("a window of 128 MiB: %.100s", got)
	}
}

const envelope = `{"owner":"1","logGroup":"web","logStream":"a b","subscriptionFilters":["f"],"messageType":"DATA_MESSAGE","logEvents":[ {"id":"1","timestamp":14,"message":"{\"a\":\"\u00e9\"}"} , {"message":"two\n"}]}`

func TestEnvelopesOfCloudWatchLogs(t *testing.T) {
	becomes(t, "decompress", "cloudwatch_logs: {}", gzipped(t, envelope), "["+envelope+"]", gzipped(t, `{"messageType":"CONTROL_MESSAGE","logEvents":[]}`), "dropped")
	becomes(t, "decompress", "cloudwatch_logs: { extract: message }", gzipped(t, envelope), "[{\"a\":\"é\"} two\n]", gzipped(t, `{"messageType":"DATA_MESSAGE","logEvents":[]}`), "dropped")
	becomes(t, "decompress", "cloudwatch_logs: { extract: event }", gzipped(t, envelope), `[{"id":"1","timestamp":14,"message":"{\"a\":\"\u00e9\"}"} {"message":"two\n"}]`)
	becomes(t, "decompress", "{ layers: 2, cloudwatch_logs: { extract: event, keep: [ logStream, subscriptionFilters, owner, messageType ] } }", gzipped(t, gzipped(t, envelope)),
		`[{"id":"1","timestamp":14,"message":"{\"a\":\"\u00e9\"}","logStream":"a b","subscriptionFilters":["f"],"owner":"1","messageType":"DATA_MESSAGE"} {"message":"two\n","logStream":"a b","subscriptionFilters":["f"],"owner":"1","messageType":"DATA_MESSAGE"}]`)
	const not = "decompress.not_cloudwatch_logs: "
	becomes(t, "decompress", "{ plain: keep, cloudwatch_logs: { extract: message } }",
		`{"messageType":"DATA_MESSAGE"}`, not+"the record has no logEvents",
		`{"messageType":"DATA_MESSAGE","logEvents":{}}`, not+"the record has no logEvents",
		`{"messageType":"DATA_MESSAGE","logEvents":[{"message":"x"},{"message":1}]}`, not+"log event 2 has no message",
		`{"messageType":"DATA_MESSAGE","logEvents":[["message"]]}`, not+"log event 1 has no message",
		`{"messageType":7}`, not+"the record has no messageType of CloudWatch Logs",
		`[]`, not+"the record has no messageType of CloudWatch Logs",
		`x`, not+"the record is not the JSON of CloudWatch Logs: byte 0 does not belong there")
	refused(t, "decompress", map[string]string{
		"cloudwatch_logs: { extract: event, keep: [ nosuch ] }": `no field "nosuch"`,
		"cloudwatch_logs: { keep: [ owner ] }":                  "no meaning",
		"max_size: 1GiB":                                        "out of range",
	})
}

func TestWhatTheProgramsCompress(t *testing.T) {
	for _, program := range []string{"gzip", "zstd"} {
		path := testenv.Program(t, program, "apt-get install "+program)
		for _, level := range []string{"-1", "-9"} {
			cmd := exec.Command(path, level, "-c")
			cmd.Stdin = strings.NewReader(strings.Repeat(logLine+"\n", 1000))
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			becomes(t, "decompress", "{}", string(out), "["+strings.Repeat(logLine+"\n", 1000)+"]")
		}
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte(gzipped(f, envelope)))
	f.Add([]byte(zstded(f, gzipped(f, envelope))))
	f.Add([]byte(envelope))
	f.Add([]byte(gzipped(f, `{"messageType":"DATA_MESSAGE","logEvents":[{"message":"\ud800"},{`)))
	tr := open(f, "decompress", "{ layers: 3, plain: keep, max_size: 64KiB, cloudwatch_logs: { extract: event, keep: [ owner ] } }")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, got := range apply(t, tr, string(data)) {
			for _, out := range got.Outs {
				if len(out) > 128<<10 {
					t.Fatalf("an output of %d bytes", len(out))
				}
			}
		}
	})
}

func BenchmarkDecompress(b *testing.B) {
	lines := strings.Repeat(logLine+"\n", 10)
	b.Run("gzip", func(b *testing.B) { measure(b, open(b, "decompress", "{}"), gzipped(b, lines)) })
	b.Run("zstd", func(b *testing.B) { measure(b, open(b, "decompress", "{}"), zstded(b, lines)) })
	b.Run("cloudwatch_logs", func(b *testing.B) {
		measure(b, open(b, "decompress", "cloudwatch_logs: { extract: event, keep: [ logGroup ] }"), gzipped(b, envelope))
	})
}

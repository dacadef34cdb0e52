package feeder

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// sink takes everything at once.
type sink struct{ records, bytes int }

func (s *sink) PutMarked(_ context.Context, entries []stream.Entry, _ *shardlog.Mark) ([]stream.PutResult, error) {
	s.records += len(entries)
	for i := range entries {
		s.bytes += len(entries[i].Key) + len(entries[i].Data)
	}
	return nil, nil
}

func (*sink) Mark(string) (shardlog.Mark, bool) { return shardlog.Mark{}, false }

// logLines writes about 64 MiB of lines like those of a web server's log and returns the file's path and size.
func logLines(b *testing.B, line func(i int) string) (path string, size int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "access.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := 0; size < 64<<20; i++ {
		n, _ := fmt.Fprintln(w, line(i))
		size += int64(n)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, size
}

func ndjson(i int) string {
	return fmt.Sprintf(`{"ts":"2026-11-22T23:%02d:%02d.%06dZ","level":"info","method":"GET","path":"/api/v1/items/%d","status":200,"user":"u%d","ms":%d,"agent":"Mozilla/5.0 (X11; Linux x86_64)"}`,
		i/60%60, i%60, i%1_000_000, i*7919%100_000, i%5000, i%900)
}

func csvRow(i int) string {
	return fmt.Sprintf(`%d,2026-11-22,"Airport, No. %d",State %d,OPERATOR %d,%d,text that nobody reads but everybody stores`, i, i%300, i%50, i%200, i%400)
}

// BenchmarkFeed reads a file from page cache into a stream that costs nothing; compare with BenchmarkBare.
func BenchmarkFeed(b *testing.B) {
	for _, c := range []struct {
		name string
		key  Key
		line func(int) string
	}{
		{"random key", Key{}, ndjson},
		{"JSON key", Key{JSON: ".user"}, ndjson},
		{"CSV key", Key{CSVColumn: 5}, csvRow},
	} {
		b.Run(c.name, func(b *testing.B) {
			path, size := logLines(b, c.line)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				s := new(sink)
				f, err := New(Config{Name: "bench", Inputs: []Input{{Paths: []string{path}, Key: c.key}}, UntilIdle: true}, s, slog.New(slog.DiscardHandler))
				if err == nil {
					err = f.Run(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				if f.Stats().Bytes != size {
					b.Fatalf("%+v", f.Stats())
				}
			}
		})
	}
}

// BenchmarkBare only reads the file and finds its newlines.
func BenchmarkBare(b *testing.B) {
	path, size := logLines(b, ndjson)
	b.SetBytes(size)
	buf := make([]byte, DefaultBatchBytes)
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		lines, kept := 0, 0
		for {
			n, err := f.Read(buf[kept:])
			p := buf[:kept+n]
			for {
				i := bytes.IndexByte(p, '\n')
				if i < 0 {
					break
				}
				lines++
				p = p[i+1:]
			}
			kept = copy(buf, p)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Close(); err != nil || lines == 0 {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan looks at 10,000 files in which nothing happens.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.log", i)), []byte("line\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	cfg, err := Config{Name: "bench", Inputs: []Input{{Paths: []string{dir + "/*.log"}}}}.resolve()
	if err != nil {
		b.Fatal(err)
	}
	f := &Feeder{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	w := newWatch(f, nil)
	now := time.Now()
	w.scan(now)
	w.queue = nil
	b.ReportAllocs()
	for b.Loop() {
		w.scan(now)
	}
}

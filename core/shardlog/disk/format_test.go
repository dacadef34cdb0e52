package disk

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

var update = flag.Bool("update", false, "write the golden log anew")

// TestGoldenLog reads a log that was written when the format was made. If it fails, data of users does not open any more.
func TestGoldenLog(t *testing.T) {
	dir := filepath.Join("testdata", "golden")
	if *update {
		writeGolden(t, dir)
	}
	var got bytes.Buffer
	if err := Dump(vfs.OS(), dir, &got); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("testdata", "golden.txt")
	dump := strings.ReplaceAll(got.String(), "\\", "/")
	if *update {
		if err := os.WriteFile(name, []byte(dump), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if dump != string(want) {
		t.Errorf("dump of the golden log:\n%s\nwant:\n%s", dump, want)
	}
	if sum, err := Verify(vfs.OS(), dir, func(d Damage) { t.Error(&d) }); err != nil || sum.Records != 5 {
		t.Errorf("verify: %+v, %v", sum, err)
	}
	l, err := OpenReadOnly(vfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := record.NewBatch()
	defer b.Release()
	if _, err := l.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, b); err != nil || b.Len() != 3 {
		t.Fatal(b.Len(), err)
	}
	if r := b.Records[1]; string(r.Data) != "two" || r.Key != "key" || r.Attrs[0] != (record.Attr{Name: "name", Value: "value"}) || r.Arrived != goldenTime.UnixNano() {
		t.Errorf("record %+v", r)
	}
	if m, ok := l.Mark("feeder"); !ok || string(m.State) != "position 2" {
		t.Errorf("mark %+v %v", m, ok)
	}
	if _, err := l.Append(t.Context(), []shardlog.Run{{}}, nil); err == nil {
		t.Error("a log that is open for reading took an append")
	}
}

var goldenTime = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func writeGolden(t *testing.T, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for life := range 2 {
		l, err := Open(vfs.OS(), dir, Options{Now: func() time.Time { return goldenTime }, Reserve: -1, Epoch: 7})
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			err = l.Reshard(ctx, nil, []shardlog.Shard{{ID: 0, Meta: []byte("first")}, {ID: 1}})
		} else {
			err = l.Reshard(ctx, []record.ShardID{1}, []shardlog.Shard{{ID: 2, Meta: []byte("child")}})
		}
		if err != nil {
			t.Fatal(err)
		}
		entry := func(s string) shardlog.Entry {
			return shardlog.Entry{Key: "key", Data: []byte(s), Attrs: record.Attrs{{Name: "name", Value: "value"}}}
		}
		runs := []shardlog.Run{{Shard: 0, Entries: []shardlog.Entry{entry("one"), entry("two")}}, {Shard: 1, Entries: []shardlog.Entry{entry("x")}}}
		if life == 1 {
			runs = []shardlog.Run{{Shard: 0, Entries: []shardlog.Entry{entry("three")}}, {Shard: 2, Entries: []shardlog.Entry{entry("y")}}}
		}
		if _, err := l.Append(ctx, runs, &shardlog.Mark{Producer: "feeder", State: []byte("position " + string(rune('1'+life)))}); err != nil {
			t.Fatal(err)
		}
		l.promise()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The parsers of the format must neither panic nor take much memory, whatever they are given.

func FuzzBlock(f *testing.F) {
	for _, p := range goldenSegments(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r := blockReader{f: bytes.NewReader(p), segment: 1, end: int64(len(p))}
		for off := int64(0); ; {
			h, bad, err := r.next(off)
			if err != nil {
				t.Fatal(err)
			}
			if bad != nil {
				break
			}
			for i := range r.table.runs {
				e := &r.table.runs[i]
				left := newBudget(shardlog.ReadLimit{})
				b := record.NewBatch()
				_, _ = decodeRun(e, p[off+int64(e.offset):][:e.length], e.first, &left, b)
				b.Release()
			}
			off += int64(h.length)
		}
	})
}

func FuzzRun(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00\x01\x00\x01\x00kdat\x01\x00\x01\x00\x00\x00nv"), uint32(1))
	f.Fuzz(func(t *testing.T, p []byte, count uint32) {
		left := newBudget(shardlog.ReadLimit{})
		b := record.NewBatch()
		defer b.Release()
		e := runEntry{count: count, first: 1}
		if next, err := decodeRun(&e, p, 1, &left, b); err == nil && next != 1+uint64(b.Len()) {
			t.Fatalf("%d records, next is %d", b.Len(), next)
		}
	})
}

func FuzzSegment(f *testing.F) {
	for _, p := range goldenSegments(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		o := Options{}
		o.setDefaults()
		_, _ = readTail(bytes.NewReader(p), 1, "fuzz", int64(len(p)), 0, &o)
		if tr, err := readTrailer(bytes.NewReader(p), 1, int64(len(p))); err == nil {
			if body, err := readIndex(bytes.NewReader(p), &tr); err == nil {
				_, _ = tr.stateOf(body)
			}
			_, _ = lookupIndex(bytes.NewReader(p), &tr, &segment{}, 0, 1, false)
		}
	})
}

func goldenSegments(f *testing.F) (out [][]byte) {
	for _, id := range []uint64{1, 2} {
		p, err := os.ReadFile(filepath.Join("testdata", "golden", segmentName(id)))
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

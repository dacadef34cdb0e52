package feeder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

// machine is a real stream on a file system that loses power.
type machine struct {
	t       *testing.T
	store   *state.Store
	streams *stream.Streams
	stream  *stream.Stream
}

func boot(t *testing.T, fsys vfs.FS) *machine {
	t.Helper()
	m := &machine{t: t}
	var err error
	if m.store, err = state.Open(fsys, "/data/state", state.Options{}); err != nil {
		t.Fatal(err)
	}
	if m.streams, err = stream.Open(fsys, "/data/streams", m.store, stream.Options{}); err != nil {
		t.Fatal(err)
	}
	m.stream, err = m.streams.Get("s")
	if fault.CodeOf(err) == "stream.not_found" {
		m.stream, err = m.streams.Create(t.Context(), "s", stream.Config{Shards: 4})
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) halt() error { return errors.Join(m.streams.Close(), m.store.Close()) }

// contents returns what each shard holds.
func (m *machine) contents() (shards [][]string) {
	m.t.Helper()
	b := record.NewBatch()
	defer b.Release()
	for _, sh := range m.stream.Log().Shards() {
		b.Reset()
		for at := sh.TrimHorizon; at < sh.Next; {
			next, err := m.stream.Log().Read(m.t.Context(), sh.ID, at, shardlog.ReadLimit{Records: 1000, Bytes: 1 << 20}, b)
			if err != nil {
				m.t.Fatal(err)
			}
			at = next
		}
		var lines []string
		for i := range b.Records {
			lines = append(lines, string(b.Records[i].Data))
		}
		shards = append(shards, lines)
	}
	return shards
}

// TestPowerFailuresNeitherLoseNorDoubleLines feeds three growing files into a real stream. The power fails at any
// operation of the stream's file system, and takes some of what was not synced with it.
func TestPowerFailuresNeitherLoseNorDoubleLines(t *testing.T) {
	for seed := range uint64(testenv.Count(10, 200)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			cfg := Config{Name: "test", Inputs: []Input{{Paths: []string{dir + "/*.log"}, Key: Key{CSVColumn: 2}}}, UntilIdle: true, BatchBytes: 4096}
			written, failures := 0, 0
			mem := vfs.NewMem()
			m := boot(t, mem)
			if err := m.halt(); err != nil {
				t.Fatal(err)
			}
			for round := range 12 {
				for file := range 3 {
					var b strings.Builder
					for range rng.IntN(300) + 1 {
						written++
						fmt.Fprintf(&b, "%d,key %d,%d,%s\n", written, rng.IntN(50), file, strings.Repeat("x", rng.IntN(80)))
					}
					f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(file, ".log")), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
					if err == nil {
						_, err = f.WriteString(b.String())
						err = errors.Join(err, f.Close())
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				ctx, powerOff := context.WithCancel(t.Context())
				var left atomic.Int64
				left.Store(1 << 60)
				m = boot(t, vfs.NewErrors(mem, func(vfs.Op, string, int) vfs.Fault {
					if left.Add(-1) == 0 {
						mem.Freeze()
						powerOff()
					}
					return vfs.Fault{}
				}))
				if round < 11 {
					left.Store(1 + rng.Int64N(15))
				}
				f, err := New(cfg, m.stream, slog.New(slog.DiscardHandler))
				if err == nil {
					err = f.Run(ctx)
				}
				died := ctx.Err() != nil
				if err != nil && !died {
					t.Fatal(err)
				}
				if died {
					failures++
				}
				left.Store(1 << 60)
				powerOff()
				if round == 11 {
					break
				}
				mem.Freeze()
				_ = m.halt()
				mem = mem.Crash(rng, rng.IntN(3)*50)
			}
			seen := make(map[int]bool)
			for shard, lines := range m.contents() {
				last := make(map[int]int) // of a file
				for _, line := range lines {
					var n, key, file int
					if _, err := fmt.Sscanf(line, "%d,key %d,%d,", &n, &key, &file); err != nil || seen[n] {
						t.Fatalf("line %.20q is there twice, or is none: %v", line, err)
					}
					if n < last[file] {
						t.Fatalf("shard %d: line %d of file %d comes after %d", shard, n, file, last[file])
					}
					seen[n], last[file] = true, n
				}
			}
			if len(seen) != written {
				t.Fatalf("%d lines stored of %d written, with %d power failures", len(seen), written, failures)
			}
			if failures == 0 {
				t.Error("the power never failed")
			}
			if err := m.halt(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

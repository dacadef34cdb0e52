// Package peers compares leat's host of WebAssembly with Extism's, on the same work by the same source in Go. It is a module of
// its own, so that Extism stays out of leat's dependencies.
package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	extism "github.com/extism/go-sdk"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

const (
	records = 500
	size    = 1 << 10
)

var works = []string{"count", "upper", "identity"}

func input() [][]byte {
	recs := make([][]byte, records)
	for i := range recs {
		recs[i] = make([]byte, size)
		for j := range recs[i] {
			recs[i][j] = "the quick brown fox jumps over the lazy dog "[(i+j)%44]
		}
	}
	return recs
}

// runner does some work on records and returns what became of them, valid until its next call.
type runner func(recs [][]byte) ([][]byte, error)

func leatRunner(t testing.TB, work string, guard wasm.Guard) runner {
	t.Helper()
	path, err := build.Build(t.Context(), build.Config{Dir: filepath.Join("guests", "leat")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Open(t.Context(), wasm.Config{Path: path, Guard: guard, Instances: 1, Config: fmt.Appendf(nil, `{"work":%q}`, work)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	in, out, results := record.NewBatch(), new(stage.Output), [][]byte(nil)
	return func(recs [][]byte) ([][]byte, error) {
		in.Reset()
		for i, r := range recs { // not copied, as nothing is in a pipeline
			in.Records = append(in.Records, record.Record{Seq: uint64(i + 1), Key: "key", Data: r})
		}
		out.Reset()
		if err := m.Apply(t.Context(), in, out); err != nil {
			return nil, err
		}
		results = results[:0]
		for i, r := range out.Results {
			switch r.Status {
			case stage.Unchanged:
				results = append(results, recs[i])
			case stage.OK:
				results = append(results, out.Outs[r.First].Data)
			default:
				return nil, fmt.Errorf("record %d: %+v", i, r)
			}
		}
		return results, nil
	}
}

// extismRunner calls the plug-in with perCall records at a time.
func extismRunner(t testing.TB, work string, perCall int) runner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "extism.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", path, "./guests/extism")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	p, err := extism.NewPlugin(t.Context(), extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: path}}}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var in []byte
	var results [][]byte
	return func(recs [][]byte) ([][]byte, error) {
		results = results[:0]
		for lo := 0; lo < len(recs); lo += perCall {
			in = in[:0]
			for _, r := range recs[lo:min(lo+perCall, len(recs))] {
				in = append(binary.LittleEndian.AppendUint32(in, uint32(len(r))), r...)
			}
			code, out, err := p.Call(work, in)
			if err != nil || code != 0 {
				return nil, fmt.Errorf("code %d: %w", code, err)
			}
			if perCall < len(recs) {
				out = bytes.Clone(out) // the next call writes over it
			}
			for len(out) > 0 {
				n := binary.LittleEndian.Uint32(out)
				results, out = append(results, out[4:4+n]), out[4+n:]
			}
		}
		return results, nil
	}
}

func TestBothDoTheSameWork(t *testing.T) {
	one, err := os.ReadFile("guests/leat/work.go")
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile("guests/extism/work.go")
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the two guests differ in their work.go: %v", err)
	}
	recs := input()
	for _, work := range works {
		want, err := leatRunner(t, work, wasm.Metered)(recs)
		if err != nil {
			t.Fatal(err)
		}
		for _, perCall := range []int{records, 1} {
			got, err := extismRunner(t, work, perCall)(recs)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) || len(got) != records {
				t.Fatalf("%s: %d and %d results", work, len(got), len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) || len(got[i]) == 0 {
					t.Fatalf("%s: record %d is %.20q and %.20q", work, i, got[i], want[i])
				}
			}
		}
	}
}

func BenchmarkWork(b *testing.B) {
	recs := input()
	for _, work := range works {
		for _, host := range []struct {
			name string
			open func() runner
		}{
			{"leat/none", func() runner { return leatRunner(b, work, wasm.None) }},
			{"leat/metered", func() runner { return leatRunner(b, work, wasm.Metered) }},
			{"extism/500-a-call", func() runner { return extismRunner(b, work, records) }},
			{"extism/1-a-call", func() runner { return extismRunner(b, work, 1) }},
		} {
			b.Run(work+"/"+host.name, func(b *testing.B) {
				run := host.open()
				b.SetBytes(records * size)
				for b.Loop() {
					if _, err := run(recs); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
			})
		}
	}
}

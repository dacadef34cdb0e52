// Package birdstrikes tests the example's module as leat runs it: built from its folder and hosted.
package birdstrikes

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

func open(t testing.TB, guard wasm.Guard) *stage.Chain {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "no go command to build the module with")
	}
	p, err := spec.Load("pipeline.yaml", spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	path, err := build.Build(ctx, build.Config{Dir: "csv2json"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Open(ctx, wasm.Config{Path: path, Config: json.RawMessage(p[0].Transforms[0].Config), Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	chain := stage.NewChain(stage.Link{Name: "csv-to-json", Transform: m})
	t.Cleanup(func() {
		if err := chain.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return chain
}

// batches reads the rows of a file, without its header, in batches of n.
func batches(t testing.TB, file string, n int) []*record.Batch {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))[1:]
	var all []*record.Batch
	for chunk := range slices.Chunk(lines, n) {
		b := record.NewBatch()
		for _, l := range chunk {
			b.Add(record.Record{Data: l, Key: "operator"})
		}
		all = append(all, b)
	}
	return all
}

func TestEveryRowBecomesAnObjectOfOneOf29States(t *testing.T) {
	chain := open(t, wasm.Interrupt)
	states, noSpeed := map[string]int{}, 0
	var f stage.Final
	defer f.Release()
	for _, b := range batches(t, "birdstrikes.csv", 500) {
		if err := chain.Run(context.Background(), b, &f); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Roots {
			if r.N != 1 {
				t.Fatalf("%q: %+v", b.Records[i].Data, r.Fail)
			}
			var row struct {
				State string `json:"origin_state"`
				Speed *int   `json:"speed_ias_knots"`
			}
			if err := json.Unmarshal(f.Outs[r.First].Data, &row); err != nil {
				t.Fatal(err)
			}
			states[row.State]++
			if row.Speed == nil {
				noSpeed++
			}
		}
		b.Release()
	}
	if len(states) != 29 || noSpeed != 2836 {
		t.Errorf("%d states, %d rows without a speed", len(states), noSpeed)
	}
}

func TestEveryBrokenRowFailsWithItsCode(t *testing.T) {
	chain := open(t, wasm.Interrupt)
	var f stage.Final
	defer f.Release()
	if err := chain.Run(context.Background(), batches(t, "broken.csv", 500)[0], &f); err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{}
	for i, r := range f.Roots {
		if r.Fail == nil {
			t.Errorf("row %d is good", i)
			continue
		}
		codes[r.Fail.Code]++
	}
	want := map[string]int{"csv.too_few_fields": 2, "csv.too_many_fields": 2, "csv.bad_quote": 3, "csv.not_an_integer": 3, "csv.not_a_date": 1, "csv.invalid_utf8": 2}
	if !maps.Equal(codes, want) {
		t.Errorf("got %v, want %v", codes, want)
	}
}

func BenchmarkCSVToJSON(b *testing.B) {
	for _, guard := range []wasm.Guard{wasm.Interrupt, wasm.None} {
		b.Run(string(guard), func(b *testing.B) {
			chain := open(b, guard)
			all := batches(b, "birdstrikes.csv", 500)
			size := 0
			for _, r := range all[0].Records {
				size += len(r.Data)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var f stage.Final
			for b.Loop() {
				if err := chain.Run(context.Background(), all[0], &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

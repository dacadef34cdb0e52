package wasm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// lastUsed is the instance that the next call gets.
func lastUsed(t *testing.T, m *Module) *instance {
	i, err := m.take(t.Context(), false)
	if err == nil {
		err = m.give(t.Context(), i)
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestGuestsOfAllLanguagesGoOnAsIfACallThatFailedHadNotBeen compares a module whose calls fail, at random, with one that gets only those
// which succeed. The guests are those of the conformance tests: what their allocators and runtimes keep is put back with them.
func TestGuestsOfAllLanguagesGoOnAsIfACallThatFailedHadNotBeen(t *testing.T) {
	for _, language := range []string{"go", "rust", "c", "assemblyscript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			path, err := build.Build(t.Context(), build.Config{Dir: filepath.Join("..", "sdk", "conformance", "testdata", "guests", language)})
			if fault.CodeOf(err) == build.CodeNoToolchain {
				testenv.Missing(t, "%v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			seed := uint64(time.Now().UnixNano())
			rnd := rand.New(rand.NewPCG(seed, 0))
			cfg := Config{Path: path, Instances: 1, Fuel: Fuel{Base: 8_000_000}, MemoryLimit: 256 << 20, Timeout: time.Minute}
			m, model := wary(t, cfg), open(t, cfg)
			fine := func() string {
				switch rnd.IntN(6) {
				case 0:
					return fmt.Sprint("emit ", rnd.IntN(200))
				case 1:
					return fmt.Sprint("big ", rnd.IntN(300_000))
				case 2:
					return "upper " + strings.Repeat("x", rnd.IntN(20_000))
				case 3:
					return `set a.b "x" {"a":{"b":[1,2,3]},"c":"` + strings.Repeat("y", rnd.IntN(5000)) + `"}`
				}
				return "calls"
			}
			putBack, lost := 0, 0
			for range testenv.Count(40, 200) {
				data := make([]string, 1+rnd.IntN(20))
				for n := range data {
					data[n] = fine()
				}
				bad := rnd.IntN(2) == 0
				if bad {
					words := []string{"spin", "recurse", "big 7000000", "boom", "spin", "recurse", "spin", "recurse", "big 7000000", "boom", "hoard"}
					word := words[rnd.IntN(len(words))]
					if word == "boom" && language == "go" { // its SDK fails that record alone
						word = "spin"
					}
					data[rnd.IntN(len(data))] = word
				}
				before := lastUsed(t, m)
				m.size.failed(cautiousIfSaved)
				m.making.Store(int64(time.Hour)) // the judge's took less
				got, _, err := apply(t, m, data...)
				if failed, ok := errors.AsType[*callError](err); ok != bad || ok && failed.Done() != 0 {
					t.Fatalf("seed %d: %.40q: %v", seed, data, err)
				}
				switch {
				case !bad:
					want, _, err := apply(t, model, data...)
					if err != nil || !slices.Equal(got, want) {
						t.Fatalf("seed %d: after %d calls put back %.40q became %.40q, not %.40q, %v", seed, putBack, data, got, want, err)
					}
				case lastUsed(t, m) == before:
					putBack++
				default:
					lost++
					i, err := model.take(t.Context(), false)
					if err == nil {
						err = model.lose(t.Context(), i)
						<-model.pool.slots
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if putBack < 5 {
				t.Errorf("seed %d: %d calls were put back, and %d instances lost", seed, putBack, lost)
			}
			t.Logf("%d calls were put back, and %d instances lost", putBack, lost)
		})
	}
}

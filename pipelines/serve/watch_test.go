package serve

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

func (b *bench) test(context.Context, *spec.Pipeline, build.Options) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refuse
}

func (b *bench) allow(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

// starts counts the versions of pipelines that have started.
func (b *bench) starts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.started
}

// Watched, a module that changes makes its pipeline start anew, if it builds and passes its tests; what does not leaves what
// runs alone.
func TestAWatchedModuleTakesOverIfItIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.watch = true
		text := func(prefix string) string {
			return fmt.Sprintf("version: 1\npipeline: a\nsource: { stream: s }\ntransforms: [ { name: t, wasm: { module: ./m.wasm } } ]\nsinks: [ { name: out, prefix: %s/, file: { dir: ./out } } ]\n", prefix)
		}
		b.writeRaw("m.wasm", "one")
		b.writeRaw("a.yaml", text("1"))
		b.serve()
		defer b.stop()
		b.look(2)
		b.wantRunning("a 1")
		want := func(starts int, what string) {
			t.Helper()
			b.look(3)
			if got := b.starts(); got != starts {
				t.Errorf("%s: %d starts, want %d", what, got, starts)
			}
		}
		want(1, "nothing has changed")
		b.writeRaw("m.wasm", "one")
		want(1, "the same bytes again")
		b.writeRaw("m.wasm", "two!")
		want(2, "another module")
		b.allow(errors.New("its tests fail"))
		b.writeRaw("m.wasm", "three!!")
		want(2, "a module that fails")
		b.wantHealth(map[string]string{"pipeline/a": "degraded its tests fail"})
		b.writeRaw("a.yaml", text("2"))
		want(2, "a file that fails")
		b.wantRunning("a 1")
		b.allow(nil)
		b.writeRaw("m.wasm", "four!!!!")
		want(3, "a module that is good again")
		b.wantRunning("a 2")
		b.wantHealth(map[string]string{})
	})
}

// Not watched, modules change when their file does.
func TestAnUnwatchedModuleChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.writeRaw("m.wasm", "one")
		b.writeRaw("a.yaml", "version: 1\npipeline: a\nsource: { stream: s }\ntransforms: [ { name: t, wasm: { module: ./m.wasm } } ]\nsinks: [ { name: out, file: { dir: ./out } } ]\n")
		b.serve()
		defer b.stop()
		b.writeRaw("m.wasm", "two!")
		b.look(5)
		if b.starts() != 1 {
			t.Errorf("%d starts", b.starts())
		}
	})
}

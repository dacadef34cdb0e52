package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a server on a folder, with pipelines that only say that they run.
type bench struct {
	t        *testing.T
	dir      string
	optional bool
	watch    bool
	refuse   error // what the tests of a new version say
	ran      bool  // in an earlier process, all pipelines
	health   observe.Health
	log      testenv.Log
	server   *Server
	stop     context.CancelFunc

	mu       sync.Mutex
	started  int
	running  map[string]int           // by pipeline and prefix, which tells versions apart
	most     map[string]int           // at a time, by pipeline
	fails    map[string]error         // what Run returns, by prefix
	unbuilt  map[string][]error       // what making ready returns, by prefix, one after the other
	silent   map[string]error         // what asking its destinations returns, by prefix
	untied   map[string]error         // what tying to the stream returns, by prefix
	slow     map[string]time.Duration // how long making ready takes, by prefix
	ready    map[string]int           // versions that were made ready, and not closed, by prefix
	builds   int
	building map[string]int // versions that are being made ready, by pipeline
}

// start serves a folder with files; their content is the prefix of their pipeline.
func start(t *testing.T, files map[string]string) *bench {
	b := &bench{t: t, dir: t.TempDir(), running: map[string]int{}, most: map[string]int{}, fails: map[string]error{}, unbuilt: map[string][]error{},
		silent: map[string]error{}, untied: map[string]error{}, slow: map[string]time.Duration{}, ready: map[string]int{}, building: map[string]int{}}
	for name, prefix := range files {
		b.write(name, prefix)
	}
	return b
}

func (b *bench) serve() {
	server, err := New(Options{
		Dir: b.dir, Optional: b.optional, Health: &b.health, prepare: b.prepare, Watch: b.watch, test: b.test,
		Build: build.Options{Logger: slog.New(slog.NewTextHandler(&b.log, nil))},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = server
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Run(ctx)
	}()
	b.stop = func() {
		cancel()
		<-done
		if len(b.ready) > 0 {
			b.t.Errorf("not closed: %v", b.ready)
		}
	}
	b.look(1)
}

// look lets the server look at the folder n times.
func (b *bench) look(n int) {
	time.Sleep(time.Duration(n) * defaultPoll)
	synctest.Wait()
}

func document(name, prefix string) string {
	return fmt.Sprintf("version: 1\npipeline: %s\nsource: { stream: s }\nsinks: [ { name: out, prefix: %s/, file: { dir: ./out } } ]\n", name, prefix)
}

// write writes a file with one pipeline that has the file's name.
func (b *bench) write(name, prefix string) {
	b.writeRaw(name, document(strings.TrimSuffix(name, ".yaml"), prefix))
}

func (b *bench) writeRaw(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o666); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) prepare(ctx context.Context, p *spec.Pipeline, _ build.Options) (prepared, error) {
	prefix := p.Sinks[0].Prefix
	b.mu.Lock()
	took := b.slow[prefix]
	b.builds++
	b.building[p.Name]++
	if b.building[p.Name] > 1 {
		b.t.Errorf("%s is made ready twice at a time", p.Name)
	}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.building[p.Name]--
	}()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errs := b.unbuilt[prefix]; len(errs) > 0 {
		b.unbuilt[prefix] = errs[1:]
		return nil, errs[0]
	}
	b.ready[prefix]++
	return &fake{b, p.Name, prefix}, nil
}

// fake is a version that is ready.
type fake struct {
	b            *bench
	name, prefix string
}

func (f *fake) Modules() map[string]string { return nil }

func (f *fake) Ran() bool { return f.b.ran }

func (f *fake) Ask(context.Context, *engine.Pipeline) error {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	return f.b.silent[f.prefix]
}

func (f *fake) Pipeline(ctx context.Context) (*engine.Pipeline, error) {
	f.b.mu.Lock()
	err := f.b.untied[f.prefix]
	f.b.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, f.Close(ctx))
	}
	return &engine.Pipeline{Name: f.name, Feeders: []engine.Feeder{feeder{f.b, f.name, f.prefix}}, Close: f.Close}, nil
}

func (f *fake) Close(context.Context) error {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	if f.b.ready[f.prefix]--; f.b.ready[f.prefix] == 0 {
		delete(f.b.ready, f.prefix)
	}
	return nil
}

type feeder struct {
	b            *bench
	name, prefix string
}

// Run says that it runs until ctx is done, and takes a while to stop.
func (f feeder) Run(ctx context.Context) error {
	key := f.name + " " + f.prefix
	f.b.mu.Lock()
	f.b.started++
	f.b.running[key]++
	f.b.running[f.name]++
	f.b.most[f.name] = max(f.b.most[f.name], f.b.running[f.name])
	err := f.b.fails[f.prefix]
	f.b.mu.Unlock()
	if err == nil {
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond)
	}
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.b.running[f.name]--
	if f.b.running[key]--; f.b.running[key] == 0 {
		delete(f.b.running, key)
	}
	if f.b.running[f.name] == 0 {
		delete(f.b.running, f.name)
	}
	return err
}

// wantRunning compares the versions that run.
func (b *bench) wantRunning(want ...string) {
	b.t.Helper()
	time.Sleep(200 * time.Millisecond) // those that are told to stop need 100
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for key := range b.running {
		if strings.Contains(key, " ") {
			got = append(got, strings.TrimSuffix(key, "/"))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.t.Errorf("running: %q, want %q", got, want)
	}
}

// wantHealth compares the checks that are not ok with their status, a space and parts of their errors.
func (b *bench) wantHealth(want map[string]string) {
	b.t.Helper()
	for name, check := range b.health.Check().Checks {
		status, text, listed := strings.Cut(want[name], " ")
		if !listed {
			status = "ok"
		}
		if check.Status != status || !strings.Contains(check.Error, text) {
			b.t.Errorf("check %s: %s %q, want %q", name, check.Status, check.Error, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		b.t.Errorf("no checks for %v", want)
	}
}

func TestPipelinesFollowTheirFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one", "b.yaml": "one"})
		b.writeRaw("notes.txt", "not a pipeline")
		b.writeRaw(".hidden.yaml", "not: looked at")
		b.serve()
		defer b.stop()
		b.wantRunning("a one", "b one")

		b.write("c.yaml", "one")
		b.write("a.yaml", "two")
		b.look(1) // the content has been seen once: it may be half written
		b.wantRunning("a one", "b one")
		b.look(1)
		b.wantRunning("a two", "b one", "c one")

		b.remove("b.yaml")
		b.look(3)
		b.wantRunning("a two", "c one")
		b.wantHealth(map[string]string{})
		for name, n := range b.most {
			if n != 1 {
				t.Errorf("%s ran %d times at once", name, n)
			}
		}
	})
}

func TestTheFolderMayComeLaterAndNeverGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		later := b.dir
		b.dir, b.optional = filepath.Join(later, "pipelines"), true
		b.serve()
		defer b.stop()
		b.look(2)
		b.wantRunning()
		b.wantHealth(map[string]string{})

		if err := os.Mkdir(b.dir, 0o777); err != nil {
			t.Fatal(err)
		}
		b.write("a.yaml", "one")
		b.look(2)
		b.wantRunning("a one")
		if err := os.RemoveAll(b.dir); err != nil { // as if its disk were not mounted any more
			t.Fatal(err)
		}
		b.look(5)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"pipelines": "degraded no such file"})
	})
}

func TestABrokenFileKeepsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.writeRaw("b.yaml", "version: 1\npipline: b\n")
		b.serve()
		defer b.stop()
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"file/b.yaml": "failing pipline"})

		b.writeRaw("a.yaml", "version: [")
		b.write("b.yaml", "one")
		b.look(2)
		b.wantRunning("a one", "b one")
		b.wantHealth(map[string]string{"file/a.yaml": "degraded a.yaml"})

		b.write("a.yaml", "two")
		b.look(2)
		b.wantRunning("a two", "b one")
		b.wantHealth(map[string]string{})
	})
}

func TestAFailedPipelineRestsUntilItsFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "bad", "b.yaml": "one"})
		b.fails["bad/"] = errors.New("the disk is on fire")
		b.serve()
		defer b.stop()
		b.look(10)
		b.wantRunning("b one")
		b.wantHealth(map[string]string{"pipeline/a": "failing on fire"})
		if n := b.most["a"]; n != 1 {
			t.Errorf("a ran %d times at once", n)
		}
		b.write("a.yaml", "good")
		b.look(2)
		b.wantRunning("a good", "b one")
		b.wantHealth(map[string]string{})
	})
}

func TestAVersionThatCannotBeBuiltGivesWayToTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.unbuilt["two/"] = slices.Repeat([]error{fault.New(fault.Permanent, "test.no_module", "no such module")}, 5)
		b.serve()
		defer b.stop()
		b.write("a.yaml", "two")
		b.look(3)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"pipeline/a": "degraded no such module"})
		b.write("a.yaml", "three")
		b.look(2)
		b.wantRunning("a three")
		b.wantHealth(map[string]string{})
	})
}

func TestAPassingReasonIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.unbuilt["one/"] = slices.Repeat([]error{errors.New("disk full")}, 1000)
		b.serve()
		defer b.stop()
		b.wantHealth(map[string]string{"pipeline/a": "failing disk full"})
		b.mu.Lock()
		b.unbuilt["one/"] = nil
		b.mu.Unlock()
		time.Sleep(lastPause)
		b.look(1)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{})
	})
}

func TestANameBelongsToTheFirstFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.writeRaw("z.yaml", document("a", "other"))
		b.serve()
		defer b.stop()
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"file/z.yaml": "failing a.yaml"})
		b.remove("a.yaml")
		b.look(3)
		b.wantRunning("a other")
		b.wantHealth(map[string]string{})
		if b.most["a"] != 1 {
			t.Errorf("a ran %d times at once", b.most["a"])
		}
	})
}

func TestAFolderThatGoesAwayStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, map[string]string{"a.yaml": "one"})
		b.serve()
		defer b.stop()
		if err := os.Rename(b.dir, b.dir+"-away"); err != nil {
			t.Fatal(err)
		}
		b.look(4)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{"pipelines": "degraded no such file"})
		if err := os.Rename(b.dir+"-away", b.dir); err != nil {
			t.Fatal(err)
		}
		b.look(1)
		b.wantRunning("a one")
		b.wantHealth(map[string]string{})
	})
}

func TestAMissingFolderIsRefused(t *testing.T) {
	if _, err := New(Options{Dir: filepath.Join(t.TempDir(), "none")}); fault.CodeOf(err) != "serve.no_folder" {
		t.Errorf("New: %v", err)
	}
}

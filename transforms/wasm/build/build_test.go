package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const upper = `package main

import (
	"bytes"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func init() {
	leat.Each(func(r leat.Record) leat.Result { return leat.Data(bytes.ToUpper(r.Data)) })
}

func main() {}
`

// folder writes files, by name, to a new folder of Go source; without the go command the test ends.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "no go command")
	}
	return write(t, files)
}

// The cache never has one version of the source for another, also if it is edited while the compiler reads it.
func TestSourceThatChangesMeanwhileIsBuiltAgain(t *testing.T) {
	write := func(dir, text string) {
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := strings.Replace(upper, "bytes.ToUpper(r.Data)", "bytes.ToLower(r.Data)", 1)
	dir, cache, builds := folder(t, map[string]string{"main.go": first}), t.TempDir(), 0
	cfg := Config{Dir: dir, CacheDir: cache, Progress: func(string) {
		if builds++; builds == 1 {
			write(dir, upper)
		}
	}}
	content := func() string {
		t.Helper()
		path, err := Build(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	second := content()
	if builds != 2 {
		t.Errorf("%d builds", builds)
	}
	write(dir, first)
	if content() == second || builds != 3 {
		t.Errorf("what the source was before has the module of what it became; %d builds", builds)
	}
	cfg.Progress = func(string) {
		builds++
		write(dir, upper+strings.Repeat("\n", builds))
	}
	write(dir, upper+"// new\n")
	if _, err := Build(t.Context(), cfg); fault.CodeOf(err) != CodeChanging || fault.ClassOf(err) != fault.Retryable || builds != 3+maxTries {
		t.Errorf("source that does not rest: %v, %d builds", err, builds)
	}
}

func TestAFolderIsBuiltOnceForEachVersionOfItsSource(t *testing.T) {
	dir, cache := folder(t, map[string]string{"main.go": upper}), t.TempDir()
	built := 0
	cfg := Config{Dir: dir, CacheDir: cache, Progress: func(d string) {
		if built++; d != dir {
			t.Errorf("progress about %q", d)
		}
	}}
	first, err := Build(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "leat-data"), 0o700); err != nil {
		t.Fatal(err)
	}
	notPart := map[string]string{"main_test.go": "package main", ".hidden": "x", "leat-data/VERSION": "leat data directory 1\n", "leat-data/x": "y"}
	for file, text := range notPart {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Build(context.Background(), cfg)
	if err != nil || again != first || built != 1 {
		t.Errorf("again: %s, %v, %d builds", again, err, built)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(upper+"\n// changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := Build(context.Background(), cfg)
	if err != nil || changed == first || built != 2 {
		t.Errorf("changed: %s, %v, %d builds", changed, err, built)
	}
	for i, damage := range []string{"", "not a module", "\x00asm"} { // by whoever shares the cache
		if err := os.WriteFile(changed, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		rebuilt, err := Build(context.Background(), cfg)
		if err != nil || rebuilt != changed || built != 3+i {
			t.Errorf("over %q: %s, %v, %d builds", damage, rebuilt, err, built)
		}
		if b, err := os.ReadFile(changed); err != nil || !strings.HasPrefix(string(b), "\x00asm\x01") {
			t.Errorf("over %q: %.10q, %v", damage, b, err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("the build left %s in the user's folder", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "work-*")); left != nil {
		t.Errorf("the build left %v", left)
	}
}

func TestModulesThatNobodyUsesLeaveTheCache(t *testing.T) {
	dir, cache := folder(t, map[string]string{"main.go": upper}), t.TempDir()
	cfg := Config{Dir: dir, CacheDir: cache}
	module, err := Build(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	other, killed := filepath.Join(cache, "other.wasm"), filepath.Join(cache, "work-of-a-killed-build")
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Mkdir(killed, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{module, other, killed, filepath.Join(cache, "lock")} {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-100*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := Build(context.Background(), cfg); err != nil || again != module {
		t.Errorf("%s, %v", again, err)
	}
	for path, stays := range map[string]bool{module: true, other: false, killed: false} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFolderIsBuiltWhereNoHomeIsSet(t *testing.T) {
	dir, cache := folder(t, map[string]string{"main.go": upper}), t.TempDir()
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HOME", "GOPATH", "GOMODCACHE"} {
		t.Setenv(name, "") // t.Setenv restores it; the go command takes an empty one for none
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(goCache)))
	if _, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache}); err != nil {
		t.Error(err)
	}
}

func TestConcurrentBuildsOfOneFolderBuildOnce(t *testing.T) {
	dir, cache := folder(t, map[string]string{"main.go": upper}), t.TempDir()
	var built atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache, Progress: func(string) { built.Add(1) }}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := built.Load(); n != 1 {
		t.Errorf("%d builds", n)
	}
}

func TestAFolderWithAModuleOfItsOwnIsBuiltAsItIs(t *testing.T) {
	dir := folder(t, map[string]string{
		"go.mod":     "module example.com/mine\n\ngo 1.24\n",
		"main.go":    "package main\n\nimport \"example.com/mine/sub\"\n\n//go:wasmexport answer\nfunc answer() int32 { return sub.Answer }\n\nfunc main() {}\n",
		"sub/sub.go": "package sub\n\nconst Answer = 42\n",
	})
	path, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b[:4]) != "\x00asm" {
		t.Errorf("%q, %v", b[:4], err)
	}
}

func TestAReplacedFolderElsewhereIsNotForgotten(t *testing.T) {
	elsewhere := folder(t, map[string]string{"go.mod": "module example.com/dep\n", "dep.go": "package dep\n\nconst Text = \"before\"\n"})
	dir := folder(t, map[string]string{
		"go.mod":  "module example.com/mine\n\nrequire example.com/dep v0.0.0\n\nreplace example.com/dep => \"" + elsewhere + "\"\n",
		"main.go": "package main\n\nimport \"example.com/dep\"\n\nfunc init() { println(dep.Text) }\n\nfunc main() {}\n",
	})
	expectChanges(t, dir, filepath.Join(elsewhere, "dep.go"), "dep")
}

// expectChanges checks that a build of dir has the text that the file of a package says, and then another that it says.
func expectChanges(t *testing.T, dir, file, pkg string) {
	t.Helper()
	cache := t.TempDir()
	for _, text := range []string{"before", "after!"} {
		if err := os.WriteFile(file, []byte("package "+pkg+"\n\nconst Text = \"the text "+text+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), "the text "+text) {
			t.Errorf("%s: the module lacks %q, %v", file, text, err)
		}
	}
}

func TestLinkedSourceIsNotForgotten(t *testing.T) {
	for link, target := range map[string]string{"sub/sub.go": "sub.go", "sub": "."} { // a file, a folder
		elsewhere := folder(t, map[string]string{"sub.go": ""})
		dir := folder(t, map[string]string{
			"go.mod":  "module example.com/mine\n",
			"main.go": "package main\n\nimport \"example.com/mine/sub\"\n\nfunc init() { println(sub.Text) }\n\nfunc main() {}\n",
		})
		name := filepath.Join(dir, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.Symlink(filepath.Join(elsewhere, target), name)); err != nil {
			t.Fatal(err)
		}
		expectChanges(t, dir, filepath.Join(elsewhere, "sub.go"), "sub")
	}
}

func TestWhatTheCompilerSaysIsShownWithTheUsersPaths(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		says  []string
	}{
		{"a type error", map[string]string{"main.go": "package main\n\nfunc main() { var n int = \"x\" }\n"}, []string{"main.go:3:27: cannot use"}},
		{"in a package below", map[string]string{
			"go.mod":     "module example.com/mine\n",
			"main.go":    "package main\n\nimport _ \"example.com/mine/sub\"\n\nfunc main() {}\n",
			"sub/sub.go": "package sub\n\nvar x int = \"y\"\n",
		}, []string{filepath.Join("sub", "sub.go") + ":3:13: cannot use"}},
		{"a foreign package", map[string]string{"main.go": "package main\n\nimport _ \"github.com/other/thing\"\n\nfunc main() {}\n"},
			[]string{"main.go:3:8", "github.com/other/thing", "go mod init"}},
		{"no main", map[string]string{"main.go": "package main\n"}, []string{"func main() {}"}},
		{"another package than main", map[string]string{"main.go": "package drop\n"}, []string{"package main"}},
		{"a syntax error", map[string]string{"main.go": "package main\n\nfunc {\n"}, []string{"main.go:3:6: syntax error"}},
	} {
		dir := folder(t, c.files)
		cache := t.TempDir()
		_, err := Build(context.Background(), Config{Dir: dir, CacheDir: cache})
		if fault.CodeOf(err) != CodeFailed {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in:\n%v", c.name, s, err)
			}
		}
		if !strings.Contains(err.Error(), filepath.Join(dir, "main.go")) && !strings.Contains(err.Error(), filepath.Join(dir, "sub")) && c.name != "no main" && c.name != "another package than main" {
			t.Errorf("%s: the user's path is missing in:\n%v", c.name, err)
		}
		if strings.Contains(err.Error(), cache) {
			t.Errorf("%s: the cache's path shows in:\n%v", c.name, err)
		}
	}
}

func TestWithoutSourceOrToolchainTheErrorSaysWhatToDo(t *testing.T) {
	for dir, says := range map[string]string{
		filepath.Join(t.TempDir(), "absent"):                        "relative to the pipeline file",
		folder(t, map[string]string{"notes.txt": "x"}):              "there is no source of a transform",
		folder(t, map[string]string{"sub/main.go": "package main"}): "there is no source of a transform",
	} {
		if _, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir()}); fault.CodeOf(err) != CodeNoFolder || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := folder(t, map[string]string{"main.go": upper})
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if _, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir()}); fault.CodeOf(err) != CodeNoToolchain || !strings.Contains(err.Error(), "go.dev/dl") {
		t.Errorf("no go command: %v", err)
	}
	script(t, bin, "echo go1.21.3")
	if _, err := Build(context.Background(), Config{Dir: dir, CacheDir: t.TempDir()}); fault.CodeOf(err) != CodeOldGo || !strings.Contains(err.Error(), "go1.21.3") {
		t.Errorf("an old go command: %v", err)
	}
}

// script puts a go command into bin.
func script(t *testing.T, bin, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestCancellingABuildEndsTheCompilerAndItsChildren(t *testing.T) {
	dir := folder(t, map[string]string{"main.go": upper})
	bin := t.TempDir()
	pids := filepath.Join(bin, "pid")
	script(t, bin, `if [ "$1" = env ]; then echo go1.26.0; exit; fi
mktemp -d || exit 1
mkdir "${GOTMPDIR:?}/more" || exit 1
sleep 600 & echo $! > `+pids+`
wait`)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("GOTMPDIR", temp)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			if b, err := os.ReadFile(pids); err == nil && len(b) > 0 {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	cache := t.TempDir()
	start := time.Now()
	if _, err := Build(ctx, Config{Dir: dir, CacheDir: cache}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("it took %s", d)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	for _, c := range strings.TrimSpace(string(b)) {
		pid = pid*10 + int(c-'0')
	}
	for range 6000 {
		if stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(b)), "stat")); err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(b)), "stat")); err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(pid, 0) == nil {
		t.Errorf("the compiler's child %d runs on", pid)
	}
	for _, pattern := range []string{filepath.Join(cache, "*.wasm"), filepath.Join(cache, "work-*"), filepath.Join(temp, "*")} {
		if left, _ := filepath.Glob(pattern); left != nil {
			t.Errorf("a cancelled build left %v", left)
		}
	}
}

func TestAnInstalledBinaryHasTheWholeSDK(t *testing.T) {
	dir, err := goSDK.extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"sdk/go", "wasm/abi"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pkg), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v, %v", files, err)
		}
		for _, f := range files {
			_, err := os.Stat(filepath.Join(dir, "transforms", filepath.FromSlash(pkg), filepath.Base(f)))
			if test := strings.HasSuffix(f, "_test.go"); (err == nil) == test {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

// Package build turns a folder of Go source into a WASM transform, once for each version of the source.
//
// A folder without go.mod needs no module of its own: it is built as if it had one that requires the Go SDK, whose source is
// part of this program, so neither a network nor a checkout is needed. A folder with go.mod is built as it is. If a folder depends on
// others elsewhere, by replace directives or by links, the go command decides each time what there is to do.
package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/internal/cache"
)

// Codes of errors.
const (
	CodeNoFolder    = "wasm.build.no_folder"    // there is no such folder, or no Go source in it
	CodeNoToolchain = "wasm.build.no_toolchain" // there is no go command
	CodeOldGo       = "wasm.build.old_go"       // the go command is too old
	CodeFailed      = "wasm.build.failed"       // the source does not compile
	CodeCache       = "wasm.build.cache"        // the build cache cannot be used
)

// buildArgs are the flags of go build. -trimpath keeps the user's paths out of the module, so that the same source gives the same
// module everywhere; -s -w leave out debug information, a third of the size.
var buildArgs = []string{"build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w"}

// moduleHead is what a module begins with: the magic number and version 1.
const moduleHead = "\x00asm\x01\x00\x00\x00"

// Config says what to build.
type Config struct {
	// Dir is the folder of Go source.
	Dir string
	// CacheDir keeps modules and the extracted SDK; empty is leat/build in the user's cache. What is not used for long is removed
	// from it.
	CacheDir string
	// Progress is called before a build, which takes seconds, and not if the cache has the module; nil is no call.
	Progress func(dir string)
}

// Build returns the path of the module built from the folder. Builds of the same source at the same time, by any
// process, wait for one another. Errors are [*fault.Error]; that of a compiler shows what it printed.
func Build(ctx context.Context, cfg Config) (string, error) {
	if cfg.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", cacheError("find the user's cache folder", err).WithHint("set HOME or XDG_CACHE_HOME")
		}
		cfg.CacheDir = filepath.Join(dir, "leat", "build")
	}
	src, err := readSource(cfg.Dir)
	if err != nil {
		return "", err
	}
	tool, err := findGo(ctx)
	if err != nil {
		return "", err
	}
	dir, err := cache.Open(ctx, cfg.CacheDir)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", cacheError("open the build cache", err)
	}
	defer dir.Close()
	key := src.key(tool)
	path := dir.Use(key + ".wasm")
	if !src.reachesOut && isModule(path) {
		return path, nil
	}
	unlock, err := dir.Lock(ctx, key+".lock")
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", cacheError("lock the build", err)
	}
	defer unlock()
	if !src.reachesOut && isModule(path) { // somebody else has built it meanwhile
		return path, nil
	}
	if cfg.Progress != nil {
		cfg.Progress(cfg.Dir)
	}
	return path, src.build(ctx, tool, cfg.CacheDir, path)
}

// isModule reports whether the file begins as a module does. A build leaves nothing else, but a cache is a folder that others
// touch too, and an error about its content would name the user's folder, which is right.
func isModule(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(moduleHead))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == moduleHead
}

func cacheError(doing string, err error) *fault.Error {
	return fault.New(fault.Permanent, CodeCache, "%s: %w", doing, err).
		WithHint("set XDG_CACHE_HOME to a folder that this user may write to")
}

// build compiles the source into path, which appears only when it is complete.
func (s *source) build(ctx context.Context, tool goTool, cacheDir, path string) error {
	work, err := os.MkdirTemp(cacheDir, "work-")
	if err != nil {
		return cacheError("make a folder to build in", err)
	}
	defer os.RemoveAll(work)
	module := filepath.Join(work, "module.wasm")
	args := append(append([]string{}, buildArgs...), "-o", module)
	env := append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "CGO_ENABLED=0")
	if !s.hasModule {
		overlay, err := s.generateModule(work, cacheDir, tool)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay, "-mod=mod")
		// Nothing is downloaded, but the go command wants a module cache, and finds none where HOME is not set, as in services.
		env = append(env, "GOFLAGS=", "GOPROXY=off", "GOTOOLCHAIN=local", "GOMODCACHE="+filepath.Join(cacheDir, "mod"))
	}
	cmd := exec.CommandContext(ctx, tool.path, append(args, ".")...)
	cmd.Dir, cmd.Env = s.dir, env
	// The go command has children of its own: end them all, and do not wait for ever for their output.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.compileError(err, printed.String())
	}
	// Synced before it is renamed: a torn module would stay in the cache for ever.
	if err := syncFile(module); err != nil {
		return cacheError("write the module", err)
	}
	if err := os.Rename(module, path); err != nil {
		return cacheError("put the module into the cache", err)
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// maxPrinted bounds what an error shows of a compiler's output, in bytes.
const maxPrinted = 16 << 10

// compileError shows what the compiler printed, with paths as the user would write them.
func (s *source) compileError(err error, printed string) error {
	var lines []string
	for line := range strings.Lines(printed) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "# "): // the package's name, which says nothing here
			continue
		case strings.HasPrefix(line, "./"):
			line = filepath.Join(s.given, line)
		case strings.HasPrefix(line, s.dir):
			line = s.given + strings.TrimPrefix(line, s.dir)
		default:
			if name, _, ok := strings.Cut(line, ":"); ok && s.has(name) {
				line = filepath.Join(s.given, line)
			}
		}
		lines = append(lines, line)
	}
	printed = strings.Join(lines, "\n")
	if len(printed) > maxPrinted {
		printed = printed[:maxPrinted] + "\n…"
	}
	if printed == "" {
		printed = err.Error()
	}
	e := fault.New(fault.Permanent, CodeFailed, "%s does not build:\n%s", s.given, printed)
	switch {
	case strings.Contains(printed, "module lookup disabled by GOPROXY=off"), strings.Contains(printed, "no required module provides"):
		return e.WithHint("a folder without go.mod may import the standard library and the leat SDK; for more, give it a go.mod (go mod init)")
	case strings.Contains(printed, "function main is undeclared"):
		return e.WithHint("a transform is a program: add func main() {}")
	}
	return e
}

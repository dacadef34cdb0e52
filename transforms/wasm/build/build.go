// Package build turns a folder of source in Go, Rust, C, C++ or AssemblyScript into a WASM transform, once for each version of the source.
//
// The files tell the language. The source of the SDKs is part of this program, so neither a network nor a checkout is needed, but the
// language's compiler is: the go command, rustc with a WASM target, clang with lld, or asc. If a folder depends on files elsewhere, by
// relative paths or by links, it is built each time.
package build

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/internal/cache"
	"github.com/leatstream/leat/transforms/wasm/internal/turns"
)

// Codes of errors.
const (
	CodeNoFolder    = "wasm.build.no_folder"    // there is no such folder, or no source in it
	CodeAmbiguous   = "wasm.build.ambiguous"    // there is source in more than one language
	CodeNoToolchain = "wasm.build.no_toolchain" // the language's compiler is missing, or a part of it
	CodeOldGo       = "wasm.build.old_go"       // the go command is too old
	CodeFailed      = "wasm.build.failed"       // the source does not compile
	CodeChanging    = "wasm.build.changing"     // the source changed during each of some builds in a row
	CodeCache       = "wasm.build.cache"        // the build cache cannot be used
)

// maxTries is how often source is built that changes meanwhile.
const maxTries = 3

// compilers are those that this process runs.
var compilers = turns.New()

// moduleHead is what a module begins with: the magic number and version 1.
const moduleHead = "\x00asm\x01\x00\x00\x00"

// Config says what to build.
type Config struct {
	// Dir is the folder of source.
	Dir string
	// Program makes a program with a main function, which reads standard input and writes standard output (transforms/wasm/command),
	// rather than a transform. The source is Go then.
	Program bool
	// CacheDir keeps modules and the extracted SDKs; empty is leat/build in the user's cache. What is not used for long is removed
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
	for try := 1; ; try++ {
		path, err := cfg.once(ctx)
		if fault.CodeOf(err) != CodeChanging || try == maxTries {
			return path, err
		}
	}
}

// once builds the source as it is now.
func (cfg *Config) once(ctx context.Context) (string, error) {
	src, err := readSource(cfg.Dir)
	if err != nil {
		return "", err
	}
	if src.program = cfg.Program; src.program && src.language != &golang {
		return "", fault.New(fault.Permanent, CodeFailed, "%s holds source in %s; leat builds programs of Go", cfg.Dir, src.language.name).
			WithHint("build it for wasm32-wasip1 and give the path of the .wasm file")
	}
	tool, err := src.find(ctx)
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
	if err := compilers.Wait(ctx); err != nil {
		return "", err
	}
	defer compilers.Leave()
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
func (s *source) build(ctx context.Context, tool toolchain, cacheDir, path string) error {
	work, err := os.MkdirTemp(cacheDir, "work-")
	if err != nil {
		return cacheError("make a folder to build in", err)
	}
	defer os.RemoveAll(work)
	j := &job{source: s, cacheDir: cacheDir, work: work, module: filepath.Join(work, "module.wasm")}
	err = tool.compile(ctx, j)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if now, readErr := readSource(s.given); readErr != nil || now.digest != s.digest { // what was built has no name in the cache, and no meaning
		return fault.New(fault.Retryable, CodeChanging, "the source in %s changes while it is built", s.given)
	}
	if err != nil {
		return err
	}
	// Synced before it is renamed: a torn module would stay in the cache for ever.
	if err := syncFile(j.module); err != nil {
		return cacheError("write the module", err)
	}
	if err := os.Rename(j.module, path); err != nil {
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

// Package command runs WebAssembly programs: modules with WASI preview 1 that are commands, which have a main function, read
// standard input and write standard output.
//
// A program has no files and no network. Its memory is limited, its environment is what it is given, and it can be killed at any time.
package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/internal/cache"
)

// Codes of Open's errors.
const (
	CodeNoModule   = "wasm.command.no_module"   // there is no such file
	CodeInvalid    = "wasm.command.invalid"     // the file is no module that compiles
	CodeNotCommand = "wasm.command.not_command" // the module is no program with WASI preview 1
)

const (
	pageSize       = 64 << 10
	maxModuleBytes = 256 << 20
	// maxNap bounds one sleep of a program, so that it can be killed: sleeping is not interrupted. Programs look at the clock and
	// sleep again.
	maxNap = 10 * time.Millisecond
)

// Config says which program to run and within which limits.
type Config struct {
	// Path is the module's file, and Name what messages call it, such as the folder of its source; Path if empty.
	Path, Name string
	// MemoryLimit is the memory of one process in bytes, at least 64 KiB and at most 4 GiB.
	MemoryLimit int64
	// Env is its environment, as NAME=value.
	Env []string
	// Logger is told of a cache that cannot be used; nil discards.
	Logger *slog.Logger
	// CacheDir keeps compiled modules; empty is leat/wasm in the user's cache.
	CacheDir string
}

// Program is a compiled program that can be started any number of times.
type Program struct {
	cfg      Config
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule
}

// Open compiles the program and checks that it is one.
func Open(ctx context.Context, cfg Config) (*Program, error) {
	cfg.Name = cmp.Or(cfg.Name, cfg.Path)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.MemoryLimit < pageSize || cfg.MemoryLimit > 4<<30 {
		return nil, fault.New(fault.Permanent, CodeInvalid, "the memory limit is %d bytes; it must be between 64 KiB and 4 GiB", cfg.MemoryLimit)
	}
	if cfg.CacheDir == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			cfg.CacheDir = filepath.Join(dir, "leat", "wasm")
		}
	}
	module, err := read(&cfg)
	if err != nil {
		return nil, err
	}
	p := &Program{cfg: cfg}
	if err := p.compile(ctx, module); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	if err := p.check(ctx); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func read(cfg *Config) ([]byte, error) {
	info, err := os.Stat(cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Permanent, CodeNoModule, "there is no module %s", cfg.Name).
			WithHint("relative paths are relative to the pipeline file")
	case err != nil:
		return nil, fault.New(fault.Permanent, CodeNoModule, "read the module: %w", err)
	case !info.Mode().IsRegular() || info.Size() > maxModuleBytes:
		return nil, fault.New(fault.Permanent, CodeInvalid, "%s is not a file of at most %d MiB", cfg.Name, maxModuleBytes>>20)
	}
	b, err := os.ReadFile(cfg.Path)
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoModule, "read the module: %w", err)
	}
	return b, nil
}

// compile compiles the module with the cache on disk. A cache that cannot be used costs time, not the pipeline.
func (p *Program) compile(ctx context.Context, module []byte) error {
	digest := sha256.Sum256(module)
	dir, err := cache.Open(ctx, p.cfg.CacheDir)
	if err == nil {
		defer dir.Close()
		p.cache, err = wazero.NewCompilationCacheWithDir(dir.Use(hex.EncodeToString(digest[:])))
	}
	if err != nil {
		p.cfg.Logger.Warn("the cache of compiled modules cannot be used", "dir", p.cfg.CacheDir, "error", err)
	}
	rc := wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(p.cfg.MemoryLimit / pageSize)).WithCloseOnContextDone(true)
	if p.cache != nil {
		rc = rc.WithCompilationCache(p.cache)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	if p.compiled, err = p.runtime.CompileModule(ctx, module); err != nil {
		return fault.New(fault.Permanent, CodeInvalid, "%s is not a valid module: %w", p.cfg.Name, err).
			WithHint("build it for wasm32-wasip1: GOOS=wasip1 GOARCH=wasm go build")
	}
	return nil
}

func (p *Program) check(ctx context.Context) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return fault.New(fault.Permanent, CodeInvalid, "set up WASI: %w", err)
	}
	exports := p.compiled.ExportedFunctions()
	if _, ok := exports["_start"]; !ok {
		e := fault.New(fault.Permanent, CodeNotCommand, "%s is not a program: it does not export \"_start\"", p.cfg.Name)
		if _, ok := exports["leat_tx_1"]; ok {
			return e.WithHint("it is a transform with leat's own interface, which goes under wasm")
		}
		return e.WithHint("build it with a main function, for Go without -buildmode=c-shared")
	}
	offered := p.runtime.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	for _, f := range p.compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module != wasi_snapshot_preview1.ModuleName || offered[name] == nil {
			return fault.New(fault.Permanent, CodeNotCommand, "%s imports %s.%s, which leat does not offer to programs", p.cfg.Name, module, name).
				WithHint("a program may import WASI preview 1 alone")
		}
	}
	return nil
}

// Close frees the compiled code. All processes must have ended.
func (p *Program) Close(ctx context.Context) error {
	var errs []error
	if p.runtime != nil {
		errs = append(errs, p.runtime.Close(ctx))
	}
	if p.cache != nil {
		errs = append(errs, p.cache.Close(ctx))
	}
	return errors.Join(errs...)
}

// Process is a program that runs.
type Process struct {
	kill  context.CancelFunc
	ended chan struct{}
	err   error
}

// Start runs the program with these files. Whoever kills it also ends reads of stdin and writes to stdout that wait.
func (p *Program) Start(stdin io.Reader, stdout, stderr io.Writer) *Process {
	ctx, cancel := context.WithCancel(context.Background())
	proc := &Process{kill: cancel, ended: make(chan struct{})}
	cfg := wazero.NewModuleConfig().
		WithName(""). // any number of processes
		WithArgs("handler").
		WithStdin(stdin).WithStdout(stdout).WithStderr(stderr).
		WithRandSource(rand.Reader).
		WithSysWalltime().WithSysNanotime().
		WithNanosleep(func(ns int64) { time.Sleep(min(time.Duration(ns), maxNap)) })
	for _, e := range p.cfg.Env {
		name, value, _ := strings.Cut(e, "=")
		cfg = cfg.WithEnv(name, value)
	}
	go func() {
		defer close(proc.ended)
		defer cancel()
		mod, err := p.runtime.InstantiateModule(ctx, p.compiled, cfg)
		if mod != nil {
			err = errors.Join(err, mod.Close(context.Background()))
		}
		proc.err = err
	}()
	return proc
}

// Kill ends the process at its next step.
func (p *Process) Kill() { p.kill() }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.ended }

// End says, once the process has ended, how: "exit code 2" or what trapped. success means that it ended itself with code 0.
func (p *Process) End() (how string, success bool) {
	if p.err == nil {
		return "exit code 0", true
	}
	var exit *sys.ExitError
	if errors.As(p.err, &exit) {
		if exit.ExitCode() == sys.ExitCodeContextCanceled {
			return "being killed", false
		}
		return fmt.Sprintf("exit code %d", exit.ExitCode()), exit.ExitCode() == 0
	}
	cause, _, _ := strings.Cut(p.err.Error(), "\n") // without the stack, which names functions by number
	return "a trap (" + strings.TrimPrefix(cause, "wasm error: ") + ")", false
}

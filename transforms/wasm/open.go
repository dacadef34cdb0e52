// Package wasm runs transforms that are WebAssembly modules with the interface leat_tx_1, which abi/ABI.md specifies.
//
// [Open] compiles a module, once for each version of its file thanks to a cache on disk, checks its exports and imports and
// starts a first instance. [Module.Apply] hands a batch to an instance of a bounded pool. A module has no files, no network
// and no environment; its memory, its output, its work, its time and its log are limited.
//
// # What always holds
//
//  1. An instance that traps, overruns a limit, ends itself or breaks the rules of a frame serves no other call, or is put back
//     whole to what it was right before this one, of which nothing is delivered. So no two records that are delivered saw the
//     same state: no random number is drawn twice. (The judge puts an instance back time and again, and delivers nothing.)
//  2. An error of Apply says which results are complete, which record it suspects, and whether other records had touched the
//     instance: package stage condemns a record only if it fails alone in an instance that none has touched. So neither a
//     leak nor a broken state fails a record.
//  3. A module has at most Config.Instances + 2 instances and a judge, whatever fails: spares count.
//  4. An instance whose memory grows towards its limit is replaced before its calls fail, unless Config.KeepWorn.
package wasm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/wasm/internal/cache"
	"github.com/leatstream/leat/transforms/wasm/internal/turns"
)

// Module is a transform that runs a WASM module.
type Module struct {
	cfg      Config
	digest   [sha256.Size]byte
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule
	manifest []byte

	pool   pool
	log    *printed.Log
	counts counters
	batch  atomic.Uint64
	// fuel and fuelBytes are the sums that Fuel returns.
	fuel, fuelBytes atomic.Uint64
	size            callLimit
	judge           judge
	making          atomic.Int64 // how long it takes to make an instance, at least, in nanoseconds
	// variables is how many exported globals hold the state of the module, -1 if it cannot be put back.
	variables int
	// warm is the making of instances in the background, with the context background, which stop ends.
	warm       sync.WaitGroup
	background context.Context
	stop       context.CancelFunc
}

var _ stage.Transform = (*Module)(nil)

// Open makes a module ready: compiled, checked, configured, with one instance waiting and the others under way. Errors are
// [*fault.Error] with one of this package's codes; the caller adds the place in the pipeline file.
func Open(ctx context.Context, cfg Config) (*Module, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Bytes == nil {
		b, err := readModule(cfg.Path)
		if err != nil {
			return nil, err
		}
		cfg.Bytes = b
	}
	if err := checkHeader(cfg.name(), cfg.Bytes); err != nil {
		return nil, err
	}
	m := &Module{
		cfg: cfg, digest: sha256.Sum256(cfg.Bytes),
		log:    printed.NewLog(cfg.Logger.With("pipeline", cfg.Pipeline, "stage", cfg.Stage)),
		counts: counters{pass: cfg.Count, names: map[string]bool{}},
	}
	m.pool.init(cfg.Instances)
	m.judge.turn = make(chan struct{}, 1)
	m.size.most.Store(MaxBatchRecords)
	m.background, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(err, m.Close(context.WithoutCancel(ctx)))
	}
	m.cfg.Bytes = nil // compiled: the source is no longer needed
	return m, nil
}

func (c *Config) name() string {
	return cmp.Or(c.Name, c.Path, "the module")
}

// start compiles and checks the module and fills the pool.
func (m *Module) start(ctx context.Context) error {
	if err := m.compile(ctx); err != nil {
		return err
	}
	if err := m.hostModules(ctx); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	m.variables = m.variablesOf()
	first, err := m.instantiate(ctx)
	if err != nil {
		return err
	}
	m.pool.live++
	m.pool.put(first)
	m.fill()
	return nil
}

// compile compiles the module with the cache on disk. A cache that cannot be used costs time, not the pipeline.
func (m *Module) compile(ctx context.Context) error {
	folder := ""
	dir, err := cache.Open(ctx, m.cfg.CacheDir)
	if err == nil {
		defer dir.Close()
		folder = dir.Use(hex.EncodeToString(m.digest[:]))
	}
	if !isCompiled(folder) {
		if err := compiles.Wait(ctx); err != nil {
			return err
		}
		defer compiles.Leave()
	}
	if m.cfg.Guard == Metered {
		if err := m.useMetered(ctx, folder); err != nil {
			return err
		}
	} else {
		m.cfg.Bytes = mergeSegments(m.cfg.Bytes)
	}
	if err == nil {
		err = m.compileCached(ctx, folder)
	}
	if err != nil && folder != "" && os.RemoveAll(folder) == nil { // what it holds may be damaged
		damaged := err
		if err = m.compileCached(ctx, folder); err == nil {
			m.cfg.Logger.Warn("a compiled module in the cache cannot be used and was made again", "module", m.cfg.name(), "dir", folder, "error", damaged)
		}
	}
	if err == nil {
		return nil
	}
	cached := err
	if m.runtime, m.compiled, err = m.compileWith(ctx, nil); err != nil {
		return m.notValid(err)
	}
	m.cfg.Logger.Warn("the cache of compiled modules cannot be used", "dir", m.cfg.CacheDir, "error", cached)
	return nil
}

// compiles are those of modules that the cache does not have.
var compiles = turns.New()

// isCompiled reports whether a folder of the cache has what some version of wazero, which has a folder there, has compiled.
func isCompiled(folder string) bool {
	found, _ := filepath.Glob(filepath.Join(folder, "*", "*"))
	return folder != "" && len(found) > 0
}

// compileCached compiles the module, or takes it from the cache in the folder.
func (m *Module) compileCached(ctx context.Context, folder string) (err error) {
	if m.cache, err = wazero.NewCompilationCacheWithDir(folder); err != nil {
		return err
	}
	if m.runtime, m.compiled, err = m.compileWith(ctx, m.cache); err != nil {
		return errors.Join(err, m.closeRuntime(ctx))
	}
	return nil
}

func (m *Module) compileWith(ctx context.Context, cache wazero.CompilationCache) (wazero.Runtime, wazero.CompiledModule, error) {
	rc := wazero.NewRuntimeConfig().
		WithMemoryLimitPages(uint32(m.cfg.MemoryLimit / pageSize)).
		WithCloseOnContextDone(m.cfg.Guard == Interrupt).
		WithCustomSections(true)
	if cache != nil {
		rc = rc.WithCompilationCache(cache)
	}
	r := wazero.NewRuntimeWithConfig(ctx, rc)
	compiled, err := r.CompileModule(ctx, m.cfg.Bytes)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close(ctx))
	}
	return r, compiled, nil
}

func (m *Module) hostModules(ctx context.Context) error {
	if err := m.instantiateWASI(ctx); err != nil {
		return fault.New(fault.Permanent, CodeInvalidModule, "set up WASI: %w", err)
	}
	if err := m.instantiateImports(ctx); err != nil {
		return fault.New(fault.Permanent, CodeInvalidModule, "set up the imports of leat_tx_1: %w", err)
	}
	return nil
}

func (m *Module) moduleConfig(i *instance) wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName(""). // any number of instances
		WithStartFunctions().
		WithRandSource(randomness{i}).
		WithSysWalltime().WithSysNanotime().
		// Go's runtime marks garbage beside the program, and in a module only while a call goes on: a cycle took dozens of calls
		// at twice their cost. At once it takes a part of one.
		WithEnv("GODEBUG", "gcstoptheworld=1")
}

// Describe returns the module's manifest: its section leat.manifest, else what leat_describe returns, else nothing.
func (m *Module) Describe(ctx context.Context) ([]byte, error) {
	if m.manifest != nil {
		return m.manifest, nil
	}
	i, err := m.take(ctx, false)
	if err != nil {
		return nil, err
	}
	b, err := i.manifest(ctx)
	if err != nil {
		defer func() { <-m.pool.slots }()
		return nil, errors.Join(err, m.lose(ctx, i))
	}
	return b, m.give(ctx, i)
}

// Digest names the module by its bytes: sha256:HEX.
func (m *Module) Digest() string { return "sha256:" + hex.EncodeToString(m.digest[:]) }

// Close frees all instances and the compiled code. Apply must have returned and must not be called again. A second Close does
// nothing.
func (m *Module) Close(ctx context.Context) error {
	return errors.Join(m.closeInstances(ctx), m.closeRuntime(ctx))
}

func (m *Module) closeRuntime(ctx context.Context) error {
	var errs []error
	if m.runtime != nil {
		errs = append(errs, m.runtime.Close(ctx))
	}
	if m.cache != nil {
		errs = append(errs, m.cache.Close(ctx))
	}
	m.runtime, m.cache = nil, nil
	return errors.Join(errs...)
}

func readModule(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Permanent, CodeNoModule, "there is no module %s", path).
			WithHint("relative paths are relative to the pipeline file")
	case err != nil:
		return nil, fault.New(fault.Permanent, CodeNoModule, "read the module: %w", err)
	case info.IsDir():
		return nil, fault.New(fault.Permanent, CodeNotWASM, "%s is a folder, not a module", path)
	case !info.Mode().IsRegular(): // reading it might never end
		return nil, fault.New(fault.Permanent, CodeNotWASM, "%s is a device or a pipe, not a module", path)
	case info.Size() > MaxModuleBytes:
		return nil, fault.New(fault.Permanent, CodeNotWASM, "%s has %d MiB; a module may have %d", path, info.Size()>>20, MaxModuleBytes>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoModule, "read the module: %w", err)
	}
	return b, nil
}

package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/abi"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// CodeNotAProgram is OpenProgram's: the module has no main function, or wants more than WASI preview 1.
const CodeNotAProgram = "wasm.not_a_program" // Open

// exportMain is the main function of a program.
const exportMain = "_start"

// Program is a module that is a program: with WASI preview 1 and a main function, which reads standard input and writes standard
// output. It has no files and no network.
type Program struct {
	m *Module
}

// OpenProgram compiles a program. Of the configuration it uses Path, Name, MemoryLimit, Guard, Logger and CacheDir; the guards Metered and
// Interrupt let a process be killed. Errors are those of [Open], and CodeNotAProgram.
func OpenProgram(ctx context.Context, cfg Config) (*Program, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b, err := readModule(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := checkHeader(cfg.name(), b); err != nil {
		return nil, err
	}
	p := &Program{m: &Module{cfg: cfg, digest: sha256.Sum256(b)}}
	p.m.cfg.Bytes = mergeSegments(b)
	err = p.m.compile(ctx)
	if err == nil {
		err = p.check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	p.m.cfg.Bytes = nil // compiled: the source is no longer needed
	return p, nil
}

// check compares the module's exports and imports with those of a program.
func (p *Program) check(ctx context.Context) error {
	if err := p.m.instantiateWASI(ctx); err != nil {
		return fault.New(fault.Permanent, CodeInvalidModule, "set up WASI: %w", err)
	}
	exports := p.m.compiled.ExportedFunctions()
	if main, ok := exports[exportMain]; !ok || !(signature{}).fits(main) {
		e := fault.New(fault.Permanent, CodeNotAProgram, "%s is not a program: it does not export %q", p.m.cfg.name(), exportMain)
		if _, ok := exports[abi.ExportMarker]; ok {
			return e.WithHint("it is a transform with leat's own interface, which goes under wasm")
		}
		return e.WithHint("build it with a main function; a Go program without -buildmode=c-shared")
	}
	offered := p.m.runtime.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	for _, f := range p.m.compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module != wasi_snapshot_preview1.ModuleName || offered[name] == nil {
			return fault.New(fault.Permanent, CodeNotAProgram, "%s imports %s.%s, which leat does not offer to programs", p.m.cfg.name(), module, name).
				WithHint("a program may import WASI preview 1 alone")
		}
	}
	if len(p.m.compiled.ImportedMemories()) > 0 {
		return fault.New(fault.Permanent, CodeImportedMemory, "%s imports its memory; it must define it", p.m.cfg.name())
	}
	return nil
}

// Digest names the program by its bytes: sha256:HEX.
func (p *Program) Digest() string { return p.m.Digest() }

// Close frees the compiled code. All processes must have ended.
func (p *Program) Close(ctx context.Context) error { return p.m.closeRuntime(ctx) }

// Process is a program that runs.
type Process struct {
	i      instance // for its memory and its gauge
	cancel context.CancelFunc
	ended  chan struct{}
	how    string
	exited bool // with code 0

	mu      sync.Mutex
	running bool // the gauge may be used
	killed  bool
}

// Start runs the program with the environment, as NAME=value, and these files. Whoever kills the process also ends reads of stdin and writes to stdout that wait.
func (p *Program) Start(env []string, stdin io.Reader, stdout, stderr io.Writer) *Process {
	ctx, cancel := context.WithCancel(context.Background())
	proc := &Process{i: instance{m: p.m, stdin: stdin, outputs: [3]io.Writer{1: stdout, 2: stderr}, within: ctx}, cancel: cancel, ended: make(chan struct{})}
	cfg := wazero.NewModuleConfig().
		WithName(""). // any number of processes
		WithStartFunctions().
		WithArgs(p.m.cfg.name()).
		WithRandSource(randomness{&proc.i}).
		WithSysWalltime().WithSysNanotime()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		cfg = cfg.WithEnv(name, value)
	}
	go func() {
		defer close(proc.ended)
		defer cancel()
		proc.how, proc.exited = proc.run(&callContext{ctx, &proc.i}, cfg)
	}()
	return proc
}

// run runs the program until it ends, and says how it did.
func (p *Process) run(ctx context.Context, cfg wazero.ModuleConfig) (how string, exited bool) {
	m := p.i.m
	mod, err := m.newInstance(experimental.WithMemoryAllocator(ctx, allocator{&p.i}), &p.i, cfg)
	if err == nil {
		err = p.main(ctx, mod)
		_ = mod.Close(context.WithoutCancel(ctx)) // it has no files
	}
	if p.i.memory != nil {
		p.i.memory.release()
	}
	var exit *sys.ExitError
	switch {
	case err == nil:
		return "exit code 0", true
	case p.wasKilled():
		return "being killed", false
	case errors.As(err, &exit):
		return fmt.Sprintf("exit code %d", exit.ExitCode()), exit.ExitCode() == 0
	case m.cfg.Guard == Metered && p.i.gauge.cause != nil && p.i.gauge.cause.Get() == meter.CauseDepth:
		return "its calls nested too deeply", false
	}
	cause, _, _ := strings.Cut(err.Error(), "\n") // without the stack, which names functions by number
	return "a trap (" + strings.TrimPrefix(cause, "wasm error: ") + ")", false
}

// main calls the module's start function, if it has one, and its main function. A program runs for as long as it likes, so its fuel is the most
// that there is; metering is what lets it be killed.
func (p *Process) main(ctx context.Context, mod api.Module) error {
	if p.i.m.cfg.Guard == Metered {
		g := &p.i.gauge
		g.attach(mod)
		work, budget := meter.Start(meter.MaxFuel)
		g.work.Set(work)
		g.budget.Set(budget)
		p.mu.Lock()
		p.running = true
		if p.killed {
			g.stop.Set(1)
		}
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.running = false
		}()
	}
	for _, name := range []string{meter.ExportStart, exportMain} {
		if f := mod.ExportedFunction(name); f != nil {
			if _, err := f.Call(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Process) wasKilled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed
}

// Kill ends the process at its next safepoint. It may be called again.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.running {
		p.i.gauge.stop.Set(1)
	}
	p.cancel()
}

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.ended }

// End says, once the process has ended, how: "exit code 2" or what trapped. success means that it ended itself with code 0.
func (p *Process) End() (how string, success bool) { return p.how, p.exited }

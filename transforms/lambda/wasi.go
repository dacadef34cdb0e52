package lambda

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/wasm"
)

// wasi is a WebAssembly program.
type wasi struct {
	program *wasm.Program
	env     func() ([]string, error)
	log     *printed.Log
}

// openWASI makes a handler of the WebAssembly program of the settings.
func (t *Transform) openWASI(ctx context.Context) (handler, error) {
	path := t.env.Module
	if path == "" {
		path = t.cfg.WASI
	}
	p, err := wasm.OpenProgram(ctx, wasm.Config{
		Path: path, Name: t.cfg.WASI, MemoryLimit: int64(t.cfg.Memory), Logger: t.env.Logger, CacheDir: t.env.CacheDir,
	})
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) && known.Place == "" {
			known.Place = t.cfg.PlaceOf("wasi")
		}
		return nil, err
	}
	t.digest = p.Digest()
	return t.programmed(ctx, &wasi{p, t.environment, printed.NewLog(t.env.Logger)})
}

func (w *wasi) close(ctx context.Context) error { return w.program.Close(ctx) }

// guest is a process in WebAssembly.
type guest struct {
	*wasm.Process
	inR    *io.PipeReader
	inW    *io.PipeWriter
	outR   *io.PipeReader
	outW   *io.PipeWriter
	errors *printed.Stream
	read   atomic.Int64
}

func (w *wasi) start(context.Context) (process, error) {
	env, err := w.env()
	if err != nil {
		return nil, err
	}
	g := &guest{errors: printed.NewStream(w.log, slog.LevelWarn, "stderr")}
	g.errors.Begin() // with what it says before its first event
	g.inR, g.inW = io.Pipe()
	g.outR, g.outW = io.Pipe()
	g.Process = w.program.Start(env, (*guestInput)(g), g.outW, g.errors)
	go func() {
		<-g.Done()
		g.errors.Flush()
		_ = g.inR.Close() // closing a pipe never fails
		_ = g.outW.Close()
	}()
	return g, nil
}

// guestInput is what the guest reads. It counts.
type guestInput guest

func (g *guestInput) Read(p []byte) (int, error) {
	n, err := g.inR.Read(p)
	g.read.Add(int64(n))
	return n, err
}

func (g *guest) Read(p []byte) (int, error)  { return g.outR.Read(p) }
func (g *guest) Write(p []byte) (int, error) { return g.inW.Write(p) }
func (g *guest) closeInput()                 { _ = g.inW.Close() }
func (g *guest) taken() int64                { return g.read.Load() }
func (g *guest) stderr() *printed.Stream     { return g.errors }
func (g *guest) done() <-chan struct{}       { return g.Done() }
func (g *guest) end() (string, bool)         { return g.End() }

func (g *guest) kill() {
	g.Kill()
	_ = g.inR.Close()
	_ = g.inW.Close()
	_ = g.outR.Close()
	_ = g.outW.Close()
}

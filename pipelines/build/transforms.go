package build

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// transform opens one stage.
func (b *builder) transform(t *spec.Transform) (stage.Link, error) {
	link := stage.Link{Name: t.Name, Policy: stage.Policy(t.OnError)}
	metrics := b.opts.Metrics.Transform(b.spec.Name, t.Name)
	var err error
	switch key, native := t.Builtin(); {
	case native != nil:
		link.Transform, err = b.native(t, native)
		err = placed(t.PlaceOf(key), err)
	case t.Lambda != nil:
		err = placed(t.PlaceOf("lambda"), b.lambda(t, metrics, &link))
	default:
		err = b.wasm(t, metrics, &link)
	}
	if err == nil && metrics != nil {
		link.Transform = measured{link.Transform, metrics}
	}
	return link, err
}

// native opens a built-in transform.
func (b *builder) native(t *spec.Transform, c builtin.Config) (stage.Transform, error) {
	tr, err := c.Open(b.ctx, builtin.Env{
		Pipeline: b.spec.Name, Stage: t.Name, Logger: b.logger().With("pipeline", b.spec.Name, "stage", t.Name),
	})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, tr.Close)
	return tr, nil
}

// wasm opens a WebAssembly module.
func (b *builder) wasm(t *spec.Transform, metrics *observe.TransformMetrics, link *stage.Link) error {
	path, err := b.module(t.Wasm.Module, false)
	if err != nil {
		return placed(t.Wasm.PlaceOf("module"), err)
	}
	m, err := wasm.Open(b.ctx, wasm.Config{
		Path: path, Name: t.Wasm.Module, Config: json.RawMessage(t.Config), Pipeline: b.spec.Name, Stage: t.Name,
		MemoryLimit: int64(t.Wasm.Memory), Guard: wasm.Guard(t.Wasm.Guard),
		Fuel: wasm.Fuel{Base: uint64(t.Wasm.Fuel.Base), PerByte: uint64(t.Wasm.Fuel.PerByte)}, Spent: metrics.Fuel, Timeout: time.Duration(t.Wasm.Timeout),
		Instances: t.Wasm.Pool, KeepWorn: t.Wasm.Recycle == "off", MaxCalls: t.Wasm.MaxCalls, Replaced: metrics.Recycled,
		Logger: b.logger(), Count: metrics.Count,
	})
	if fault.CodeOf(err) == wasm.CodeConfigRefused && len(t.Config) > 0 {
		err = placed(t.PlaceOf("config"), err)
	}
	if err != nil {
		return placed(t.PlaceOf("wasm"), err)
	}
	b.closers = append(b.closers, m.Close)
	link.Transform, link.Digest = m, m.Digest()
	return nil
}

// module returns the path of a module's file, or of a program's; a folder is built, unless the cache has it.
func (b *builder) module(path string, program bool) (string, error) {
	if built := b.opts.Modules[path]; built != "" {
		return built, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fault.New(fault.Permanent, "build.no_module", "transform: %w", err).
			WithHint("write a .wasm file or a folder of source, relative to the pipeline file")
	}
	if !info.IsDir() {
		return path, nil
	}
	module, err := build.Build(b.ctx, build.Config{Dir: path, Program: program, Progress: func(dir string) {
		if b.opts.Progress != nil {
			b.opts.Progress("building the transform in " + dir)
		}
	}})
	if err != nil {
		return "", err
	}
	built := maps.Clone(b.opts.Modules)
	if built == nil {
		built = map[string]string{}
	}
	built[path] = module
	b.opts.Modules = built
	return module, nil
}

// measured counts the calls of a transform.
type measured struct {
	stage.Transform
	metrics *observe.TransformMetrics
}

// Unwrap implements stage.Wrapper.
func (m measured) Unwrap() stage.Transform { return m.Transform }

// Apply implements stage.Transform.
func (m measured) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	started := time.Now()
	err := m.Transform.Apply(ctx, in, out)
	records, failed := in.Len(), 0
	if err == nil {
		records = len(out.Results) // the others come again
		for i := range out.Results {
			if out.Results[i].Status == stage.Failed {
				failed++
			}
		}
	}
	m.metrics.Call(time.Since(started), records, failed, err)
	return err
}

package benchtransforms

import (
	"context"
	"embed"
	"errors"
	"os"
	"path/filepath"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/benchpipe"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

//go:embed guests/identity guests/filter guests/batch guests/json
var sources embed.FS

//go:embed c.wasm
var cFilter []byte

// modules are the files of modules by name: min, identity (Go), filter (Go), batch (Go), json (Go), c.
type modules map[string]string

// prepare writes and builds the modules.
func (m *modules) prepare(ctx context.Context, dir string, progress func(string)) error {
	*m = modules{}
	for name, module := range map[string][]byte{"min": benchpipe.Identity, "c": cFilter} {
		(*m)[name] = filepath.Join(dir, name+".wasm")
		if err := os.WriteFile((*m)[name], module, 0o666); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "src"), sources); err != nil {
		return err
	}
	for _, name := range []string{"identity", "filter", "batch", "json"} {
		path, err := build.Build(ctx, build.Config{
			Dir: filepath.Join(dir, "src", "guests", name), Progress: func(string) { progress("building the module " + name + " with Go") },
		})
		if err != nil {
			return err
		}
		(*m)[name] = path
	}
	return nil
}

// open opens a module with one instance for each call at a time.
func (m modules) open(ctx context.Context, name string, guard wasm.Guard, instances int) (*wasm.Module, error) {
	return wasm.Open(ctx, wasm.Config{Path: m[name], Name: name, Guard: guard, Instances: instances})
}

const perCall = wasm.MaxBatchRecords

// sized returns the records of one call, all of a size.
func sized(size int) *record.Batch {
	data := make([]byte, size)
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	b := record.NewBatch()
	for i := range perCall {
		b.Add(record.Record{Seq: uint64(i + 1), Key: "some-partition-key", Data: data})
	}
	return b
}

// poisonous is a record that ends or traps the modules filter, batch, json and c.
const poisonous = "!"

// logs returns the log lines of one call, one of them poison if it says so.
func logs(poison bool) *record.Batch {
	b := record.NewBatch()
	for i := range perCall {
		line := benchpipe.LogLine(uint64(i))
		line = line[:len(line)-1]
		if poison && i == perCall/2 {
			line = []byte(poisonous)
		}
		b.Add(record.Record{Seq: uint64(i + 1), Key: "some-partition-key", Data: line})
	}
	return b
}

// closing closes what figures have opened.
type closing []*wasm.Module

func (c *closing) open(ctx context.Context, m modules, name string, guard wasm.Guard, instances int) (*wasm.Module, error) {
	module, err := m.open(ctx, name, guard, instances)
	if err == nil {
		*c = append(*c, module)
	}
	return module, err
}

// sides opens each module under each guard, with one instance, and returns what applies it to the batch, and its label.
func (c *closing) sides(ctx context.Context, m modules, names []string, guards []wasm.Guard, in *record.Batch) (sides []side, labels []string, err error) {
	for _, name := range names {
		for _, guard := range guards {
			module, err := c.open(ctx, m, name, guard, 1)
			if err != nil {
				return nil, nil, err
			}
			out := new(stage.Output)
			labels = append(labels, label(name, guard))
			sides = append(sides, side{records: in.Len(), op: func() error {
				out.Reset()
				return module.Apply(ctx, in, out)
			}})
		}
	}
	return sides, labels, nil
}

func (c *closing) close(ctx context.Context, err *error) {
	for _, m := range *c {
		*err = errors.Join(*err, m.Close(context.WithoutCancel(ctx)))
	}
}

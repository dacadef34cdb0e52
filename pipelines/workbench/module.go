package workbench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm"
)

// Module says what a module is.
type Module struct {
	// Path is the file; Bytes is its size.
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Digest is that of dead letters: sha256:HEX.
	Digest  string   `json:"digest"`
	Imports []string `json:"imports"` // module.name
	Exports []string `json:"exports"`
	// Manifest is what the module says about itself, if anything.
	Manifest json.RawMessage `json:"manifest,omitempty"`
	// WantsConfig is why the module does not start without a config; empty if it does.
	WantsConfig string `json:"wants_config,omitempty"`
}

// Build builds a transform and looks at its module; out, unless empty, is where a copy of the module goes. The error is that of the
// compiler, or says why leat cannot use the module.
func Build(ctx context.Context, transform, out string, progress func(what string)) (*Module, error) {
	path, err := moduleOf(ctx, transform, progress)
	if err != nil {
		return nil, err
	}
	m := &Module{Path: path}
	if err := m.start(ctx, transform); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoModule, "%w", err)
	}
	sum := sha256.Sum256(b)
	m.Bytes, m.Digest = int64(len(b)), "sha256:"+hex.EncodeToString(sum[:])
	if err := m.list(b); err != nil {
		return nil, fault.New(fault.Permanent, CodeNoModule, "%s: %w", path, err)
	}
	if out == "" {
		return m, nil
	}
	if m.Path = out; out == path {
		return m, nil
	}
	if err := replaceFile(out, b); err != nil {
		return nil, fault.New(fault.Permanent, CodeFile, "write the module: %w", err)
	}
	return m, nil
}

// start starts the module, which compiles and checks it, and asks for its manifest.
func (m *Module) start(ctx context.Context, name string) error {
	running, err := wasm.Open(ctx, wasm.Config{Path: m.Path, Name: name, Pipeline: "build", Stage: "build", Instances: 1})
	if fault.CodeOf(err) == wasm.CodeConfigRefused { // it is fine, but for the config that is not there
		var f *fault.Error
		errors.As(err, &f)
		m.WantsConfig = f.Message
		return nil
	}
	if err != nil {
		return err
	}
	m.Manifest, err = running.Describe(ctx)
	return errors.Join(err, running.Close(context.WithoutCancel(ctx)))
}

// replaceFile puts the content in the place of a file at once, so that a pipeline that runs never sees half of it.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Ids of sections of a module.
const (
	importSection = 2
	exportSection = 7
)

// list fills in what a valid module imports and exports.
func (m *Module) list(module []byte) error {
	m.Imports, m.Exports = []string{}, []string{}
	r := &reader{b: module[min(8, len(module)):]} // behind the magic number and the version
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		section := &reader{b: r.bytes()}
		if id != importSection && id != exportSection {
			continue
		}
		for range section.number() {
			if id == exportSection {
				m.Exports = append(m.Exports, string(section.bytes()))
				section.byte() // its kind
				section.number()
			} else {
				from := string(section.bytes())
				m.Imports = append(m.Imports, from+"."+string(section.bytes()))
				section.description()
			}
			if section.err != nil {
				return section.err
			}
		}
	}
	return r.err
}

// reader takes a module apart, as its specification (WebAssembly 2.0, section 5) lays it out.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	r.b, r.err = nil, fmt.Errorf("read the sections of the module: %w", io.ErrUnexpectedEOF)
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<32-1 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// description passes over what an import is: a function, table, memory or global.
func (r *reader) description() {
	limits := func() {
		if r.number()&1 == 1 {
			r.number()
		}
		r.number()
	}
	switch r.byte() {
	case 0:
		r.number()
	case 1:
		r.byte()
		limits()
	case 2:
		limits()
	default:
		r.byte()
		r.byte()
	}
}

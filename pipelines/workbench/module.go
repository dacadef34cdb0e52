package workbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	Digest string `json:"digest"`
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
	if out == "" {
		return m, nil
	}
	if m.Path = out; out == path {
		return m, nil
	}
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return nil, fault.New(fault.Permanent, CodeFile, "%s is a folder", out).WithHint("name the file too: %s", filepath.Join(out, nameOf(transform)+".wasm"))
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

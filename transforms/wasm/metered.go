package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// useMetered makes the module's code meter itself. folder is where the cache keeps what belongs to the module, or empty. What cannot
// be metered is refused: the guard Interrupt, which could run it, does not stop a recursion without a loop.
func (m *Module) useMetered(ctx context.Context, folder string) error {
	path := ""
	if folder != "" {
		path = filepath.Join(folder, fmt.Sprintf("metered-%d-restorable", meter.Version))
		if b, ok := readMetered(path); ok {
			m.cfg.Bytes = b
			return nil
		}
	}
	m.cfg.Bytes = mergeSegments(m.cfg.Bytes)
	// The rewriter first: it is the one that bounds what a hostile module makes others allocate.
	b, _, err := meter.Rewrite(restorable(m.cfg.Bytes))
	var refused *meter.Error
	var unknown *meter.Unsupported
	switch {
	case errors.As(err, &unknown):
		return fault.New(fault.Permanent, CodeUnmeterable, "%s cannot be metered: %w", m.cfg.name(), err).
			WithHint("build it for WebAssembly 2.0 without later proposals or, if it is trusted, set guard: interrupt")
	case errors.As(err, &refused) && refused.Reserved:
		return fault.New(fault.Permanent, CodeReservedName, "%s cannot be metered: %w", m.cfg.name(), err).WithHint("rename the export")
	case err != nil:
		return fault.New(fault.Permanent, CodeInvalidModule, "%s is not a valid module: %w", m.cfg.name(), err)
	}
	if err := m.validate(ctx); err != nil {
		return m.notValid(err)
	}
	if path != "" {
		if err := writeMetered(path, b); err != nil {
			m.cfg.Logger.Warn("the cache of metered modules cannot be used", "error", err)
		}
	}
	m.cfg.Bytes = b
	return nil
}

// validate has the module checked as its author built it: rewriting relies on it. The interpreter checks as the compiler does, and is
// quicker to do nothing else.
func (m *Module) validate(ctx context.Context) error {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithMemoryLimitPages(uint32(m.cfg.MemoryLimit/pageSize)).WithDebugInfoEnabled(false))
	_, err := r.CompileModule(ctx, m.cfg.Bytes)
	return errors.Join(err, r.Close(ctx))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readMetered returns a module that writeMetered wrote, if it is there and whole.
func readMetered(path string) ([]byte, bool) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 4 || crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return nil, false
	}
	return b[4:], true
}

// writeMetered stores a module behind its checksum, in a file that appears at once.
func writeMetered(path string, module []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "metered-new-")
	if err != nil {
		return err
	}
	_, err = f.Write(append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(module, castagnoli)), module...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

package lambda

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/transforms/wasm"
)

// module is the binary of a module: its sections, each with its identifier and content.
func module(sections ...string) string {
	var b strings.Builder
	b.WriteString("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		b.WriteString(s[:1] + string(rune(len(s)-1)) + s[1:])
	}
	return b.String()
}

func TestModulesThatAreNoProgramsAreRefused(t *testing.T) {
	const types, functions, code = "\x01\x01\x60\x00\x00", "\x03\x01\x00", "\x0a\x01\x02\x00\x0b" // one function without anything
	for name, c := range map[string]struct{ file, code, words string }{
		"text":      {"#!/bin/sh", wasm.CodeNotWASM, "not a WASM module"},
		"component": {"\x00asm\x0d\x00\x01\x00", wasm.CodeComponent, "component"},
		"transform": {module(types, functions, "\x07\x01\x09leat_tx_1\x00\x00", code), wasm.CodeNotAProgram, "which goes under wasm"},
		"library":   {module(types, functions, "\x07\x01\x03run\x00\x00", code), wasm.CodeNotAProgram, "main function"},
		"imports": {module(types, "\x02\x01\x03env\x03foo\x00\x00", functions, "\x07\x01\x06_start\x00\x01", code),
			wasm.CodeNotAProgram, "imports env.foo"},
		"broken":  {module(types, functions, "\x07\x01\x06_start\x00\x00"), wasm.CodeInvalidModule, "not a valid module"},
		"missing": {"", wasm.CodeNoModule, "there is no module"},
	} {
		cfg := defaults()
		cfg.WASI = filepath.Join(t.TempDir(), name+".wasm")
		cfg.Node = setting.At("p.yaml:3:5", map[string]string{"wasi": "p.yaml:4:11"})
		if name != "missing" {
			if err := os.WriteFile(cfg.WASI, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := cfg.Open(context.Background(), Env{CacheDir: t.TempDir()})
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "p.yaml:4:11: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that ends at once is a program that does not work.
	cfg := defaults()
	cfg.WASI = filepath.Join(t.TempDir(), "empty.wasm")
	if err := os.WriteFile(cfg.WASI, []byte(module(types, functions, "\x07\x01\x06_start\x00\x00", code)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Open(context.Background(), Env{CacheDir: t.TempDir()}); fault.CodeOf(err) != CodeStartFailed || !strings.Contains(err.Error(), "exit code 0") {
		t.Errorf("%v", err)
	}
}

func TestAWASIProgramHasNoMoreMemoryThanItsLimit(t *testing.T) {
	for _, mode := range []string{Stream, Once} {
		f := apply(t, open(t, wasiConfig(t, mode), Env{}), "a", "memory", "b")
		if got := show(f); got[0] != "A" || got[1] != "!"+CodeExited || got[2] != "B" || !strings.Contains(f.Roots[1].Fail.Reason, "out of memory") {
			t.Errorf("%s: %v, %+v", mode, got, f.Roots[1].Fail)
		}
	}
}

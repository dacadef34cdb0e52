package wasm

import (
	"context"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// instantiateWASI offers WASI preview 1. Its proc_exit ends the call and leaves the instance as it is, so that its memory
// still tells which record it was working on; an instance that has ended itself is put back or thrown away in any case.
func (m *Module) instantiateWASI(ctx context.Context) error {
	b := m.runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	exit := func(_ context.Context, _ api.Module, stack []uint64) { panic(sys.NewExitError(uint32(stack[0]))) }
	for name, params := range pathFunctions {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(noFolder), params, []api.ValueType{i32}).Export(name)
	}
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(staysOpen), []api.ValueType{i32}, []api.ValueType{i32}).Export("fd_close")
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(keepsNumber), []api.ValueType{i32, i32}, []api.ValueType{i32}).Export("fd_renumber")
	_, err := b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(exit), []api.ValueType{i32}, nil).Export("proc_exit").Instantiate(ctx)
	return err
}

// pathFunctions are the functions of WASI that take a path, with their parameters. A guest has no folder for a path to begin in, and the
// runtime finds that out only after it has copied and cleaned the path, which may be as long as the memory: a third of a second
// that costs no fuel.
var pathFunctions = map[string][]api.ValueType{
	"path_create_directory":   {i32, i32, i32},
	"path_filestat_get":       {i32, i32, i32, i32, i32},
	"path_filestat_set_times": {i32, i32, i32, i32, i64, i64, i32},
	"path_link":               {i32, i32, i32, i32, i32, i32, i32},
	"path_open":               {i32, i32, i32, i32, i32, i64, i64, i32, i32},
	"path_readlink":           {i32, i32, i32, i32, i32, i32},
	"path_remove_directory":   {i32, i32, i32},
	"path_rename":             {i32, i32, i32, i32, i32, i32},
	"path_symlink":            {i32, i32, i32, i32, i32},
	"path_unlink_file":        {i32, i32, i32},
}

func noFolder(_ context.Context, _ api.Module, stack []uint64) { stack[0] = errnoBadf }

// A guest has the descriptors 0 to 2, and they stay as they are: they would be state of an instance that is not in its memory, and so would
// not be put back after a call that failed. The runtime's table of them is also as long as the highest number, which a guest
// that may renumber them can make two billion.
const lastDescriptor = 2

// staysOpen says that a descriptor is closed, as programs expect at their end.
func staysOpen(_ context.Context, _ api.Module, stack []uint64) {
	if uint32(stack[0]) > lastDescriptor {
		stack[0] = errnoBadf
		return
	}
	stack[0] = 0
}

func keepsNumber(_ context.Context, _ api.Module, stack []uint64) {
	if uint32(stack[0]) > lastDescriptor || uint32(stack[1]) > lastDescriptor {
		stack[0] = errnoBadf
		return
	}
	stack[0] = errnoNotsup
}

// Errors of WASI.
const (
	errnoBadf   = 8  // there is no such descriptor
	errnoNotsup = 58 // that is not supported
)

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
	for name, f := range ownWASI {
		call := func(ctx context.Context, mod api.Module, stack []uint64) {
			stack[0] = uint64(f.do(calling(ctx), mod.Memory(), stack))
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), f.params, []api.ValueType{i32}).Export(name)
	}
	exit := func(_ context.Context, _ api.Module, stack []uint64) { panic(sys.NewExitError(uint32(stack[0]))) }
	_, err := b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(exit), []api.ValueType{i32}, nil).Export("proc_exit").Instantiate(ctx)
	return err
}

// errno is an error of WASI.
type errno uint32

const (
	errnoBadf   errno = 8  // there is no such descriptor
	errnoFault  errno = 21 // an address lies outside the memory
	errnoInval  errno = 28
	errnoIO     errno = 29
	errnoNotsup errno = 58 // that is not supported
)

// ownWASI are the functions of WASI that are not the runtime's, with their parameters. What the runtime's cost does not depend on their
// arguments: of the descriptors 0 to 2 none is a folder or a socket, and arguments and environment are the host's.
var ownWASI = map[string]struct {
	params []api.ValueType
	do     func(i *instance, mem api.Memory, params []uint64) errno
}{
	"fd_close":              {[]api.ValueType{i32}, staysOpen},
	"fd_renumber":           {[]api.ValueType{i32, i32}, keepsNumber},
	"fd_read":               {[]api.ValueType{i32, i32, i32, i32}, fdRead},
	"fd_write":              {[]api.ValueType{i32, i32, i32, i32}, fdWrite},
	"fd_pread":              {[]api.ValueType{i32, i32, i32, i64, i32}, noFile},
	"fd_pwrite":             {[]api.ValueType{i32, i32, i32, i64, i32}, noFile},
	"fd_filestat_set_times": {[]api.ValueType{i32, i64, i64, i32}, noFile}, // the runtime's panics
	"poll_oneoff":           {[]api.ValueType{i32, i32, i32, i32}, pollOneoff},
	// A guest has no folder for a path to begin in, and the runtime finds that out only after it has copied and cleaned the path, which
	// may be as long as the memory: a third of a second that costs no fuel.
	"path_create_directory":   {[]api.ValueType{i32, i32, i32}, noFile},
	"path_filestat_get":       {[]api.ValueType{i32, i32, i32, i32, i32}, noFile},
	"path_filestat_set_times": {[]api.ValueType{i32, i32, i32, i32, i64, i64, i32}, noFile},
	"path_link":               {[]api.ValueType{i32, i32, i32, i32, i32, i32, i32}, noFile},
	"path_open":               {[]api.ValueType{i32, i32, i32, i32, i32, i64, i64, i32, i32}, noFile},
	"path_readlink":           {[]api.ValueType{i32, i32, i32, i32, i32, i32}, noFile},
	"path_remove_directory":   {[]api.ValueType{i32, i32, i32}, noFile},
	"path_rename":             {[]api.ValueType{i32, i32, i32, i32, i32, i32}, noFile},
	"path_symlink":            {[]api.ValueType{i32, i32, i32, i32, i32}, noFile},
	"path_unlink_file":        {[]api.ValueType{i32, i32, i32}, noFile},
}

func noFile(*instance, api.Memory, []uint64) errno { return errnoBadf }

// A guest has the descriptors 0 to 2, and they stay as they are: they would be state of an instance that is not in its memory, and so would
// not be put back after a call that failed. The runtime's table of them is also as long as the highest number, which a guest
// that may renumber them can make two billion.
const lastDescriptor = 2

// staysOpen says that a descriptor is closed, as programs expect at their end.
func staysOpen(_ *instance, _ api.Memory, params []uint64) errno {
	if uint32(params[0]) > lastDescriptor {
		return errnoBadf
	}
	return 0
}

func keepsNumber(_ *instance, _ api.Memory, params []uint64) errno {
	if uint32(params[0]) > lastDescriptor || uint32(params[1]) > lastDescriptor {
		return errnoBadf
	}
	return errnoNotsup
}

package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// Codes of errors. Those of [Open] say why a module cannot be used; those of Apply end up in dead letters.
const (
	CodeInvalidConfig   = "wasm.invalid_config"   // Open: a setting is out of range
	CodeNoModule        = "wasm.no_module"        // Open: there is no such file
	CodeNotWASM         = "wasm.not_wasm"         // Open: the file is not a WASM module
	CodeComponent       = "wasm.component"        // Open: the file is a component, not a core module
	CodeInvalidModule   = "wasm.invalid_module"   // Open: the module does not compile or cannot be instantiated
	CodeMissingExport   = "wasm.missing_export"   // Open
	CodeWrongType       = "wasm.wrong_type"       // Open: an export or import has another type than the interface says
	CodeUnknownImport   = "wasm.unknown_import"   // Open
	CodeImportedMemory  = "wasm.imported_memory"  // Open
	CodeConfigRefused   = "wasm.config_refused"   // Open: leat_configure refused the config
	CodeNoMemory        = "wasm.no_memory"        // Open, and later no failure of a record: the system has no memory for another instance
	CodeReservedName    = "wasm.reserved_name"    // Open: the module exports a name that is reserved for metering
	CodeUnmeterable     = "wasm.unmeterable"      // Open: the module uses what metering does not know
	CodeFuel            = "wasm.fuel_spent"       // the call did more work than its fuel allows
	CodeTooDeep         = "wasm.too_deep"         // the module's functions call each other without end
	CodeTrap            = "wasm.trap"             // the call trapped
	CodeExit            = "wasm.exit"             // the module ended itself, as a Go program does after a panic
	CodeTimeout         = "wasm.timeout"          // the call took longer than its limit
	CodeMemory          = "wasm.memory_limit"     // the module ran out of memory
	CodeBadFrame        = "wasm.bad_frame"        // the module returned a frame that breaks the rules
	CodeOutputTooLarge  = "wasm.output_too_large" // the module returned more than the cap
	CodeBatchFailed     = "wasm.batch_failed"     // leat_transform returned 0
	CodeAllocRefused    = "wasm.alloc_refused"    // leat_alloc refused a lone record
	CodeRecordTooLarge  = "wasm.record_too_large" // the record is larger than MaxRecordBytes
	CodeBadAttributes   = "wasm.bad_attributes"   // the record's attributes cannot be encoded
	codeTransformFailed = "wasm.transform_failed" // a failed result without a code
)

// callError is an error of a call. It is a [stage.Culprit], [stage.Partial] and [stage.Tainted].
type callError struct {
	cause *fault.Error
	// record is the one that the module was working on, as far as it says, else -1.
	record int
	// done is how many records of the batch have their results, from calls before.
	done int
	// touched means that the instance had served other calls.
	touched bool
	// orderly means that the module itself, or the host before the call, said no: the instance is as good as before.
	orderly bool
}

func (e *callError) Error() string { return e.cause.Error() }
func (e *callError) Record() int   { return e.record }
func (e *callError) Done() int     { return e.done }
func (e *callError) Tainted() bool { return e.touched }
func (e *callError) Unwrap() error { return e.cause }

// describe turns what wazero returns after a call of export name into an error. It prefers the module's own words.
func (i *instance) describe(name string, err error) *fault.Error {
	said := i.said()
	var exit *sys.ExitError
	switch {
	case timedOut(err):
		return i.timeout(name)
	case i.m.cfg.Guard == Metered && i.gauge.cause.Get() != meter.CauseNone && i.gauge.cause.Get() != meter.CauseRoom:
		return i.metered(name)
	case i.outOfMemory(said):
		return fault.New(fault.Permanent, CodeMemory, "%s ran out of memory, of which an instance may use %d MiB%s",
			name, i.m.cfg.MemoryLimit>>20, said).WithHint("raise the stage's memory limit, or keep less between records")
	case errors.As(err, &exit):
		return fault.New(fault.Permanent, CodeExit, "%s ended the module with code %d%s", name, exit.ExitCode(), said)
	}
	cause, _, _ := strings.Cut(err.Error(), "\n")
	return fault.New(fault.Permanent, CodeTrap, "%s trapped: %s%s", name, strings.TrimPrefix(cause, "wasm error: "), said)
}

// metered is the error of a call that metering ended.
func (i *instance) metered(name string) *fault.Error {
	switch i.gauge.cause.Get() {
	case meter.CauseFuel:
		return fault.New(fault.Permanent, CodeFuel, "%s spent its fuel of %d instructions and was stopped", name, i.gauge.given).
			WithHint("look for a loop without end, or raise the stage's fuel")
	case meter.CauseDepth:
		return fault.New(fault.Permanent, CodeTooDeep, "%s nests its calls too deeply: they take more than %d MiB of stack", name, meter.MaxStackBytes>>20).
			WithHint("look for a recursion without end, or make it a loop")
	}
	return i.timeout(name)
}

func timedOut(err error) bool {
	var exit *sys.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeDeadlineExceeded || errors.Is(err, errOvertime)
}

func (i *instance) timeout(name string) *fault.Error {
	return fault.New(fault.Permanent, CodeTimeout, "%s took longer than %s and was stopped", name, i.m.cfg.Timeout).
		WithHint("look for a loop without end, or raise the stage's timeout")
}

// said is what the module gave as the reason in leat.fail, else the first paragraph of what it wrote to stderr during the
// call: of a Go program's last words the message, without the stack, which is in the log.
func (i *instance) said() string {
	text := i.failure
	if text == "" {
		text, _, _ = strings.Cut(i.stderr.Head(), "\n\n")
	}
	if text = strings.TrimSpace(strings.ToValidUTF8(text, "")); text == "" {
		return ""
	}
	return ": " + text
}

// outOfMemory guesses from the module's last words and its size whether a limit was the cause: the module alone knows.
func (i *instance) outOfMemory(said string) bool {
	return strings.Contains(said, "out of memory") || int64(i.mod.Memory().Size())+pageSize > i.m.cfg.MemoryLimit
}

func badFrame(format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, CodeBadFrame, "leat_transform returned a frame that breaks the rules: %s", fmt.Sprintf(format, args...)).
		WithHint("see transforms/wasm/abi/ABI.md, or build the module with a leat SDK")
}

// notValid is the error of a module that the runtime does not take. The runtime's memories have the stage's limit: a module that begins with
// more is no worse for it, and runs with a higher one.
func (m *Module) notValid(err error) *fault.Error {
	if strings.Contains(err.Error(), "pages") && strings.Contains(err.Error(), "over limit of") {
		return fault.New(fault.Permanent, CodeInvalidModule, "%s wants more memory than its stage may have: %w", m.cfg.name(), err).
			WithHint("raise the stage's memory")
	}
	return fault.New(fault.Permanent, CodeInvalidModule, "%s is not a valid module: %w", m.cfg.name(), err)
}

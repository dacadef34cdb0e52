package wasm

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Limits of leat_tx_1 and of this host.
const (
	// MaxBatchBytes and MaxBatchRecords bound what one call of leat_transform gets; a lone record may be larger.
	MaxBatchBytes   = 512 << 10
	MaxBatchRecords = 500
	// MaxRecordBytes is the largest record that enters a module: the largest a stream allows.
	MaxRecordBytes = 10 << 20
	// MinOutputCap is the least that a call may return, in bytes; the cap grows to twice the input frame.
	MinOutputCap = 6 << 20
	// MaxModuleBytes bounds the file of a module.
	MaxModuleBytes = 256 << 20
	// DefaultMemoryLimit is the memory of one instance, in bytes.
	DefaultMemoryLimit = 64 << 20
	// DefaultTimeout is the time limit of one call: some thousand times what a batch of 500 records usually takes.
	DefaultTimeout = 5 * time.Second
	// DefaultFuelBase and DefaultFuelPerByte are the fuel of one call, in instructions. A Go module that decodes and encodes JSON with
	// the standard library spends 2,000 a byte and 5 million to start; a C module 30 a byte. A thousand million take about 0.2 s.
	DefaultFuelBase    = 1_000_000_000
	DefaultFuelPerByte = 50_000

	pageSize = 64 << 10
	// maxMemory is one page less than a module may have: the runtime tells the size of a memory in 32 bits.
	maxMemory = 4<<30 - pageSize
)

// Guard is how calls are kept from running for ever.
type Guard string

const (
	// Metered bounds the work of a call by its fuel, and its time by the time limit. The module is rewritten so that it counts what it does,
	// which makes it slower by a few hundredths (C) to a quarter (Go).
	Metered Guard = "metered"
	// Interrupt stops a call at its time limit. The module's loops check for it, which makes them several times slower. A recursion without a
	// loop does not check: it is for modules that are trusted, too.
	Interrupt Guard = "interrupt"
	// None lets a call run as long as it likes: full speed, for modules that are trusted. A loop without end in such a module stops
	// its pipeline and, because Go's garbage collector has to wait for it, in the end the whole process.
	None Guard = "none"
)

// Fuel is an amount of work, in units of about one instruction, and with it the same on every machine.
type Fuel struct {
	// Base is what a call may spend whatever it gets; 0 is DefaultFuelBase.
	Base uint64
	// PerByte is what it may spend more for each byte of its input frame; 0 is DefaultFuelPerByte.
	PerByte uint64
}

// Bounds of the settings of [Fuel], so that a call's fuel does not overflow. The first is more than ten years of work.
const (
	maxFuelBase    = 1 << 61
	maxFuelPerByte = 100_000_000_000
)

// Config says which module to run and within which limits.
type Config struct {
	// Path is the module's file. Bytes, if not nil, is the module itself; Path is then only its name in messages.
	Path  string
	Bytes []byte
	// Name is what messages call the module, such as the folder of its source; Path if empty.
	Name string
	// Config is the value of config in the pipeline file, as JSON; empty is null.
	Config json.RawMessage
	// Pipeline and Stage are names that the module is told, and that logs carry.
	Pipeline, Stage string
	// MemoryLimit is the memory of one instance in bytes, at least 64 KiB and at most 4 GiB; 0 is DefaultMemoryLimit.
	MemoryLimit int64
	// Guard is Metered if empty.
	Guard Guard
	// Fuel is what one call may spend under the guard Metered.
	Fuel Fuel
	// Timeout is the time limit of one call under the guards Metered and Interrupt; 0 is DefaultTimeout. Fuel is the same on every
	// machine, time is not: it is for what costs no fuel, such as sleeping.
	Timeout time.Duration
	// Instances is how many calls run at a time, each in an instance with memory of its own; 0 is GOMAXPROCS.
	Instances int
	// KeepWorn keeps an instance whose memory has grown to near its limit, until a call fails: for modules that cannot do without
	// what they keep between calls. Otherwise such an instance is replaced by a new one.
	KeepWorn bool
	// MaxCalls replaces an instance after so many calls; 0 is never.
	MaxCalls int
	// Replaced is told of each instance that was replaced between calls, with the reason: memory or calls; nil: nobody is.
	Replaced func(reason string)
	// Logger gets the module's log lines, a limited number; nil discards them.
	Logger *slog.Logger
	// Count gets what the module counts, concurrently and under at most 257 names; nil discards it.
	Count func(name string, n int64)
	// Spent gets the fuel of each call with records, concurrently, and the bytes of the call's input frame; nil discards it.
	Spent func(fuel, bytes uint64)
	// CacheDir keeps compiled modules, a folder for each module; empty is leat/wasm in the user's cache. What is not used for long is
	// removed from it. Whoever can write to it can run code as this user.
	CacheDir string
}

// Validate reports the first setting that is out of range, and fills in defaults.
func (c *Config) Validate() error {
	if c.MemoryLimit == 0 {
		c.MemoryLimit = DefaultMemoryLimit
	}
	if c.Guard == "" {
		c.Guard = Metered
	}
	if c.Fuel.Base == 0 {
		c.Fuel.Base = DefaultFuelBase
	}
	if c.Fuel.PerByte == 0 {
		c.Fuel.PerByte = DefaultFuelPerByte
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Instances == 0 {
		c.Instances = runtime.GOMAXPROCS(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Count == nil {
		c.Count = func(string, int64) {}
	}
	if c.Replaced == nil {
		c.Replaced = func(string) {}
	}
	if c.Spent == nil {
		c.Spent = func(uint64, uint64) {}
	}
	if len(c.Config) == 0 {
		c.Config = json.RawMessage("null")
	}
	if c.CacheDir == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			c.CacheDir = filepath.Join(dir, "leat", "wasm")
		}
	}
	switch {
	case c.MemoryLimit < pageSize || c.MemoryLimit > 4<<30:
		return invalid("the memory limit is %d bytes; it must be between 64 KiB and 4 GiB", c.MemoryLimit)
	case c.Guard != Metered && c.Guard != Interrupt && c.Guard != None:
		return invalid("the guard is %q; it must be metered, interrupt or none", c.Guard)
	case c.Fuel.Base > maxFuelBase || c.Fuel.PerByte > maxFuelPerByte:
		return invalid("the fuel is %d and %d a byte; it may be %d and %d a byte at most", c.Fuel.Base, c.Fuel.PerByte, uint64(maxFuelBase), uint64(maxFuelPerByte))
	case c.Timeout < 0:
		return invalid("the time limit is %s; it must be positive", c.Timeout)
	case c.MaxCalls < 0:
		return invalid("an instance is to be replaced after %d calls; it must be at least one, or 0 for never", c.MaxCalls)
	case c.Instances < 0:
		return invalid("%d instances; there must be at least one", c.Instances)
	case !json.Valid(c.Config):
		return invalid("config is not JSON")
	}
	c.MemoryLimit = min(c.MemoryLimit, maxMemory)
	return nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Permanent, CodeInvalidConfig, format, args...)
}

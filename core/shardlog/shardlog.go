// Package shardlog defines the durable log of one stream: all its shards, in one commit order.
//
// A [Log] stores records and nothing else; what a shard means (hash ranges, parents, names) is its owner's business and
// travels as opaque bytes. Engines: disk (embedded). Every engine passes the suite in shardlogtest.
package shardlog

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat/core/record"
)

// MaxMarkState is the largest state, in bytes, that a mark carries.
const MaxMarkState = 4 << 10

// MaxShardMeta is the largest owner's description of a shard, in bytes.
const MaxShardMeta = 256

var (
	// ErrShardClosed says that a shard takes no records any more; the caller routes again.
	ErrShardClosed = errors.New("shard is closed")
	// ErrNoShard says that the log has no such shard.
	ErrNoShard = errors.New("no such shard")
	// ErrTrimmed says that records at the asked position have expired; State tells the trim horizon.
	ErrTrimmed = errors.New("position is before the trim horizon")
	// ErrFull says that writes are refused until there is room (disk reserve reached, or the hold of the retention spent).
	// It comes in a fault.Error that says how much.
	ErrFull = errors.New("log is full")
	// ErrCorrupt says that stored bytes are damaged.
	ErrCorrupt = errors.New("stored data is damaged")
	// ErrPoisoned says that an earlier write or sync failed: the log takes no writes until it is opened again. It comes in
	// a fault.Error that says which.
	ErrPoisoned = errors.New("log is poisoned by an earlier i/o error")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("log is closed")
)

// Entry is one record to append.
type Entry struct {
	Key   string
	Data  []byte
	Attrs record.Attrs
}

// Run is what one append has for one shard.
type Run struct {
	Shard   record.ShardID
	Entries []Entry
}

// RunResult is the outcome of one run.
type RunResult struct {
	// First is the position of the run's first entry; the others follow without a gap.
	First uint64
	// Arrived is the arrival time given to all its entries, in nanoseconds since the Unix epoch.
	Arrived int64
	// Err is nil or ErrShardClosed or ErrNoShard; then nothing of this run was stored.
	Err error
}

// Mark is a producer's own position, stored atomically with the records of the append that carries it.
type Mark struct {
	Producer string // at most 255 bytes
	State    []byte // at most MaxMarkState bytes; an empty state forgets the producer
}

// Shard is a shard to open, with its owner's description.
type Shard struct {
	ID   record.ShardID
	Meta []byte // at most MaxShardMeta bytes; stored in the log and returned by Shards
}

// ShardState tells what a shard holds.
type ShardState struct {
	Shard
	TrimHorizon uint64    // position of the oldest record that can be read; Next if there is none
	Next        uint64    // position that the next record will get; all before it are durable
	TipArrived  time.Time // arrival of the newest record; zero if there never was one
	Opened      time.Time // when the shard was opened
	Closed      time.Time // when the shard was closed; zero while it is open
}

// ReadLimit bounds one read. A read returns at least one record, however large, if there is one. A limit of 0 is 10,000
// records or 10 MiB.
type ReadLimit struct {
	Records int
	Bytes   int
}

// Positions says for each shard which position comes next. A shard that is missing starts at its trim horizon.
type Positions map[record.ShardID]uint64

// Retention says when records expire. A segment of the log expires as a whole.
type Retention struct {
	// Age is how long a record is kept at least (unless Hold makes room); 0 keeps records for ever.
	Age time.Duration
	// Hold, in bytes, changes the rule for pipelines: what a pin still needs is never expired, whatever its age; once
	// the log is larger than Hold, segments that no pin needs go early, and if that is not enough, appends fail with
	// ErrFull until a pin moves. 0: pins hold nothing and only count what expires past them.
	Hold int64
}

// Log is the log of one stream. All methods are safe for concurrent use.
type Log interface {
	// Append stores the runs, and mark if not nil, atomically and durably. It returns one result a run, in order. A run
	// whose shard is closed fails alone; if all fail, mark is not stored. The error is about the whole append: nothing
	// of it is acked then, though after a crash it may be found stored.
	// Append does not keep the entries' memory after it returns.
	Append(ctx context.Context, runs []Run, mark *Mark) ([]RunResult, error)
	// Read adds records of one shard from a position on to dst and returns the position after the last. It never
	// blocks: next == from means there is nothing yet or, if the shard is closed, nothing any more. Before the trim
	// horizon it fails with ErrTrimmed.
	Read(ctx context.Context, shard record.ShardID, from uint64, max ReadLimit, dst *record.Batch) (next uint64, err error)
	// Scan starts a pass over all shards in commit order.
	Scan(from Positions) (Scanner, error)
	// Wait blocks until there is a record at from, or the shard is closed and ends there, or ctx is done.
	Wait(ctx context.Context, shard record.ShardID, from uint64) error
	// Reshard closes some shards and opens others in one durable step. A closed shard stays readable.
	Reshard(ctx context.Context, closing []record.ShardID, opening []Shard) error
	// State describes one shard. ok is false if there is none, or it is closed and all of it has expired, its closing
	// included.
	State(shard record.ShardID) (st ShardState, ok bool)
	// Shards describes all shards, by id.
	Shards() []ShardState
	// SeekTime returns the position of the first record that arrived at or after at; Next if there is none.
	SeekTime(ctx context.Context, shard record.ShardID, at time.Time) (uint64, error)
	// Mark returns the newest mark of a producer.
	Mark(producer string) (Mark, bool)
	// SetRetention changes the retention. It is not durable: the owner sets it after opening the log.
	SetRetention(Retention)
	// Pin says that owner still needs the records from the given positions on; it replaces owner's earlier pin, and nil
	// removes it. A shard missing from positions is needed from its beginning. Pins are not durable: owners pin again
	// after opening the log.
	Pin(owner string, needs Positions)
	// Size is what the log takes on disk, in bytes.
	Size() int64
	// Err is nil, or why the log takes no writes (ErrPoisoned, ErrFull).
	Err() error
	// Close stops the log. Appends under way end with their result or ErrClosed.
	Close() error
}

// Scanner is a pass over all shards in commit order; within a shard in order of position. It is not safe for concurrent
// use.
type Scanner interface {
	// Next adds the next records to dst; it adds none at the end of what is durable. Records that expired before they
	// were reached are passed over and counted by Expired.
	Next(ctx context.Context, max ReadLimit, dst *record.Batch) error
	// Wait blocks until Next would add something, or ctx is done.
	Wait(ctx context.Context) error
	// Expired returns and clears the ranges of positions that expired before the scan reached them.
	Expired() []Range
	// Close releases what the scan holds.
	Close() error
}

// Range is the positions From (included) to To (excluded) of a shard.
type Range struct {
	Shard    record.ShardID
	From, To uint64
}

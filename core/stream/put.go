package stream

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Entry is a record to put.
type Entry struct {
	// Key is the partition key, 1 to MaxKeyChars characters. Bytes that are not UTF-8 count as one character each.
	Key string
	// ExplicitHashKey, a decimal number, takes the place of the key's hash unless it is empty.
	ExplicitHashKey string
	Data            []byte
	Attrs           record.Attrs
}

// PutOptions changes how a put is done. The zero value is what Put does.
type PutOptions struct {
	// Unlimited passes the write limits of the shards by, and takes nothing of them.
	Unlimited bool
	// Spread deals the entries out to the open shards in turn. Their keys, which may be empty then, and their explicit
	// hash keys do not matter.
	Spread bool
	// Results is memory for the results, which are allocated if it is too short.
	Results []PutResult
}

// PutResult is the outcome of one entry.
type PutResult struct {
	// Shard is where the entry is stored, or the shard that refused it.
	Shard record.ShardID
	Seq   uint64 // position in the shard
	// Arrived is the arrival time in nanoseconds since the Unix epoch.
	Arrived int64
	// Err is nil, or why this entry alone was not stored: throttled (stream.throughput_exceeded), or an error of the log
	// that met the entry after its shard had been resharded.
	Err error

	created int64
}

// SequenceNumber is the stored record's number.
func (r *PutResult) SequenceNumber() SequenceNumber {
	return SequenceNumber{Created: r.created, Shard: r.Shard, Position: r.Seq, Second: r.Arrived / int64(time.Second)}
}

// CheckEntry tells whether the stream would take e: its key, its hash key and its size.
func (s *Stream) CheckEntry(e *Entry) error {
	if e.Key == "" || len(e.Key) > MaxKeyChars && utf8.RuneCountInString(e.Key) > MaxKeyChars {
		return fault.New(fault.Permanent, "stream.invalid_partition_key",
			"partition key of %d characters: want 1 to %d", utf8.RuneCountInString(e.Key), MaxKeyChars)
	}
	if err := s.checkSize(e); err != nil {
		return err
	}
	if e.ExplicitHashKey != "" {
		if _, err := ParseHashKey(e.ExplicitHashKey); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) checkSize(e *Entry) error {
	if limit := s.config.Load().MaxRecordSize; len(e.Key)+len(e.Data) > limit {
		return fault.New(fault.Permanent, "stream.record_too_large",
			"record of %d bytes with its key: stream %s takes up to %d", len(e.Key)+len(e.Data), s.name, limit).
			WithHint("raise the stream's largest record size, up to %d", MaxRecordSize)
	}
	return nil
}

// Put stores entries durably and returns one result an entry, in order. Entries of one shard keep their order. A shard
// over its write limit refuses entries one by one; their results say so. An error is about the whole call: an entry that
// CheckEntry refuses, or a log that takes nothing; none of the entries is acked then.
func (s *Stream) Put(ctx context.Context, entries []Entry) ([]PutResult, error) {
	return s.PutWith(ctx, entries, PutOptions{})
}

// PutWith is Put with options.
func (s *Stream) PutWith(ctx context.Context, entries []Entry, o PutOptions) ([]PutResult, error) {
	check, route := s.CheckEntry, (*plan).route
	if o.Spread {
		check, route = s.checkSize, s.spread
	}
	if err := checkEntries(entries, check); err != nil {
		return nil, err
	}
	results := slices.Grow(o.Results[:0], len(entries))[:len(entries)]
	clear(results)
	p := newPlan(len(entries))
	defer p.release()
	t := s.table.Load()
	route(p, t, entries)
	if !o.Unlimited && p.limit(t, s.owner.sinceOpen(), entries, results) != nil {
		s.countRefused(results)
	}
	acked := 0
	for len(p.pending) > 0 {
		p.group(t, entries)
		stored, err := s.log.Append(ctx, p.runs, nil)
		if err == nil {
			p.meter(t, s.owner.sinceOpen, stored, entries)
			n := p.settle(t, stored, results)
			if acked += n; len(p.pending) == 0 {
				break
			}
			// The rest met a shard that was closed meanwhile.
			t, err = s.tableAfter(t)
		}
		if err != nil {
			err = s.explain(err, "put records")
			if acked == 0 {
				return nil, err
			}
			for _, i := range p.pending {
				results[i].Err = err
			}
			break
		}
		route(p, t, entries)
	}
	return results, nil
}

// countRefused counts the entries that plan.limit has refused.
func (s *Stream) countRefused(results []PutResult) {
	for i := range results {
		if results[i].Err != nil {
			s.metrics.Throttled(results[i].Shard)
		}
	}
}

// spread gives the pending entries to the open shards in turn, and the next put goes on where this one ends.
func (s *Stream) spread(p *plan, t *table, _ []Entry) {
	p.shard = p.shard[:0]
	turn := s.turn.Add(uint64(len(p.pending))) - uint64(len(p.pending))
	for n := range p.pending {
		p.shard = append(p.shard, int32((turn+uint64(n))%uint64(len(t.open))))
	}
}

// PutMarked stores all entries and mark in one durable step, or nothing. A shard over its write limit fails the whole
// call with a throttled error. Entries may be empty.
func (s *Stream) PutMarked(ctx context.Context, entries []Entry, mark *shardlog.Mark) ([]PutResult, error) {
	if err := checkEntries(entries, s.CheckEntry); err != nil {
		return nil, err
	}
	if mark != nil && (mark.Producer == "" || len(mark.Producer) > 255 || len(mark.State) > shardlog.MaxMarkState) {
		return nil, fault.New(fault.Permanent, "stream.invalid_mark",
			"mark of producer %.40q (%d bytes) with %d bytes of state: want a name of 1 to 255 bytes and at most %d bytes of state",
			mark.Producer, len(mark.Producer), len(mark.State), shardlog.MaxMarkState)
	}
	// No shard closes while this is held, so that the append finds all its shards open and is atomic.
	if !s.owner.opts.seams.tornMarks {
		s.reshard.RLock()
		defer s.reshard.RUnlock()
	}
	results := make([]PutResult, len(entries))
	p := newPlan(len(entries))
	defer p.release()
	t := s.table.Load()
	p.route(t, entries)
	if refused := p.limit(t, s.owner.sinceOpen(), entries, results); refused != nil {
		p.refund(t, entries)
		s.countRefused(results)
		return nil, refused
	}
	p.group(t, entries)
	stored, err := s.log.Append(ctx, p.runs, mark)
	if err != nil {
		return nil, s.explain(err, "put records")
	}
	p.meter(t, s.owner.sinceOpen, stored, entries)
	p.settle(t, stored, results)
	if len(p.pending) > 0 {
		return nil, s.explain(errClosedAlone, "put records")
	}
	return results, nil
}

// errClosedAlone says that log and table disagree on which shards are open: the stream alone closes shards.
var errClosedAlone = errors.New("the log refuses a shard that it lists as open")

func checkEntries(entries []Entry, check func(*Entry) error) error {
	for i := range entries {
		if err := check(&entries[i]); err != nil {
			return fault.New(fault.ClassOf(err), fault.CodeOf(err), "entry %d: %w", i, err)
		}
	}
	return nil
}

// tableAfter returns the table that follows old, which routed to a shard that is closed: it waits for the reshard.
func (s *Stream) tableAfter(old *table) (*table, error) {
	s.reshard.Lock()
	defer s.reshard.Unlock()
	if t := s.table.Load(); t != old {
		return t, nil
	}
	// A reshard whose caller gave up may still have reached the log.
	if err := s.refresh(); err != nil {
		return nil, err
	}
	if t := s.table.Load(); t.next != old.next {
		return t, nil
	}
	return nil, errClosedAlone
}

package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
)

// maxAppend is how many bytes go into one append to the journal at most; a record of the journal may reach beyond.
const maxAppend = 8 << 20

// commit is a transaction that ran and waits to become durable.
type commit struct {
	ops     []byte
	view    *version   // the store after it
	outcome chan error // has room for the one value it gets
}

// committer is what the goroutine that writes the journal knows. Nobody else uses it.
type committer struct {
	next          uint64    // position of the journal's next record
	published     uint64    // position of the last record of the newest transaction that is durable as a whole
	sinceSnapshot int64     // bytes of journal since the last snapshot was begun
	begun         time.Time // of the last snapshot
}

// commitAll writes queued transactions until the store is closed. All that are queued at a time share one append.
func (s *Store) commitAll() {
	defer close(s.stopped)
	for {
		group := s.takeQueue()
		if group == nil {
			return
		}
		if err := s.store(group); err != nil {
			s.fail(err)
		}
		s.snapshotIfDue(false)
	}
}

// takeQueue waits for transactions and returns them; nil means that the store was closed.
func (s *Store) takeQueue() []*commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	for len(s.queue) == 0 && !s.closed {
		s.changed.Wait()
	}
	if len(s.queue) == 0 {
		return nil
	}
	group := s.queue
	s.queue = nil
	s.busy = true
	return group
}

// store appends transactions to the journal, as many as fit at once, publishes them and tells their callers. Those
// behind the first that fails share its error.
func (s *Store) store(group []*commit) (err error) {
	var entries []shardlog.Entry
	bytes, whole, ends := 0, 0, 0 // of entries; transactions of group that end in them; entries up to the last such end
	flush := func() {
		first := s.committer.next
		if len(entries) > 0 && err == nil {
			err = s.appendJournal(entries, int64(bytes))
		}
		if err == nil && whole > 0 {
			s.committer.published = first + uint64(ends) - 1
			s.durable.Store(group[whole-1].view)
			for _, c := range group[:whole] {
				c.outcome <- nil
			}
			group = group[whole:]
		}
		entries, bytes, whole, ends = entries[:0], 0, 0, 0
	}
	for _, c := range group {
		if len(c.ops) > 0 {
			for _, part := range cutParts(c.ops) {
				if bytes > 0 && bytes+len(part) > maxAppend {
					flush()
				}
				entries = append(entries, shardlog.Entry{Data: part})
				bytes += len(part)
			}
		}
		whole, ends = whole+1, len(entries)
	}
	flush()
	if err != nil {
		for _, c := range group {
			c.outcome <- err
		}
	}
	return err
}

func (s *Store) appendJournal(entries []shardlog.Entry, bytes int64) error {
	run := []shardlog.Run{{Shard: journalShard, Entries: entries}}
	results, err := s.journal.Append(context.Background(), run, nil)
	for errors.Is(err, shardlog.ErrFull) && s.makeRoom() {
		results, err = s.journal.Append(context.Background(), run, nil)
	}
	if err == nil {
		err = results[0].Err
	}
	if errors.Is(err, shardlog.ErrFull) {
		return fault.New(fault.Retryable, "state.full", "state %s: %w", s.dir, err).WithHint("make room on the disk")
	}
	if err == nil && results[0].First != s.committer.next {
		err = fmt.Errorf("records went to position %d, expected %d", results[0].First, s.committer.next)
	}
	if err != nil {
		return fault.New(fault.Unavailable, codeBroken, "state %s: write journal: %w", s.dir, err).
			WithHint("check the disk and start leat again; nothing that was acked is lost")
	}
	s.committer.next += uint64(len(entries))
	s.committer.sinceSnapshot += bytes
	return nil
}

const codeBroken = "state.broken"

// errOvertaken is for a transaction that has read what another wrote that could not be stored.
func errOvertaken(dir string) error {
	return fault.New(fault.Retryable, "state.full", "state %s: a transaction before this one could not be stored", dir)
}

// fail fails all queued transactions, for they have seen one that could not be stored, and goes back to what is durable.
func (s *Store) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	s.failures++
	durable := s.durable.Load()
	s.head = version{durable.keys.Copy(), durable.size}
	refusal := errOvertaken(s.dir)
	if fault.CodeOf(cause) == codeBroken {
		s.broken, refusal = cause, cause
		s.opts.Logger.Error("state takes no more updates", "dir", s.dir, "err", cause)
	}
	for _, c := range queue {
		c.outcome <- refusal
	}
}

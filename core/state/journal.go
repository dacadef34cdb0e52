package state

import (
	"context"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/vfs"
)

const (
	journalName = "journal"
	// journalShard is the only shard of the journal.
	journalShard record.ShardID = 0
	// replayBytes is how much of the journal is read at once.
	replayBytes = 8 << 20
	pinOwner    = "snapshot"
	// failedPause is how soon after a failed snapshot the next may begin.
	failedPause = time.Second
	// journalReserve is how many bytes of the disk stay free at most. The logs of streams leave more, so that deliveries
	// can commit, and streams expire, on a disk that they have filled.
	journalReserve = 32 << 20
)

func openJournal(fsys vfs.FS, dir string, opts Options) (shardlog.Log, error) {
	room, err := fsys.Usage(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	return disk.Open(fsys, dir, disk.Options{
		FirstSegment: opts.segmentSize / 4,
		SegmentSize:  opts.segmentSize,
		Reserve:      min(journalReserve, int64(room.Total/100)),
		Logger:       opts.Logger,
	})
}

// prepareJournal makes sure that the journal continues a snapshot that covers it up to position.
func prepareJournal(journal shardlog.Log, position uint64) error {
	state, ok := journal.State(journalShard)
	if !ok && position == 0 {
		return journal.Reshard(context.Background(), nil, []shardlog.Shard{{ID: journalShard}})
	}
	if !ok || state.Next <= position || state.TrimHorizon > position+1 {
		return fault.New(fault.Permanent, "state.journal_mismatch",
			"the snapshot covers the journal up to record %d, but the journal has records %d to %d",
			position, state.TrimHorizon, int64(state.Next)-1).
			WithHint("files are missing or come from another store; restore the whole folder from one backup")
	}
	return nil
}

// replay applies the journal from a position on. It returns the position behind the last record and the bytes it has read.
func replay(journal shardlog.Log, from uint64, all *keys) (next uint64, bytes int64, err error) {
	var parts joiner
	batch := record.NewBatch()
	defer batch.Release()
	for {
		batch.Reset()
		next, err = journal.Read(context.Background(), journalShard, from, shardlog.ReadLimit{Bytes: replayBytes}, batch)
		if err != nil {
			return 0, 0, err
		}
		if next == from {
			return next, bytes, nil
		}
		for i := range batch.Records {
			r := &batch.Records[i]
			bytes += int64(len(r.Data))
			ops, whole, err := parts.add(r.Data)
			if err == nil && whole {
				err = applyOps(ops, all)
			}
			if err != nil {
				return 0, 0, fault.New(fault.Permanent, "state.journal_damaged", "record %d of the journal: %w", r.Seq, err)
			}
		}
		from = next
	}
}

// trimJournal lets the journal go up to what the newest snapshot covers.
func (s *Store) trimJournal() {
	covered, due := s.snapshots.state(s.opts.snapshotBytes)
	s.journal.Pin(pinOwner, shardlog.Positions{journalShard: covered + 1})
	s.journal.SetRetention(shardlog.Retention{Hold: 4*due + s.opts.journalSlack})
}

// makeRoom waits for a snapshot, so that the journal before it can go, and reports whether that may have helped.
func (s *Store) makeRoom() bool {
	before, _ := s.snapshots.state(s.opts.snapshotBytes)
	s.snapshotIfDue(true)
	s.snapshots.running.Wait()
	after, _ := s.snapshots.state(s.opts.snapshotBytes)
	return after > before
}

// snapshotIfDue starts a snapshot of what is durable once enough journal was written since the last, or the journal is
// full and a snapshot would make room. A failed one is tried again later.
func (s *Store) snapshotIfDue(full bool) {
	covered, due := s.snapshots.state(s.opts.snapshotBytes)
	if covered == s.committer.published || s.committer.sinceSnapshot < due && !full {
		return
	}
	if s.snapshots.failure() != nil && time.Since(s.committer.begun) < failedPause {
		return
	}
	if !s.snapshots.begin() {
		return
	}
	s.committer.sinceSnapshot, s.committer.begun = 0, time.Now()
	position, view := s.committer.published, s.durable.Load()
	go func() {
		defer s.snapshots.end()
		if s.opts.seams.trimEarly {
			s.snapshots.done(position, 0, nil)
			s.trimJournal()
		}
		length, err := writeSnapshot(s.fs, s.dir, position, view.keys, s.opts.seams)
		if err != nil {
			s.opts.Logger.Warn("state snapshot failed", "dir", s.dir, "err", err)
			err = fault.New(fault.Retryable, "state.snapshot", "state %s: write snapshot: %w", s.dir, err).
				WithHint("the journal grows until it can be written")
		}
		s.snapshots.done(position, length, err)
		s.trimJournal()
	}()
}

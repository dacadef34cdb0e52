// Package stream keeps streams: their shards over the space of hash keys, their sequence numbers, iterators, limits and
// lineage, on top of one durable log a stream.
//
// [Streams] is the registry. Which streams there are stands in the state store under "streams/<name>"; a stream's records
// and its shards stand in its own log, in a folder named by its incarnation:
//
//	<dir>/LOCK
//	<dir>/<incarnation>/      the log
//
// Creation makes the log with its shards durable first and then the entry in the state store; deletion removes the entry
// first and then the files. A folder without an entry is therefore garbage of a crash between the two, and the next Open
// removes it; an entry without a folder is damage, and the stream is reported as such.
//
// Resharding is one durable step of the log, for what a shard is (hash range, parents, creation second) is stored with
// the step that opens it.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// openers is how many logs are opened at a time. After a kill each waits for a few syncs, which the disk takes together.
const openers = 32

// Options configures the registry. The zero value is ready to use.
type Options struct {
	// Log configures the streams' logs; Retention, Logger and Now in it are set by the registry.
	Log disk.Options
	// Logger receives what an operator should know; nil: nothing is logged.
	Logger *slog.Logger
	// Now is the wall clock, which also carries the monotonic one; nil: time.Now.
	Now func() time.Time
	// Metrics counts what the streams take in; nil: nothing is counted.
	Metrics *observe.Metrics

	seams seams
}

// seams are defects on purpose, for the tests that show that the tests find them.
type seams struct {
	sameSecond     bool // children do not start later than their parents
	noFloor        bool // nor a new stream later than a deleted one
	anyIncarnation bool // positions of other streams are taken
	entryFirst     bool // a creation is in the state store before its log is made
	filesFirst     bool // a deletion removes files before its entry
	tornMarks      bool // shards close during a marked put
}

// Streams is the registry of streams. All methods are safe for concurrent use.
type Streams struct {
	fs     vfs.FS
	dir    string
	state  *state.Store
	opts   Options
	now    func() time.Time
	opened time.Time
	lock   io.Closer
	sweep  *sweeper

	admin sync.Mutex // held while a stream is created or deleted, so that each happens as a whole

	mu      sync.RWMutex
	streams map[string]*registered
	closed  bool
}

// registered is a stream, or why it could not be opened.
type registered struct {
	stream      *Stream // nil if broken
	broken      error
	incarnation uuid.UUID
	created     time.Time
}

// Open opens the registry and the logs of all its streams, and removes what crashes left behind. A stream whose log
// cannot be opened does not keep the others from working: Get returns its error, and Delete removes it.
func Open(fsys vfs.FS, dir string, st *state.Store, opts Options) (*Streams, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fault.New(fault.Retryable, "stream.io", "open streams in %s: %w", dir, err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, "LOCK"))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "stream.locked", "open streams in %s: %w", dir, err).
			WithHint("another leat process uses this data directory")
	}
	s := &Streams{
		fs: fsys, dir: dir, state: st, opts: opts, now: opts.Now, opened: opts.Now(), lock: lock,
		sweep: newSweeper(fsys, dir, opts.Logger), streams: map[string]*registered{},
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// load opens the streams that are in the state store and has the folders removed that are not.
func (s *Streams) load() error {
	stored, err := s.storedStreams()
	if err != nil {
		return err
	}
	folders, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return fault.New(fault.Retryable, "stream.io", "open streams in %s: %w", s.dir, err)
	}
	known := map[string]bool{}
	for _, st := range stored {
		known[st.Incarnation.String()] = true
	}
	found := map[string]bool{}
	for _, f := range folders {
		found[f.Name()] = true
		id, err := uuid.Parse(f.Name())
		if err != nil || id.String() != f.Name() || !f.IsDir() || known[f.Name()] {
			continue // what does not look like a stream's folder is not ours to remove
		}
		s.opts.Logger.Info("removing what an interrupted creation or deletion of a stream left", "folder", f.Name())
		s.sweep.remove(f.Name())
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, openers)
	for _, st := range stored {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := &registered{incarnation: st.Incarnation, created: st.Created}
			if found[st.Incarnation.String()] {
				r.stream, r.broken = s.openStream(st)
			} else {
				r.broken = fault.New(fault.Permanent, "stream.corrupt", "stream %s: its folder %s in %s is missing", st.Name, st.Incarnation, s.dir).
					WithHint("put the folder back, or delete the stream")
			}
			if r.broken != nil {
				s.opts.Logger.Error("stream cannot be opened", "stream", st.Name, "incarnation", st.Incarnation, "error", r.broken)
			}
			mu.Lock()
			s.streams[st.Name] = r
			mu.Unlock()
		})
	}
	wg.Wait()
	return nil
}

// openStream opens the log of a stream that is in the state store.
func (s *Streams) openStream(st storedStream) (*Stream, error) {
	log, err := s.openLog(st.Name, st.Incarnation, st.Config.Retention)
	if err != nil {
		return nil, err
	}
	stream, err := s.newStream(st, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return stream, nil
}

func (s *Streams) openLog(name string, incarnation uuid.UUID, retention shardlog.Retention) (shardlog.Log, error) {
	opts := s.opts.Log
	opts.Retention = retention
	opts.Logger = s.opts.Logger.With("stream", name)
	opts.Now = s.opts.Now
	log, err := disk.Open(s.fs, filepath.Join(s.dir, incarnation.String()), opts)
	if err != nil {
		return nil, explainLog(err, fmt.Sprintf("open the log of stream %s in %s", name, incarnation))
	}
	return log, nil
}

func (s *Streams) newStream(st storedStream, log shardlog.Log) (*Stream, error) {
	metrics := s.opts.Metrics.Stream(st.Name)
	stream := &Stream{
		name: st.Name, incarnation: st.Incarnation, created: st.Created, owner: s,
		log: observe.MeasureAppends(log, metrics), metrics: metrics,
	}
	stream.config.Store(&st.Config)
	return stream, stream.refresh()
}

// Create makes a stream. It fails with the code stream.exists if there is one of that name.
//
// The creation second of its shards is greater than that of any shard of a stream that was deleted before, so that
// sequence numbers of a deleted stream mean nothing in one that has its name.
//
// What also writes is durable with the stream, or not at all.
func (s *Streams) Create(ctx context.Context, name string, c Config, also ...Also) (*Stream, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fault.New(fault.ClassOf(err), fault.CodeOf(err), "create stream %s: %w", name, err)
	}
	s.admin.Lock()
	defer s.admin.Unlock()
	if _, err := s.lookup(name); fault.CodeOf(err) != "stream.not_found" {
		if fault.CodeOf(err) == "stream.closed" {
			return nil, err
		}
		return nil, fault.New(fault.Permanent, "stream.exists", "stream %s exists already", name)
	}
	floor, err := s.floor()
	if err != nil {
		return nil, err
	}
	now := s.now()
	st := storedStream{Name: name, Incarnation: uuid.New(), Created: now.UTC().Round(0), Config: c.withDefaults()}
	if s.opts.seams.noFloor {
		floor = 0
	}
	if s.opts.seams.entryFirst {
		_ = s.saveStream(ctx, st)
	}
	stream, err := s.makeStream(ctx, st, max(now.Unix(), floor+1))
	if err == nil {
		if err = s.saveStream(ctx, st, also...); err != nil {
			_ = stream.log.Close() // the error that matters is the first one
		}
	}
	if err != nil {
		// A broken state store may have the entry all the same: then the next Open decides about the folder.
		if fault.CodeOf(err) != "state.broken" {
			s.sweep.remove(st.Incarnation.String())
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[name] = &registered{stream: stream, incarnation: st.Incarnation, created: st.Created}
	return stream, nil
}

// makeStream makes the log of a new stream with its first shards.
func (s *Streams) makeStream(ctx context.Context, st storedStream, second int64) (*Stream, error) {
	log, err := s.openLog(st.Name, st.Incarnation, st.Config.Retention)
	if err != nil {
		return nil, err
	}
	var opening []shardlog.Shard
	for i, r := range UniformRanges(st.Config.Shards) {
		m := shardMeta{hash: r, created: second}
		opening = append(opening, shardlog.Shard{ID: record.ShardID(i), Meta: m.encode()})
	}
	if err := log.Reshard(ctx, nil, opening); err != nil {
		return nil, errors.Join(explainLog(err, "create stream "+st.Name), log.Close())
	}
	stream, err := s.newStream(st, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return stream, nil
}

// Get returns a stream. It fails with the code stream.not_found, or with the reason why the stream could not be opened.
func (s *Streams) Get(name string) (*Stream, error) {
	r, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	if r.broken != nil {
		return nil, r.broken
	}
	return r.stream, nil
}

func (s *Streams) lookup(name string) (*registered, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, fault.New(fault.Unavailable, "stream.closed", "the streams in %s are closed", s.dir)
	}
	r, ok := s.streams[name]
	if !ok {
		return nil, fault.New(fault.Permanent, "stream.not_found", "stream %s not found", name)
	}
	return r, nil
}

// List returns the names of all streams, sorted, broken ones included.
func (s *Streams) List() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.streams))
}

// Delete removes a stream and all its records. It is durable when Delete returns; the files go in the background. The
// stream's users get errors with the code stream.deleted. What also writes is durable with the deletion, or not at all.
func (s *Streams) Delete(ctx context.Context, name string, also ...Also) error {
	s.admin.Lock()
	defer s.admin.Unlock()
	r, err := s.lookup(name)
	if err != nil {
		return err
	}
	// How far the shards' seconds of a broken stream are ahead of the clock is not known; each reshard adds at most one.
	second := max(s.now().Unix(), r.created.Unix()) + int64(time.Hour/time.Second)
	if r.stream != nil {
		r.stream.reshard.Lock() // no reshard may add a second now
		defer r.stream.reshard.Unlock()
		second = r.stream.table.Load().newest
	}
	if s.opts.seams.filesFirst {
		_ = s.sweep.removeTree(filepath.Join(s.dir, r.incarnation.String()))
	}
	if err := s.removeStream(ctx, name, r.incarnation, second, also...); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.streams, name)
	s.mu.Unlock()
	if r.stream != nil {
		r.stream.deleted.Store(true)
		if err := r.stream.log.Close(); err != nil {
			s.opts.Logger.Warn("closing the log of a deleted stream", "stream", name, "error", err)
		}
		r.stream.metrics.Forget()
	}
	s.sweep.remove(r.incarnation.String())
	return nil
}

// Incarnations returns the names of all streams by their incarnations, broken ones included.
func (s *Streams) Incarnations() map[uuid.UUID]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make(map[uuid.UUID]string, len(s.streams))
	for name, r := range s.streams {
		names[r.incarnation] = name
	}
	return names
}

// Close closes all streams.
func (s *Streams) Close() error {
	s.admin.Lock()
	defer s.admin.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.sweep.stop()
	var errs []error
	for _, name := range s.List() {
		if stream := s.streams[name].stream; stream != nil {
			stream.closed.Store(true)
			if err := stream.log.Close(); err != nil {
				errs = append(errs, fmt.Errorf("close stream %s: %w", name, err))
			}
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// sinceOpen is a reading of the monotonic clock.
func (s *Streams) sinceOpen() time.Duration { return s.now().Sub(s.opened) }

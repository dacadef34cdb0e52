package state

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

const (
	lockName = "LOCK"
	// defaultSnapshotBytes: so much journal is replayed in a few hundredths of a second.
	defaultSnapshotBytes = 4 << 20
	// defaultSegmentSize: the journal goes a segment at a time.
	defaultSegmentSize = 8 << 20
	// defaultJournalSlack is how many bytes the journal may take beyond what snapshots leave: transactions that arrive while
	// one is written.
	defaultJournalSlack = 256 << 20
	// defaultMaxBytes bounds the memory of a store; what belongs into it is a few megabytes.
	defaultMaxBytes = 1 << 30
)

// ErrClosed says that a store was closed.
var ErrClosed = errors.New("state: store is closed")

// Options configures a store. The zero value is ready to use.
type Options struct {
	// Logger receives what an operator should know. nil: nothing is logged.
	Logger *slog.Logger

	// snapshotBytes is how much journal, in bytes, makes a new snapshot due. It is never less than the size of the snapshot
	// before, so that snapshots at most double what is written.
	snapshotBytes int64
	// maxBytes bounds all keys and values together. An update that would exceed it fails.
	maxBytes                  int64
	segmentSize, journalSlack int64 // of the journal
	openJournal               func(vfs.FS, string, Options) (shardlog.Log, error)
	seams                     seams
}

// seams are defects on purpose, for the tests that show that the tests find them.
type seams struct {
	noSnapshotSync bool // a snapshot is renamed before it is synced
	noDirSync      bool // its new name is not synced
	trimEarly      bool // the journal may go before the snapshot is written
	ackEarly       bool // transactions are acked before the journal has them
}

func (o *Options) setDefaults() {
	if o.snapshotBytes <= 0 {
		o.snapshotBytes = defaultSnapshotBytes
	}
	if o.maxBytes <= 0 {
		o.maxBytes = defaultMaxBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.segmentSize <= 0 {
		o.segmentSize = defaultSegmentSize
	}
	if o.journalSlack <= 0 {
		o.journalSlack = defaultJournalSlack
	}
	if o.openJournal == nil {
		o.openJournal = openJournal
	}
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	fs      vfs.FS
	dir     string
	opts    Options
	journal shardlog.Log // nil if the store is read-only
	lock    io.Closer
	durable atomic.Pointer[version] // what View shows
	turn    chan struct{}           // holds a token while a transaction runs

	mu       sync.Mutex
	changed  sync.Cond // queue or closed changed
	head     version   // after all queued transactions; whoever has the turn uses it
	failures int       // how often the queue was failed and head went back to what is durable
	queue    []*commit
	busy     bool  // the committer works on transactions that it took off the queue
	broken   error // why no update is possible any more
	closed   bool

	committer committer
	stopped   chan struct{} // closed when the committer has ended
	snapshots snapshots
}

// version is the store at one moment. The keys of one that was published are never changed.
type version struct {
	keys *keys
	size int64 // bytes of keys and values
}

// Open opens the store in dir, which it makes if missing. One process at a time can have it open; the error for a second
// one satisfies errors.Is for [vfs.ErrLocked].
func Open(fsys vfs.FS, dir string, opts Options) (*Store, error) {
	opts.setDefaults()
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, openFailed(dir, err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, openFailed(dir, err)
	}
	// A process that was killed may have renamed a snapshot that is visible and would not survive a power failure: the
	// journal must not be trimmed because of it before it would.
	if err := fsys.SyncDir(dir); err != nil {
		return nil, errors.Join(openFailed(dir, err), lock.Close())
	}
	journal, err := opts.openJournal(fsys, filepath.Join(dir, journalName), opts)
	if err != nil {
		return nil, errors.Join(openFailed(dir, err), lock.Close())
	}
	s, err := recoverStore(fsys, dir, opts, journal)
	if err != nil {
		return nil, errors.Join(openFailed(dir, err), journal.Close(), lock.Close())
	}
	s.journal, s.lock = journal, lock
	s.turn = make(chan struct{}, 1)
	s.changed.L = &s.mu
	s.stopped = make(chan struct{})
	s.trimJournal()
	go s.commitAll()
	return s, nil
}

func recoverStore(fsys vfs.FS, dir string, opts Options, journal shardlog.Log) (*Store, error) {
	all, position, length, err := readSnapshot(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err := prepareJournal(journal, position); err != nil {
		return nil, err
	}
	next, replayed, err := replay(journal, position+1, all)
	if err != nil {
		return nil, err
	}
	s := &Store{fs: fsys, dir: dir, opts: opts, head: version{keys: all}}
	all.Scan(func(key, value string) bool {
		s.head.size += int64(len(key) + len(value))
		return true
	})
	s.durable.Store(&version{all.Copy(), s.head.size})
	s.committer = committer{next: next, published: next - 1, sinceSnapshot: replayed}
	s.snapshots.covered, s.snapshots.length = position, length
	return s, nil
}

func openFailed(dir string, err error) error {
	if errors.Is(err, vfs.ErrLocked) {
		return fault.New(fault.Unavailable, "state.locked", "open state %s: %w", dir, err).
			WithHint("another leat uses this data directory; stop it or choose another with --data")
	}
	if fault.CodeOf(err) != "internal" {
		return err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fault.New(fault.Unauthorized, "state.permission", "open state %s: %w", dir, err).
			WithHint("run leat as the user who owns the data directory")
	}
	return fault.New(fault.Unavailable, "state.open", "open state %s: %w", dir, err)
}

// View calls fn with a transaction that reads what is durable now. Its Put and Delete panic. It never waits, also not for
// an Update that is under way.
func (s *Store) View(fn func(tx *Tx)) {
	fn(&Tx{version: *s.durable.Load(), readOnly: true})
}

// Update calls fn with a transaction, makes what it wrote durable, and returns. Transactions run one at a time, in the
// order in which they are stored; fn sees those before it, also while they are not durable yet, and must not call Update
// itself. If fn fails or panics, nothing happens.
//
// ctx bounds the wait for fn's turn. Once fn has returned nil, Update waits for the outcome.
//
// Other errors are a [fault.Error]: retryable with the code state.full while the disk is full or the store has reached
// its bound, permanent if the transaction is impossible, unavailable with state.broken if the journal failed; then the
// transaction may be found stored when the store is opened again, and until then the store takes no update.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if s.journal == nil {
		return fault.New(fault.Permanent, "state.read_only", "state %s is open for reading only", s.dir)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := s.execute(fn)
	if err != nil || s.opts.seams.ackEarly {
		return err
	}
	return <-c.outcome
}

// execute runs fn and queues what it wrote. It gives the turn back.
func (s *Store) execute(fn func(tx *Tx) error) (*commit, error) {
	defer func() { <-s.turn }()
	s.mu.Lock()
	head, failures, err := s.head, s.failures, s.unusable()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	tx := &Tx{version: version{head.keys.Copy(), head.size}}
	if err := fn(tx); err != nil {
		return nil, err
	}
	if tx.err != nil {
		return nil, tx.err
	}
	if tx.size > s.opts.maxBytes && tx.size > head.size {
		return nil, fault.New(fault.Retryable, "state.full", "state %s has %d bytes of keys and values: at most %d",
			s.dir, tx.size, s.opts.maxBytes)
	}
	c := &commit{ops: tx.ops, view: &version{tx.keys.Copy(), tx.size}, outcome: make(chan error, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.unusable(); err != nil {
		return nil, err
	}
	if s.failures != failures {
		return nil, errOvertaken(s.dir)
	}
	if len(tx.ops) == 0 && len(s.queue) == 0 && !s.busy {
		c.outcome <- nil // all that it has read is durable
		return c, nil
	}
	s.head = tx.version
	s.queue = append(s.queue, c)
	s.changed.Signal()
	return c, nil
}

// unusable is why no update is possible; the caller holds mu.
func (s *Store) unusable() error {
	if s.closed {
		return ErrClosed
	}
	return s.broken
}

// Err is nil, or why updates are refused or what else needs an operator: a journal that failed, a full disk, a snapshot
// that could not be written.
func (s *Store) Err() error {
	s.mu.Lock()
	err := s.broken
	s.mu.Unlock()
	if err != nil || s.journal == nil {
		return err
	}
	if err := s.journal.Err(); err != nil {
		return fault.New(fault.Unavailable, "state.journal", "state %s: journal: %w", s.dir, err)
	}
	return s.snapshots.failure()
}

// Close waits for the updates under way and closes the store. Later updates fail with ErrClosed; View goes on.
func (s *Store) Close() error {
	if s.journal == nil {
		return nil
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.stopped
		return nil
	}
	s.closed = true
	s.changed.Signal()
	s.mu.Unlock()
	<-s.stopped
	s.snapshots.running.Wait()
	return errors.Join(s.journal.Close(), s.lock.Close())
}

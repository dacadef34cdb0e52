// Package serve runs the pipelines of a folder and follows its changes.
//
// The folder is looked at every two seconds; it need not be there if [Options].Optional says so. A file counts as changed when its content differs from what runs and has been
// the same at two looks: files are not always written in one go. Then:
//
//   - a new pipeline starts; a changed one is made ready in its new version while the one before runs on, which then stops as
//     designed; one that is in no file any more stops;
//   - of a file with errors nothing is taken: what ran before goes on;
//   - a version that cannot be made ready, or fails its tests, changes nothing, and one that cannot be tied to its stream gives
//     way to the one that ran before it;
//   - a pipeline that has never run, and whose destination refuses, is tried again until it does not;
//   - a pipeline that changes again while it is made ready is made ready once more afterwards;
//   - a pipeline that cannot go on rests until its file changes. The others do not notice, nor that one takes long to build;
//   - a pipeline whose stream is deleted waits until there is one of that name again.
//
// Each of these is logged and shown by the health checks file/<name> and pipeline/<name>. As long as a version of every
// pipeline runs they are degraded at most; they fail for a file of which nothing was ever taken, and for a pipeline that
// waits or rests.
package serve

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
	"github.com/leatstream/leat/pipelines/spec"
)

const (
	defaultPoll = 2 * time.Second
	// maxFile is the largest pipeline file that is read, in bytes; spec refuses smaller ones already.
	maxFile = 16 << 20
)

// Options configures a server. Dir and Build are required.
type Options struct {
	// Dir is the folder. Its *.yaml and *.yml files are pipeline files; sub-folders and hidden files are not looked at.
	Dir string
	// Optional allows the folder not to be there, also at the start: it is like an empty one until it is.
	Optional bool
	// Build is handed to the builder. Its Logger is the server's; nil discards.
	Build build.Options
	// Poll is the time between two looks at the folder; 0 is 2 s.
	Poll time.Duration
	// Health gets the checks; nil: nobody does.
	Health *observe.Health
	// Control lets others look at the pipelines while they run; nil: nobody can.
	Control *control.Server

	// Watch also follows what the transforms are made of, such as folders of source, and lets only those versions take over that pass
	// the tests in their file.
	Watch bool

	// prepare and test are seams for tests; nil are build.Prepare and the tests in the file.
	prepare func(context.Context, *spec.Pipeline, build.Options) (prepared, error)
	test    func(context.Context, *spec.Pipeline, build.Options) error
}

// Server runs the pipelines of a folder. Its life: New, then Run once.
type Server struct {
	opts Options
	log  *slog.Logger

	files  map[string]*file // by path; only the scanning goroutine uses it
	owners map[string]string

	mu     sync.Mutex
	folder error // why the folder cannot be read
	slots  map[string]*slot
	live   sync.WaitGroup
}

// file is a pipeline file as it was last seen.
type file struct {
	seen, taken [sha256.Size]byte
	missing     bool // at the last look
	names       []string
	unregister  func()

	mu  sync.Mutex
	err error // why nothing is taken of its content
}

// New returns a server for a folder.
func New(o Options) (*Server, error) {
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Health == nil {
		o.Health = &observe.Health{}
	}
	if o.Build.Logger == nil {
		o.Build.Logger = slog.New(slog.DiscardHandler)
	}
	if o.prepare == nil {
		o.prepare = prepare
	}
	if o.test == nil {
		o.test = test
	}
	if info, err := os.Stat(o.Dir); !(o.Optional && os.IsNotExist(err)) && (err != nil || !info.IsDir()) {
		e := fault.New(fault.Permanent, "serve.no_folder", "the folder for pipelines %s is not there", o.Dir).
			WithHint("make it, or name another with --pipelines")
		e.Err = err
		return nil, e
	}
	return &Server{opts: o, log: o.Build.Logger, files: map[string]*file{}, owners: map[string]string{}, slots: map[string]*slot{}}, nil
}

// Run runs the pipelines until ctx is done and returns when all have stopped.
func (s *Server) Run(ctx context.Context) {
	defer s.live.Wait()
	defer s.opts.Health.Register("pipelines", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.folder
	})()
	defer s.opts.Health.Register("streams", s.checkStreams)()
	tick := time.NewTicker(s.opts.Poll)
	defer tick.Stop()
	for first := true; ; first = false {
		s.scan(ctx, first)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkStreams reports the first stream that takes no records: its disk is full, or an i/o error has stopped it.
func (s *Server) checkStreams() error {
	if s.opts.Build.Data == nil {
		return nil
	}
	streams := s.opts.Build.Data.Streams
	for _, name := range streams.List() {
		stream, err := streams.Get(name)
		if err == nil {
			err = stream.Log().Err()
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return nil
}

// scan looks at the folder once. At the first look everything is taken as it is.
func (s *Server) scan(ctx context.Context, first bool) {
	found, err := contents(s.opts.Dir)
	if s.opts.Optional && os.IsNotExist(err) && len(s.files) == 0 { // one that was there and is not any more is a reason to look
		err = nil
	}
	s.mu.Lock()
	if err != nil && s.folder == nil {
		s.log.Error("the folder for pipelines cannot be read; what runs goes on", "folder", s.opts.Dir, "error", err)
	}
	if s.folder = err; len(s.files) > 0 { // what they say runs on
		s.folder = observe.Degraded(err)
	}
	s.mu.Unlock()
	if err != nil {
		return
	}
	released := false
	for path, f := range s.files {
		_, there := found[path]
		if !there && f.missing {
			s.log.Info("pipeline file removed", "file", path)
			s.take(ctx, path, f, nil)
			f.unregister()
			delete(s.files, path)
			released = true
		}
		f.missing = !there
	}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		sum := sha256.Sum256(found[path])
		f := s.files[path]
		if f == nil {
			f = &file{}
			f.unregister = s.opts.Health.Register("file/"+filepath.Base(path), f.check)
			s.files[path] = f
		}
		steady := first || f.seen == sum
		f.seen = sum
		if steady && (f.taken != sum || released && f.check() != nil) {
			f.taken = sum
			released = s.load(ctx, path, f, found[path]) || released
		}
	}
}

func (f *file) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// contents reads the pipeline files of a folder.
func contents(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		src, err := read(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[path] = src
	}
	return found, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// load takes a new content of a file, if it is good. It reports whether names became free.
func (s *Server) load(ctx context.Context, path string, f *file, src []byte) (released bool) {
	pipelines, err := spec.Parse(path, src, spec.Options{})
	for _, p := range pipelines {
		if owner, ok := s.owners[p.Name]; ok && owner != path {
			err = fault.New(fault.Permanent, "serve.duplicate_name", "the pipeline %q is also in %s, which was first", p.Name, owner).
				At(p.PlaceOf("pipeline"))
		}
	}
	mended := err == nil && f.check() != nil
	f.mu.Lock()
	if f.err = err; len(f.names) > 0 { // what was taken before runs on, or its own check says that it does not
		f.err = observe.Degraded(err)
	}
	f.mu.Unlock()
	if err != nil {
		s.log.Error("pipeline file has errors; nothing of it is taken", "file", path, "error", err, "running", f.names)
		return false
	}
	if mended {
		s.log.Info("pipeline file has no errors any more", "file", path)
	}
	return s.take(ctx, path, f, pipelines)
}

// take makes pipelines the content of a file. It reports whether names became free.
func (s *Server) take(ctx context.Context, path string, f *file, pipelines []*spec.Pipeline) (released bool) {
	var names []string
	for _, p := range pipelines {
		names = append(names, p.Name)
		s.owners[p.Name] = path
		s.slot(ctx, p.Name).want(&version{p, f.taken})
	}
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			delete(s.owners, name)
			s.slot(ctx, name).want(nil)
			released = true
		}
	}
	f.names = names
	return released
}

// slot returns the place where the pipeline of that name runs. It stays for the server's life, so that a pipeline that
// moves from one file to another never runs twice at a time.
func (s *Server) slot(ctx context.Context, name string) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.slots[name]
	if p == nil {
		p = newSlot(name, &s.opts)
		s.slots[name] = p
		s.live.Go(func() { p.loop(ctx) })
	}
	return p
}

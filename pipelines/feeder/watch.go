package feeder

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// watch knows which files there are and what is to be done with them. It belongs to the goroutine of Run.
type watch struct {
	f     *Feeder
	queue []task
	files map[identity]*file
	pass  uint64

	// known are marks of files that are not in files: not yet found after a start, or let go.
	known map[identity]mark
	// byPath finds a mark of an earlier start if the file's device number has changed since, as after a reboot.
	byPath map[place]identity
	// retired are the identities in known in the order in which they will be forgotten.
	retired     []identity
	keepRetired int
	// forgetting are identities whose mark is about to be removed. A file that has one of them waits until it is, so
	// that there are never two marks of one identity.
	forgetting map[identity]bool

	troubles map[string]error // paths that cannot be fed, and why, as of the last scan
	unfound  map[*Input]bool  // inputs that matched nothing in the last scan
	others   []other          // other feeders of the stream
	begun    []*file          // without a mark since the last scan, if there are others
	folders  map[string]map[identity]string
}

type mark struct {
	slot int
	position
}

type place struct {
	path string
	ino  uint64
}

func newWatch(f *Feeder, marks map[int]position) *watch {
	w := &watch{
		f: f, files: make(map[identity]*file), known: make(map[identity]mark, len(marks)), byPath: make(map[place]identity, len(marks)),
		unfound: make(map[*Input]bool), forgetting: make(map[identity]bool),
	}
	for slot, p := range marks {
		w.known[p.id] = mark{slot, p}
		w.byPath[place{p.path, p.id.ino}] = p.id
	}
	return w
}

// close closes the files; no worker has one any more.
func (w *watch) close() {
	for _, t := range w.files {
		t.close()
	}
}

// scan looks at all files and queues what there is to do.
func (w *watch) scan(now time.Time) {
	w.pass++
	w.folders = make(map[string]map[identity]string)
	before := w.troubles
	w.troubles = make(map[string]error)
	for i := range w.f.cfg.Inputs {
		w.match(&w.f.cfg.Inputs[i], now)
	}
	for path, err := range w.troubles {
		if old, ok := before[path]; !ok || old.Error() != err.Error() {
			w.f.log.Warn("a path cannot be fed", "path", path, "err", err)
		}
	}
	if w.pass == 1 {
		w.followMarks(now)
	}
	w.warnOfOthers()
	var lag int64
	failing, open := len(w.troubles), 0
	for _, t := range w.files {
		if t.pass != w.pass && !t.busy && !w.follow(t, now) {
			w.letGo(t)
			continue
		}
		lag += max(0, t.now.size-t.stored.Load())
		if !t.busy {
			if t.err != nil {
				failing++
			}
			if t.handle != nil {
				open++
			}
			w.consider(t, now)
		}
	}
	w.closeSome(open - w.f.cfg.MaxOpen)
	w.f.counters.files.Store(int64(len(w.files)))
	w.f.counters.lag.Store(lag)
	w.f.counters.failing.Store(int64(failing))
}

// match looks at the files of one input.
func (w *watch) match(in *Input, now time.Time) {
	found := false
	for _, pattern := range in.Paths {
		paths, _ := filepath.Glob(pattern) // resolve has tried the pattern
		for _, path := range paths {
			fi, err := os.Stat(path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue // renamed just now, or a dangling link
			case err != nil:
				w.troubles[path] = err
			case fi.IsDir():
				continue
			case !fi.Mode().IsRegular():
				w.troubles[path] = fault.New(fault.Permanent, "feeder.not_a_file", "it is not a regular file").
					WithHint("what comes through a pipe is put into the stream by leat stream put")
			default:
				w.matched(in, path, fi, now)
			}
			found = true
		}
	}
	if was, ok := w.unfound[in]; !found && (!ok || !was) {
		w.f.log.Warn("no file matches, or its folder cannot be read; files are read as soon as they are there", "path", strings.Join(in.Paths, ", "))
	}
	w.unfound[in] = !found
}

func (w *watch) matched(in *Input, path string, fi fs.FileInfo, now time.Time) {
	id, _ := identify(fi)
	t := w.files[id]
	if t == nil {
		if w.forgetting[id] {
			return
		}
		if len(w.files) >= maxFiles {
			w.troubles[in.Paths[0]] = fault.New(fault.Retryable, "feeder.too_many_files", "more than %d files match: the others wait until some are gone", maxFiles)
			return
		}
		t = w.adopt(in, path, id, now)
	}
	if t.pass == w.pass {
		return // a second path of the same file
	}
	t.pass = w.pass
	if t.at != path {
		if t.left.IsZero() {
			w.f.counters.rotations.Add(1)
		}
		w.f.log.Info("a file was renamed", "file", path, "before", t.at)
		t.at, t.retryAt = path, time.Time{}
	}
	t.left = time.Time{}
	w.observe(t, fi, now)
}

func (w *watch) observe(t *file, fi fs.FileInfo, now time.Time) {
	if st := stampOf(fi); !st.equal(t.now) {
		t.now, t.changed = st, now
	}
}

// adopt begins to feed a file, where its mark left off if it has one.
func (w *watch) adopt(in *Input, path string, id identity, now time.Time) *file {
	t := &file{id: id, at: path, input: in, slot: -1, changed: now}
	old := id
	m, ok := w.known[old]
	if !ok {
		old = w.byPath[place{path, id.ino}]
		m, ok = w.known[old]
	}
	cur := begin(id, in, 0)
	if ok {
		delete(w.known, old)
		if i := slices.Index(w.retired, old); i >= 0 {
			w.retired = slices.Delete(w.retired, i, i+1)
		}
		t.slot, t.resumed = m.slot, true
		cur.position = m.position
		cur.id = id
		if cur.offset > 0 {
			cur.header = 0
		}
	} else if len(w.others) > 0 {
		w.begun = append(w.begun, t)
	}
	t.move(cur)
	w.files[id] = t
	return t
}

// followMarks finds the files that were renamed, while no feeder ran, to where no input matches them.
func (w *watch) followMarks(now time.Time) {
	for id, m := range w.known {
		if in := w.inputOf(m.path); in != nil {
			if path, ok := w.folder(filepath.Dir(m.path))[id]; ok {
				t := w.adopt(in, path, id, now)
				t.left = now
				continue
			}
		}
		w.retired = append(w.retired, id)
	}
	// A volume that is not mounted today does not cost the marks of its files.
	w.keepRetired = max(maxRetired, len(w.retired))
}

func (w *watch) inputOf(path string) *Input {
	for i := range w.f.cfg.Inputs {
		for _, pattern := range w.f.cfg.Inputs[i].Paths {
			if ok, _ := filepath.Match(pattern, path); ok {
				return &w.f.cfg.Inputs[i]
			}
		}
	}
	return nil
}

// folder lists the regular files of a folder; it reads each folder once a scan.
func (w *watch) folder(dir string) map[identity]string {
	files, ok := w.folders[dir]
	if ok {
		return files
	}
	files = make(map[identity]string)
	entries, _ := os.ReadDir(dir) // what cannot be listed holds nothing that could be read
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			id, _ := identify(fi)
			files[id] = filepath.Join(dir, e.Name())
		}
	}
	w.folders[dir] = files
	return files
}

// follow looks at a file that no input matches any more. It returns false when the file is read to its end and has been
// quiet for long enough, or cannot be found again.
func (w *watch) follow(t *file, now time.Time) bool {
	if t.left.IsZero() {
		t.left = now
		w.f.counters.rotations.Add(1)
		w.f.log.Info("a file was renamed or deleted; reading on to its end", "file", t.at)
	}
	if errors.Is(t.err, errStray) {
		return false
	}
	var fi fs.FileInfo
	var err error
	if t.handle != nil {
		if fi, err = t.handle.Stat(); err != nil {
			return false
		}
		_, links := identify(fi)
		t.deleted = links == 0
	} else {
		path, ok := w.folder(filepath.Dir(t.at))[t.id]
		if !ok {
			return false
		}
		t.at = path
		if fi, err = os.Stat(path); err != nil {
			return false
		}
	}
	w.observe(t, fi, now)
	quiet := now.Sub(t.left) >= w.f.cfg.RotateWait && now.Sub(t.changed) >= w.f.cfg.RotateWait
	return !quiet || w.pending(t, now)
}

// letGo stops feeding a file. Its mark stays known for the case that the file comes back, unless it cannot.
func (w *watch) letGo(t *file) {
	t.close()
	delete(w.files, t.id)
	unread := max(0, t.now.size-t.cur.offset)
	if unread > 0 && !errors.Is(t.err, errStray) { // the size of a stray is another file's
		w.f.log.Warn("a file was let go before it could be read to its end", "file", t.at, "read_bytes", t.cur.offset, "unread_bytes", unread)
	} else {
		w.f.log.Info("a file was let go", "file", t.at, "read_bytes", t.cur.offset)
	}
	if t.slot < 0 {
		return
	}
	if t.deleted {
		w.forget(t.id, t.slot)
		return
	}
	w.known[t.id] = mark{t.slot, t.cur.position}
	w.retired = append(w.retired, t.id)
	for len(w.retired) > w.keepRetired {
		oldest := w.retired[0]
		w.retired = w.retired[1:]
		w.forget(oldest, w.known[oldest].slot)
		delete(w.known, oldest)
	}
}

func (w *watch) forget(id identity, slot int) {
	w.forgetting[id] = true
	w.queue = append(w.queue, task{id: id, slot: slot})
}

// pending reports whether there is something to read in a file.
func (w *watch) pending(t *file, now time.Time) bool {
	switch {
	case t.err != nil:
		return fault.ClassOf(t.err) != fault.Permanent || !t.now.equal(t.seen)
	case !t.visited || !t.now.equal(t.seen):
		return true
	}
	return t.rest() && w.settled(t, now)
}

// consider queues a file in which there is something to read.
func (w *watch) consider(t *file, now time.Time) {
	if now.Before(t.retryAt) || !w.pending(t, now) {
		return
	}
	t.takeRest = 0
	if w.settled(t, now) {
		t.takeRest = t.now.size
	}
	w.enqueue(t)
}

func (w *watch) enqueue(t *file) {
	t.path, t.stray, t.busy = t.at, !t.left.IsZero(), true
	w.queue = append(w.queue, task{file: t})
}

// settled reports whether a file has rested for so long that its last line counts as complete. What runs until it is
// idle believes the time of the last change, so that it need not wait with a file that is old.
func (w *watch) settled(t *file, now time.Time) bool {
	return now.Sub(t.changed) >= w.f.cfg.Settle || w.f.cfg.UntilIdle && now.Sub(t.now.mtime) >= w.f.cfg.Settle
}

// unsettled reports whether a last line is waiting to be taken.
func (w *watch) unsettled() bool {
	for _, t := range w.files {
		if t.rest() {
			return true
		}
	}
	return false
}

// visited takes a file back from a worker.
func (w *watch) visited(t *file, now time.Time) {
	t.busy = false
	switch {
	case t.more:
		w.enqueue(t)
	case t.err == nil:
		if t.loggedAs != "" {
			w.f.logFile(slog.LevelInfo, t, "the file can be read again")
		}
		t.loggedAs, t.retryAt = "", time.Time{}
	case errors.Is(t.err, errReplaced) || errors.Is(t.err, errStray) || errors.Is(t.err, fs.ErrNotExist):
		// The next scan knows better.
	default:
		t.retryAt = now.Add(retryFile)
		if msg := t.err.Error(); msg != t.loggedAs {
			t.loggedAs = msg
			w.f.logFile(slog.LevelWarn, t, "the file cannot be read", "code", fault.CodeOf(t.err), "err", t.err)
		}
	}
}

// closeSome closes n files that have not changed for the longest time.
func (w *watch) closeSome(n int) {
	if n <= 0 {
		return
	}
	var idle []*file
	for _, t := range w.files {
		if !t.busy && t.handle != nil && t.left.IsZero() {
			idle = append(idle, t)
		}
	}
	slices.SortFunc(idle, func(a, b *file) int { return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.at, b.at)) })
	for _, t := range idle[:min(n, len(idle))] {
		t.close()
	}
}

// verdict is what a run until idle ends with.
func (w *watch) verdict() error {
	var unfound []string
	for i := range w.f.cfg.Inputs {
		if in := &w.f.cfg.Inputs[i]; w.unfound[in] {
			unfound = append(unfound, in.Paths...)
		}
	}
	if len(unfound) > 0 {
		e := fault.New(fault.Permanent, "feeder.no_match", "no file matches %s", strings.Join(unfound, ", "))
		for _, path := range unfound {
			if fi, err := os.Stat(path); err == nil && fi.IsDir() {
				return e.WithHint("%s is a folder; for its files, write %s", path, filepath.Join(path, "*"))
			}
		}
		return e.WithHint("check the path; relative ones start at the pipeline file's folder")
	}
	bad := maps.Clone(w.troubles)
	for _, t := range w.files {
		if t.err != nil {
			bad[t.at] = t.err
		}
	}
	if len(bad) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(bad)))
	return fault.New(fault.ClassOf(bad[first]), "feeder.unreadable", "%d of the files could not be read, %s: %w", len(bad), first, bad[first])
}

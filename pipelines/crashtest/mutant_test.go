package crashtest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// TestTheChecksFindEachDefect damages, one after the other, what a pipeline left that was killed and has run dry since.
func TestTheChecksFindEachDefect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.writeFiles(t, rand.New(rand.NewPCG(1, 1)))
	w.runAndKill(t, w.life(0, 3*time.Second))
	stop()
	offline := func(t testenv.TB) { w.auditOffline(t, 0) }
	finds := func(defect string, checks ...func(testenv.TB)) {
		t.Helper()
		why := testenv.Verdict(checks...)
		if t.Logf("%s: %s", defect, why); why == "" {
			t.Errorf("%s: not found", defect)
		}
	}
	holds := func(checks ...func(testenv.TB)) {
		t.Helper()
		if why := testenv.Verdict(checks...); why != "" {
			t.Fatal(why)
		}
	}

	holds(offline)
	newest := w.newestSegment(t)
	intact := read(t, newest)
	write(t, newest, intact[:len(bytes.TrimRight(intact, "\x00"))/2])
	finds("the newest segment of the log was cut", offline)
	write(t, newest, intact)
	holds(offline, w.drain, w.check)

	object := w.glob(t, "grouped", "group=a", "*")[0]
	rename(t, object, filepath.Join(w.dir, "aside"))
	finds("an object was lost", w.check)
	rename(t, filepath.Join(w.dir, "aside"), object)
	write(t, filepath.Join(filepath.Dir(object), "copy.gz"), read(t, object))
	finds("an object is there twice", w.check)
	if err := os.Remove(filepath.Join(filepath.Dir(object), "copy.gz")); err != nil {
		t.Fatal(err)
	}
	plain := w.glob(t, "plain", "*", "*", "*", "*", "*")[0]
	whole := read(t, plain)
	write(t, plain, append(whole[:len(whole):len(whole)], lineOf("0/0", 0)+"\n"...))
	finds("a record is in two objects", w.check)
	write(t, plain, whole)
	holds(w.check)

	newest = w.newestSegment(t)
	rename(t, newest, filepath.Join(w.dir, "aside"))
	finds("the newest segment of the log was lost", offline)
	rename(t, filepath.Join(w.dir, "aside"), newest)
	holds(offline, w.check)

	log := w.glob(t, "files", "app.log.1")[0]
	if err := os.CopyFS(filepath.Join(w.dir, "old"), os.DirFS(filepath.Join(w.data(), "state"))); err != nil {
		t.Fatal(err)
	}
	write(t, log, append(read(t, log), lineOf(fileSource(0), w.files[0])+"\n"...))
	w.files[0]++
	holds(w.drain, w.check)
	rename(t, filepath.Join(w.data(), "state"), filepath.Join(w.dir, "new"))
	rename(t, filepath.Join(w.dir, "old"), filepath.Join(w.data(), "state"))
	finds("the state went back to an earlier one", w.drain, w.check)
}

func TestTheCheckFindsPutsThatWereAckedTooEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.life(0, time.Second)
	l.Bug = bugAckEarly
	w.runAndKill(t, l)
	if why := testenv.Verdict(w.drain, w.check); why == "" {
		t.Error("not found")
	}
}

// glob returns the paths below the world that match, sorted; there must be one.
func (w *world) glob(t testing.TB, pattern ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(append([]string{w.dir}, pattern...)...))
	if err != nil || len(found) == 0 {
		t.Fatalf("%q: found %q, %v", pattern, found, err)
	}
	return found
}

// newestSegment is that of the log's segments that holds the newest records; the one behind it may only be prepared.
func (w *world) newestSegment(t testing.TB) string {
	t.Helper()
	segments := w.glob(t, "data", "streams", "*", "*.seg")
	for i := len(segments) - 1; i >= 0; i-- {
		if len(bytes.TrimRight(read(t, segments[i]), "\x00")) > 0 {
			return segments[i]
		}
	}
	t.Fatal("no segment holds anything")
	return ""
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// write changes a file in place, as the feeder's files are.
func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

package feeder

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/shardlog"
)

func TestRotationByRename(t *testing.T) {
	for name, to := range map[string]string{"to where an input matches": "a.1.log", "to where none does": "a.log.1"} {
		for _, maxOpen := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d held open", name, maxOpen), func(t *testing.T) {
				inRig(t, func(r *rig) {
					r.cfg.MaxOpen = maxOpen
					r.cfg.Inputs[0].SkipLines = 1
					r.write("a.log", "header\n1\n")
					r.write("b.log", "header\n")
					r.start()
					r.wait(second)
					r.want("1")
					r.append("b.log", "2\n")
					r.wait(second)
					r.want("2")

					r.append("a.log", "3\n")
					r.rename("a.log", to)
					r.wait(second)
					r.want("3")
					r.append(to, "4\nhal")
					r.wait(4 * second)
					r.want("4")
					r.append(to, "f")
					r.wait(second)
					r.write("a.log", "header\n5\n")
					r.wait(second)
					r.want("5")
					r.wait(10 * second)
					r.want("half")
					if s := r.f.Stats(); s.Rotations != 1 || s.Truncations != 0 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

func TestFileRenamedAwayIsFollowedAfterARestart(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		r.start()
		r.wait(second)
		r.want("1")
		r.halt()
		r.append("a.log", "2\n")
		r.rename("a.log", "a.log.1")
		r.append("a.log", "3\n")
		if got, err := r.untilIdle(); err != nil || len(got) != 2 {
			t.Fatalf("stored %q, %v; want 2 and 3", got, err)
		}
	})
}

func TestInodeOfAFileRenamedAwayMayBelongToAStranger(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		if got, err := r.untilIdle(); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		// As if a.log had been deleted and its inode given to a file that no input matches.
		r.rename("a.log", "secret.txt")
		r.write("secret.txt", "not for the stream\n")
		r.write("b.log", "2\n")
		r.start()
		r.wait(10 * second)
		r.want("2")
		if n := r.f.Stats().Files; n != 1 {
			t.Errorf("%d files", n)
		}
	})
}

func TestFileIsLetGoWhenItIsQuiet(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		r.start()
		r.wait(second)
		r.rename("a.log", "a.log.1")
		r.wait(25 * second)
		r.append("a.log.1", "2\n")
		r.wait(25 * second)
		r.append("a.log.1", "3")
		r.wait(31 * second)
		r.want("1", "2", "3")
		if s := r.f.Stats(); s.Files != 0 {
			t.Errorf("not let go: %+v", s)
		}
		r.append("a.log.1", "\n4\n")
		r.wait(31 * second)
		r.want()
		r.rename("a.log.1", "a.log")
		r.wait(second)
		r.want("4") // it came back, and went on where it was
	})
}

func TestDeletedFileIsReadToItsEndAndForgotten(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		r.start()
		r.wait(second)
		w, err := os.OpenFile(r.path("a.log"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		r.remove("a.log")
		fmt.Fprintln(w, "2")
		r.wait(10 * second)
		fmt.Fprint(w, "3")
		r.wait(10 * second)
		r.want("1", "2", "3")
		if n := len(r.s.inUse(t)); n != 1 {
			t.Errorf("%d marks while it may grow", n)
		}
		r.wait(30 * second)
		if n := len(r.s.inUse(t)); n != 0 || r.f.Stats().Files != 0 {
			t.Errorf("%d marks, %d files after", n, r.f.Stats().Files)
		}
	})
}

func TestMarksAreUsedAgain(t *testing.T) {
	inRig(t, func(r *rig) {
		for round := range 30 {
			if round%7 == 0 {
				if r.f != nil {
					r.halt()
				}
				r.start()
			}
			for i := range 10 {
				r.write(fmt.Sprintf("%d.log", i), fmt.Sprintf("%d in round %d\n", i, round))
			}
			r.wait(second)
			for i := range 10 {
				r.remove(fmt.Sprintf("%d.log", i))
			}
			r.wait(40 * second)
		}
		if got := r.s.take(); len(got) != 300 {
			t.Errorf("stored %d records, want 300", len(got))
		}
		if n := len(r.s.marks); n > 10 {
			t.Errorf("300 files, 10 at a time, left %d producers: %v", n, sortedKeys(r.s.marks))
		}
	})
}

func TestTruncation(t *testing.T) {
	before := "one\ntwo\nthree\n"
	for name, c := range map[string]struct {
		after string
		lost  int64
	}{
		"to nothing, grown shorter":   {"four\n", 0},
		"grown to the same length":    {"six\nten\nseven\n", 0},
		"grown beyond":                {strings.Repeat("seven eight\n", 500), 0},
		"only the last bytes differ":  {"one\ntwo\nseven\n" + "more\n", 0},
		"only the first bytes differ": {"six\ntwo\nthree\n" + "more\n", 0},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				inRig(t, func(r *rig) {
					r.write("a.log", before)
					r.start()
					r.wait(second)
					r.want("one", "two", "three")
					if restart {
						r.halt()
					}
					r.write("a.log", c.after)
					mtime := time.Now().Add(time.Hour) // file systems' clocks may be too coarse to tell
					if err := os.Chtimes(r.path("a.log"), mtime, mtime); err != nil {
						t.Fatal(err)
					}
					if restart {
						r.start()
					}
					r.wait(second)
					r.want(strings.Split(strings.TrimSpace(c.after), "\n")...)
					if s := r.f.Stats(); s.Truncations != 1 || s.LostBytes != c.lost || s.Rotations != 0 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

func TestTruncationIsRememberedBeforeTheFirstNewLine(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "same\nold\n")
		r.start()
		r.wait(second)
		r.write("a.log", "")
		r.wait(second)
		r.halt()
		r.write("a.log", "same\nold\n") // as before, but written anew
		r.start()
		r.wait(second)
		r.want("same", "old", "same", "old")
	})
}

func TestBytesSeenButLostInATruncationAreCounted(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\nunfinished")
		r.start()
		r.wait(second)
		r.write("a.log", "2\n")
		r.wait(second)
		r.want("1", "2")
		if s := r.f.Stats(); s.Truncations != 1 || s.LostBytes != int64(len("unfinished")) {
			t.Errorf("%+v", s)
		}
	})
}

func TestCopyTruncateWithAMatchedCopy(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		r.start()
		r.wait(second)
		r.append("a.log", "2\n")
		r.write("a.1.log", "1\n2\n")
		r.write("a.log", "")
		r.wait(second)
		r.append("a.log", "3\n")
		r.wait(second)
		r.want("1", "1", "2", "3") // the copy is a new file
	})
}

func TestInodeOfADeletedFileIsUsedAgain(t *testing.T) {
	inRig(t, func(r *rig) {
		r.cfg.Inputs[0].SkipLines = 1
		r.write("a.log", "header\n1\n")
		if got, err := r.untilIdle(); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		for name, p := range r.s.inUse(t) { // the file system may not do it today
			r.remove("a.log")
			r.write("a.log", "header\n2\n3\n")
			fi, err := os.Stat(r.path("a.log"))
			if err != nil {
				t.Fatal(err)
			}
			p.id, _ = identify(fi)
			r.s.marks[name] = shardlog.Mark{Producer: name, State: p.encode()}
		}
		if got, err := r.untilIdle(); err != nil || fmt.Sprint(got) != "[2 3]" {
			t.Errorf("stored %q, %v", got, err)
		}
	})
}

func TestDeviceNumbersMayChange(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		if got, err := r.untilIdle(); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		for name, p := range r.s.inUse(t) {
			p.id.dev++
			r.s.marks[name] = shardlog.Mark{Producer: name, State: p.encode()}
		}
		r.append("a.log", "2\n")
		if got, err := r.untilIdle(); err != nil || fmt.Sprint(got) != "[2]" {
			t.Errorf("stored %q, %v", got, err)
		}
		if n := len(r.s.inUse(t)); n != 1 {
			t.Errorf("%d marks", n)
		}
	})
}

package feeder

import (
	"strings"
	"testing"
)

// A feeder that got another name finds no marks: it says which files it feeds again, once, and of no others.
func TestFilesThatAnotherFeederHasFedAreTold(t *testing.T) {
	inRig(t, func(r *rig) {
		r.cfg.Others = []string{"unheard of"}
		r.write("a.log", "one\ntwo\n")
		r.write("b.log", "three\n")
		r.write("other.log", "four\n")
		if _, err := r.untilIdle(); err != nil {
			t.Fatal(err)
		}
		warnings := func() int { return strings.Count(r.log.String(), "fed into it again") }
		if warnings() != 0 {
			t.Errorf("nobody has fed them: %s", r.log)
		}
		r.cfg.Name, r.cfg.Others = "renamed", []string{"unheard of", "test"}
		r.append("a.log", "more\n")
		r.rename("b.log", "c.log")
		r.write("other.log", "FOUR\n") // the same inode, and not what was fed
		r.write("new.log", "five\n")
		again, err := r.untilIdle()
		if err != nil {
			t.Fatal(err)
		}
		if len(again) != 6 {
			t.Errorf("fed: %q", again)
		}
		for _, want := range []string{"old_name=test", "old_marks=files/test/", "files=2", "bytes=14", "first=" + r.path("a.log")} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("the log has no %s", want)
			}
		}
		r.append("a.log", "and more\n")
		if more, err := r.untilIdle(); err != nil || len(more) != 1 {
			t.Errorf("fed: %q, %v", more, err)
		}
		if warnings() != 1 {
			t.Errorf("%d warnings: %s", warnings(), r.log)
		}
	})
}

package feeder

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/testenv"
)

// op is one step of a simulated life of some log files and the feeder that follows them.
type op struct {
	kind int
	n    int // how much, in the op's own way
}

const (
	opLines   = iota // append n lines
	opBurst          // append 10 n lines
	opPartial        // append a line without its end, or only a line end
	opRename         // rotate by renaming
	opCopy           // rotate by copying and truncating
	opEmpty          // truncate
	opDelete         // delete, and create again with the next append
	opLook           // let the feeder look
	opSettle         // let it look until last lines are taken
	opRestart        // stop and start it
	opCrash          // let it die at one of the next puts, before or after it took place
	opTrouble        // let some of the next puts fail
	opLate           // append to the file rotated last
	opKinds
)

var ops = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
	return op{rapid.IntRange(0, opKinds-1).Draw(t, "op"), rapid.IntRange(1, 12).Draw(t, "n")}
}), 1, 40)

const (
	simPoll = 100 * time.Millisecond
	simLook = 350 * time.Millisecond
	simSkip = 1
	simMax  = 300
)

// simFile is what a file holds and how much of it a reader that follows the rules of the package has taken.
type simFile struct {
	at      string
	id      identity
	handle  *os.File
	content []byte
	taken   int
	header  int
	matched bool
	seen    bool // a feeder has looked at it since it started
	deleted bool
	looked  int  // length at the last look
	cut     bool // truncated since
	lines   []string
}

type sim struct {
	*rig
	all     bool          // rotated files match too
	settle  time.Duration // longer than all short looks together, and no longer than that takes: each simPoll costs a look
	files   []*simFile
	current *simFile
	last    *simFile // rotated last
	lines   int
	rotated int
	maybe   map[string]bool // lines of files that a crash made unreachable: at most once
}

// simulate returns an error if the feeder does not do what the rules say.
func simulate(t *testing.T, all bool, steps []op, change func(*Feeder)) (err error) {
	inRig(t, func(r *rig) {
		s := &sim{rig: r, all: all, maybe: make(map[string]bool), settle: 6 * simLook}
		for _, step := range steps {
			if step.kind == opLook || step.kind == opRestart {
				s.settle += 2 * simLook // it is twice as long after a crash
			}
		}
		r.cfg.Poll, r.cfg.Settle, r.cfg.RotateWait = simPoll, s.settle, 1000*time.Hour
		r.cfg.BatchBytes = 4096
		r.cfg.Inputs[0].SkipLines, r.cfg.Inputs[0].MaxLine = simSkip, simMax
		r.cfg.Inputs[0].Paths = []string{filepath.Join(r.dir, "app.log")}
		if all {
			r.cfg.Inputs[0].Paths = []string{filepath.Join(r.dir, "app.log*")}
		}
		r.change = change
		s.start()
		s.wait(simLook)
		for _, step := range steps {
			s.do(step)
		}
		s.do(op{kind: opSettle})
		s.do(op{kind: opRestart})
		s.do(op{kind: opSettle})
		err = s.check()
		for _, f := range s.files {
			f.handle.Close()
		}
	})
	return err
}

func (s *sim) file() *simFile {
	if s.current == nil {
		h, err := os.OpenFile(s.path("app.log"), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			s.t.Fatal(err)
		}
		fi, err := h.Stat()
		if err != nil {
			s.t.Fatal(err)
		}
		s.current = &simFile{at: "app.log", handle: h, header: simSkip, matched: true}
		s.current.id, _ = identify(fi)
		s.files = append(s.files, s.current)
	}
	return s.current
}

func (s *sim) add(f *simFile, text string) {
	if _, err := io.WriteString(f.handle, text); err != nil {
		s.t.Fatal(err)
	}
	f.content = append(f.content, text...)
}

// line is a new line; its first bytes are like no other line's, as time stamps would be.
func (s *sim) line(n int) string {
	s.lines++
	line := fmt.Sprintf("%05d", s.lines)
	switch {
	case s.lines%13 == 0:
		line += strings.Repeat("y", simMax) // too long
	case s.lines%7 == 0:
		return line + "\r\n\n"
	}
	return line + strings.Repeat("x", n*(s.lines%5)) + "\n"
}

func (s *sim) do(step op) {
	switch step.kind {
	case opLines, opBurst:
		n := step.n
		if step.kind == opBurst {
			n *= 10
		}
		var b strings.Builder
		for range n {
			b.WriteString(s.line(step.n))
		}
		s.add(s.file(), b.String())
	case opPartial:
		text := strings.TrimRight(s.line(1), "\r\n")
		if step.n%4 == 0 {
			text = "\n"
		}
		s.add(s.file(), text)
	case opRename:
		f := s.file()
		s.rotated++
		to := fmt.Sprintf("app.log.%d", s.rotated)
		s.rename(f.at, to)
		f.at, f.matched, s.current, s.last = to, s.all, nil, f
		if !s.all && !f.seen {
			f.taken = len(f.content) // nobody knows of it
		}
	case opCopy:
		f := s.file()
		if s.all {
			s.rotated++
			h, err := os.OpenFile(s.path(fmt.Sprintf("app.log.%d", s.rotated)), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				s.t.Fatal(err)
			}
			c := &simFile{at: fmt.Sprintf("app.log.%d", s.rotated), handle: h, header: simSkip, matched: true}
			// A copy's lines come again; give them other names, so that they can be told apart.
			s.add(c, strings.ReplaceAll(string(f.content), "0", "o"))
			s.files = append(s.files, c)
		}
		s.truncate(f)
	case opEmpty:
		s.truncate(s.file())
	case opDelete:
		f := s.file()
		s.remove(f.at)
		f.matched, f.deleted, s.current = false, true, nil
		if !f.seen {
			f.taken = len(f.content)
		}
		s.last = f
	case opLook:
		s.look(simLook)
	case opSettle:
		s.look(s.settle + 2*time.Second)
	case opRestart:
		s.halt()
		s.restarted(false)
		s.look(simLook) // as every feeder does when it starts
	case opCrash:
		s.s.mu.Lock()
		s.s.plan = nil
		for range step.n / 3 {
			s.s.plan = append(s.s.plan, stored)
		}
		s.s.plan = append(s.s.plan, crashBefore+outcome(step.n%2))
		s.s.mu.Unlock()
	case opTrouble:
		s.s.mu.Lock()
		s.s.plan = []outcome{stored, refused, throttled, unknown, unknown, throttled}[step.n%6:]
		s.s.mu.Unlock()
	case opLate:
		if f := s.last; f != nil && (f.matched || f.seen) {
			s.add(f, s.line(step.n))
		}
	}
}

func (s *sim) truncate(f *simFile) {
	if err := f.handle.Truncate(0); err != nil {
		s.t.Fatal(err)
	}
	f.content, f.taken, f.header, f.cut = f.content[:0], 0, simSkip, true
}

// restarted starts a feeder that knows no more than the marks. What it cannot find again may have been stored by the
// one before, if that crashed.
func (s *sim) restarted(crashed bool) {
	marked := make(map[identity]position)
	for _, p := range s.s.inUse(s.t) {
		marked[p.id] = p
	}
	for _, f := range s.files {
		f.seen = false
		if p, ok := marked[f.id]; f.matched || ok && !f.deleted && s.proves(p, f) {
			continue
		}
		if crashed {
			for _, line := range s.read(f, true) {
				s.maybe[line] = true
			}
		}
		f.taken = len(f.content)
	}
	s.start()
	if s.last != nil && !s.last.matched {
		s.last = nil
	}
}

// proves reports whether a mark is of the file as it is. It is not if the file was truncated and renamed away at once, and
// then the feeder crashed.
func (s *sim) proves(p position, f *simFile) bool {
	before := make([]byte, min(p.offset, tailWindow))
	n, err := f.handle.ReadAt(before, p.offset-int64(len(before)))
	if err != nil && err != io.EOF {
		s.t.Fatal(err)
	}
	same, err := p.sameFile(f.handle, before[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	return same
}

// look lets the feeder run for a while, and reads the files as the rules say.
func (s *sim) look(d time.Duration) {
	for _, f := range s.files {
		// Size and time alone do not tell a file that was written anew at once.
		if f.cut && len(f.content) == f.looked {
			s.add(f, s.line(3))
		}
		f.cut = false
	}
	s.wait(d)
	s.s.mu.Lock()
	crashed := s.s.dead
	s.s.mu.Unlock()
	if crashed {
		s.halt()
		s.s.mu.Lock()
		s.s.dead = false
		s.s.mu.Unlock()
		s.restarted(true)
		s.wait(d)
	}
	for _, f := range s.files {
		f.seen, f.looked = f.seen || f.matched, len(f.content)
		f.lines = append(f.lines, s.read(f, d > s.settle)...)
	}
}

// read takes what can be taken from a file.
func (s *sim) read(f *simFile, settled bool) (lines []string) {
	for f.taken < len(f.content) {
		rest := string(f.content[f.taken:])
		line, _, ended := strings.Cut(rest, "\n")
		if !ended && (!settled || f.header > 0 || len(line) > simMax+1) {
			break
		}
		f.taken = min(f.taken+len(line)+1, len(f.content))
		if f.header > 0 {
			f.header--
			continue
		}
		if line = strings.TrimSuffix(line, "\r"); line != "" && len(line) <= simMax {
			lines = append(lines, line)
		}
	}
	return lines
}

// check compares what was stored with what should have been.
func (s *sim) check() error {
	at := make(map[string]int)
	for i, line := range s.s.take() {
		if _, again := at[line]; again {
			return fmt.Errorf("stored twice: %.20q", line)
		}
		at[line] = i
	}
	for _, f := range s.files {
		before := -1
		for _, line := range f.lines {
			i, ok := at[line]
			if !ok {
				return fmt.Errorf("%s: lost: %.20q", f.at, line)
			}
			if i < before {
				return fmt.Errorf("%s: out of order: %.20q", f.at, line)
			}
			before = i
			delete(at, line)
		}
	}
	for line := range at {
		if !s.maybe[line] {
			return fmt.Errorf("should not have been stored: %.20q", line)
		}
	}
	return nil
}

func TestEveryLineOnceWhateverHappens(t *testing.T) {
	rounds := testenv.Count(50, 3000)
	for _, all := range []bool{true, false} {
		t.Run(fmt.Sprintf("rotated files match %v", all), func(t *testing.T) {
			for seed := range rounds {
				steps := ops.Example(seed)
				if err := simulate(t, all, steps, nil); err != nil {
					t.Fatalf("seed %d: %v\n%v", seed, err, steps)
				}
			}
		})
	}
}

// loadOnly tells marks to a feeder that starts, and not to one that asks whether a put took place.
type loadOnly struct{ *fakeStream }

func (s loadOnly) Mark(producer string) (shardlog.Mark, bool) {
	if pc, _, _, _ := runtime.Caller(1); strings.HasSuffix(runtime.FuncForPC(pc).Name(), "failed") {
		return shardlog.Mark{}, false
	}
	return s.fakeStream.Mark(producer)
}

func TestSimulationNoticesMutants(t *testing.T) {
	for name, change := range map[string]func(*Feeder){
		"the mark is stored before the records": func(f *Feeder) {
			put := f.store
			f.store = func(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) error {
				if err := put(ctx, nil, mark); err != nil {
					return err
				}
				return put(ctx, entries, nil)
			}
		},
		"the mark is stored after the records": func(f *Feeder) {
			put := f.store
			f.store = func(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) error {
				if err := put(ctx, entries, nil); err != nil {
					return err
				}
				return put(ctx, nil, mark)
			}
		},
		"the position moves on before the ack": func(f *Feeder) {
			put := f.store
			f.store = func(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) error {
				_ = put(ctx, entries, mark)
				return nil
			}
		},
		"fingerprints are ignored": func(f *Feeder) {
			f.same = func(p *position, _ io.ReaderAt, before []byte) (bool, error) {
				return len(before) >= int(min(p.offset, tailWindow)), nil
			}
		},
		"a put of unknown outcome is not looked up": func(f *Feeder) {
			s := f.stream
			f.stream = loadOnly{s.(*fakeStream)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range 400 {
				for _, all := range []bool{true, false} {
					if err := simulate(t, all, ops.Example(seed), change); err != nil {
						t.Logf("noticed after %d rounds: %v", seed+1, err)
						return
					}
				}
			}
			t.Error("not noticed")
		})
	}
}

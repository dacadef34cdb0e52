package feeder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

const second = time.Second

func TestLinesBecomeRecords(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		content string
		skip    int
		want    []string
	}{
		"nothing":            {"", 0, nil},
		"lines":              {"a\nb\n", 0, []string{"a", "b"}},
		"no last newline":    {"a\nb", 0, []string{"a", "b"}},
		"crlf":               {"a\r\nb\r\n", 0, []string{"a", "b"}},
		"cr within":          {"a\rb\r\r\n", 0, []string{"a\rb\r"}},
		"empty lines":        {"\n\r\na\n\n", 0, []string{"a"}},
		"any bytes":          {"\xef\xbb\xbf\x00\xff\nb\n", 0, []string{"\xef\xbb\xbf\x00\xff", "b"}},
		"header":             {"h\na\n", 1, []string{"a"}},
		"empty header":       {"\nh\na\n", 2, []string{"a"}},
		"only a header":      {"h", 1, nil},
		"half a header":      {"h\ng", 2, nil},
		"as long as allowed": {long + "\r\nb\n", 0, []string{long, "b"}},
		"too long":           {"a\n" + long + "y\nb\n", 0, []string{"a", "b"}},
		"too long at end":    {"a\n" + long + "yz", 0, []string{"a"}},
		"much too long":      {"a\n" + strings.Repeat(long, 1000) + "\nb\n", 0, []string{"a", "b"}},
		"long header":        {strings.Repeat(long, 1000) + "\nb\n", 1, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(r *rig) {
				r.cfg.Inputs[0].SkipLines, r.cfg.Inputs[0].MaxLine, r.cfg.BatchBytes = c.skip, 100, 4096
				r.write("a.log", c.content)
				got, err := r.untilIdle()
				if err != nil || !slices.Equal(got, c.want) {
					t.Fatalf("stored %q, %v; want %q", got, err, c.want)
				}
				if got, err = r.untilIdle(); err != nil || got != nil {
					t.Fatalf("a second run stored %q, %v", got, err)
				}
			})
		})
	}
}

func TestAppendedLinesFollow(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "1\n")
		r.start()
		r.wait(second)
		r.want("1")
		r.append("a.log", "2\n3\nhal")
		r.wait(second)
		r.want("2", "3")
		r.append("a.log", "f\n")
		r.wait(second)
		r.want("half")
		r.append("b.log", "4\n")
		r.wait(second)
		r.want("4")
		if s := r.f.Stats(); s.Files != 2 || s.Records != 5 || s.Bytes != 13 || s.Lag != 0 || s.Failing != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestLastLineWithoutNewline(t *testing.T) {
	for name, c := range map[string]struct {
		later       string
		want        []string
		interrupted int64
	}{
		"ended":              {"\n", nil, 0},
		"ended, and a row":   {"\nrow\n", []string{"row"}, 0},
		"ended by crlf":      {"\r\nrow\r\n", []string{"row"}, 0},
		"grown":              {"ger\nrow\n", []string{"ger", "row"}, 1},
		"row without an end": {"\nrow", []string{"row"}, 0},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				inRig(t, func(r *rig) {
					r.write("a.log", "a\nlon")
					r.start()
					r.wait(4 * second)
					r.want("a")
					r.wait(2 * second)
					r.want("lon")
					if restart {
						r.halt()
						r.start()
						r.wait(20 * second)
					}
					r.append("a.log", c.later)
					r.wait(6 * second)
					r.want(c.want...)
					if s := r.f.Stats(); s.InterruptedLines != c.interrupted || s.EmptyLines != 0 || s.Lag != 0 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

func TestUntilIdleTakesTheLastLineOfAnOldFileAtOnce(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "a\nb")
		began := time.Now()
		if err := os.Chtimes(r.path("a.log"), began, began.Add(-6*second)); err != nil {
			t.Fatal(err)
		}
		got, err := r.untilIdle()
		if err != nil || !slices.Equal(got, []string{"a", "b"}) || time.Since(began) > 0 {
			t.Fatalf("%q, %v after %v", got, err, time.Since(began))
		}
		r.append("a.log", "\nc")
		if err := os.Chtimes(r.path("a.log"), began, began.Add(-2*second)); err != nil {
			t.Fatal(err)
		}
		got, err = r.untilIdle()
		if waited := time.Since(began); err != nil || !slices.Equal(got, []string{"c"}) || waited < 3*second || waited > 4*second {
			t.Fatalf("%q, %v after %v", got, err, waited)
		}
	})
}

func TestUntilIdleFailsForWhatWasNotRead(t *testing.T) {
	inRig(t, func(r *rig) {
		if _, err := r.untilIdle(); fault.CodeOf(err) != "feeder.no_match" {
			t.Errorf("no file: %v", err)
		}
		pattern := r.cfg.Inputs[0].Paths
		r.cfg.Inputs[0].Paths = []string{r.path("none"), r.path("")}
		if _, err := r.untilIdle(); fault.CodeOf(err) != "feeder.no_match" || !strings.Contains(err.Error(), r.path("none")+", ") || !strings.Contains(err.Error(), "is a folder") {
			t.Errorf("a folder: %v", err)
		}
		r.cfg.Inputs[0].Paths = pattern
		r.write("a.log", "a\n")
		r.write("z.log", "\x1f\x8b\x08 not lines\n")
		got, err := r.untilIdle()
		if fault.CodeOf(err) != "feeder.unreadable" || !strings.Contains(err.Error(), "z.log: it is gzip-compressed") || !slices.Equal(got, []string{"a"}) {
			t.Errorf("stored %q, %v", got, err)
		}
	})
}

func TestWhatIsNoFileIsReportedOnceAndOthersGoOn(t *testing.T) {
	inRig(t, func(r *rig) {
		if err := os.Mkdir(r.path("folder.log"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(r.path("nowhere"), r.path("dangling.log")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(r.path("loop.log"), r.path("loop.log")); err != nil {
			t.Fatal(err)
		}
		r.write("real", "a\n")
		for _, link := range []string{"one.log", "two.log"} {
			if err := os.Symlink(r.path("real"), r.path(link)); err != nil {
				t.Fatal(err)
			}
		}
		r.start()
		r.wait(60 * second)
		r.append("real", "b\n")
		r.wait(second)
		r.want("a", "b")
		if s := r.f.Stats(); s.Files != 1 || s.Failing != 1 {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(r.log.String(), "a path cannot be fed"); n != 1 {
			t.Errorf("reported %d times:\n%s", n, r.log)
		}
	})
}

func TestTwoInputsOfOneFile(t *testing.T) {
	inRig(t, func(r *rig) {
		r.cfg.Inputs[0].Key.Constant = "first"
		second := r.cfg.Inputs[0]
		second.Key.Constant = "second"
		r.cfg.Inputs = append(r.cfg.Inputs, second)
		r.write("a.log", "a\n")
		r.start()
		r.wait(time.Second)
		if len(r.s.records) != 1 || r.s.records[0].key != "first" {
			t.Errorf("%v", r.s.records)
		}
	})
}

func TestPutsAreTriedAgainWithoutDoubling(t *testing.T) {
	inRig(t, func(r *rig) {
		r.s.plan = []outcome{refused, throttled, unknown, refused, stored}
		r.cfg.BatchBytes = 4096
		var want []string
		for i := range 1000 {
			want = append(want, fmt.Sprint("line ", i))
		}
		r.write("a.log", strings.Join(want, "\n")+"\n")
		r.start()
		r.wait(20 * second)
		r.want(want...)
		if s := r.f.Stats(); s.Retries != 3 || s.Records != 1000 {
			t.Errorf("%+v", s)
		}
	})
}

func TestThrottledBatchesShrink(t *testing.T) {
	inRig(t, func(r *rig) {
		r.s.fail = func(entries []stream.Entry) error {
			if len(entries) > 7 {
				return fault.New(fault.Throttled, "stream.throughput_exceeded", "more than the shard takes at once")
			}
			return nil
		}
		var want []string
		for i := range 1000 {
			want = append(want, fmt.Sprint("line ", i))
		}
		r.write("a.log", strings.Join(want, "\n"))
		got, err := r.untilIdle()
		if err != nil || !slices.Equal(got, want) || r.s.largest > 7 || r.s.largest < 4 {
			t.Fatalf("stored %d records in puts of %d, %v", len(got), r.s.largest, err)
		}
		if got, err = r.untilIdle(); err != nil || got != nil {
			t.Fatalf("a second run stored %q, %v", got, err)
		}
	})
}

func TestRunEndsWhenTheStreamDoes(t *testing.T) {
	for name, cause := range map[string]error{
		"closed":    fault.New(fault.Unavailable, "stream.closed", "%w", shardlog.ErrClosed),
		"poisoned":  fault.New(fault.Unavailable, "stream.poisoned", "%w", shardlog.ErrPoisoned),
		"permanent": fault.New(fault.Permanent, "stream.record_too_large", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(r *rig) {
				r.write("a.log", "a\n")
				r.s.fail = func([]stream.Entry) error { return cause }
				_, err := r.untilIdle()
				if fault.CodeOf(err) != fault.CodeOf(cause) || !errors.Is(err, cause) || !strings.Contains(err.Error(), "a.log from byte 0") {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestRunStopsWhileTheStreamIsFull(t *testing.T) {
	inRig(t, func(r *rig) {
		r.s.fail = func([]stream.Entry) error { return fault.New(fault.Retryable, "stream.full", "%w", shardlog.ErrFull) }
		r.write("a.log", "a\n")
		r.start()
		r.wait(90 * second)
		if n := strings.Count(r.log.String(), "takes no records"); n < 2 || n > 5 {
			t.Errorf("complained %d times in 90 s:\n%s", n, r.log)
		}
		began := time.Now()
		r.halt()
		if time.Since(began) > 0 {
			t.Errorf("took %v to stop", time.Since(began))
		}
		r.s.fail = nil
		r.start()
		r.wait(second)
		r.want("a")
		if err := r.f.Run(context.Background()); fault.CodeOf(err) != "feeder.started" {
			t.Errorf("second Run: %v", err)
		}
	})
}

func TestStoppedAtAnyMomentItGoesOnWhereItWas(t *testing.T) {
	inRig(t, func(r *rig) {
		r.cfg.BatchBytes = 4096
		r.s.delay = time.Millisecond
		want := make(map[string]bool)
		for file := range 7 {
			var b strings.Builder
			for i := range 20_000 {
				line := fmt.Sprintf("line %d of file %d", i, file)
				want[line] = true
				b.WriteString(line + "\n")
			}
			r.write(fmt.Sprint(file, ".log"), b.String())
		}
		for stop := 0; len(want) > 0; stop++ {
			r.start()
			r.wait(time.Duration(stop%30) * 700 * time.Microsecond)
			r.halt()
			got := r.s.take()
			for _, line := range got {
				if !want[line] {
					t.Fatalf("%q again after %d stops", line, stop)
				}
				delete(want, line)
			}
			if stop > 1000 {
				t.Fatalf("%d lines are missing", len(want))
			}
		}
	})
}

func TestManyFilesWithFewHeldOpen(t *testing.T) {
	inRig(t, func(r *rig) {
		r.cfg.MaxOpen = 20
		for i := range 1000 {
			r.write(fmt.Sprint(i, ".log"), fmt.Sprintf("first of %d\n", i))
		}
		r.start()
		r.wait(second)
		for i := range 1000 {
			if i%3 == 0 {
				r.rename(fmt.Sprint(i, ".log"), fmt.Sprint(i, ".log.1"))
				r.append(fmt.Sprint(i, ".log.1"), fmt.Sprintf("second of %d\n", i))
			} else {
				r.append(fmt.Sprint(i, ".log"), fmt.Sprintf("second of %d\n", i))
			}
		}
		r.wait(second)
		got := r.s.take()
		slices.Sort(got)
		if n := len(slices.Compact(slices.Clone(got))); n != 2000 || len(got) != 2000 {
			t.Errorf("stored %d records, %d different ones; want 2000", len(got), n)
		}
		if s := r.f.Stats(); s.Files != 1000 || s.Lag != 0 || s.Truncations != 0 || s.Rotations != 334 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBadMarksAreRefused(t *testing.T) {
	inRig(t, func(r *rig) {
		r.write("a.log", "a\n")
		r.s.marks["files/test/3"] = shardlog.Mark{Producer: "files/test/3", State: []byte{9, 9}}
		if got, err := r.untilIdle(); fault.CodeOf(err) != "feeder.bad_mark" || got != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	ok := Input{Paths: []string{"/x"}}
	with := func(change func(*Input)) Config {
		in := ok
		change(&in)
		return Config{Name: "n", Inputs: []Input{in}}
	}
	for want, c := range map[string]Config{
		"feeder name":         {Inputs: []Input{ok}},
		"no files":            {Name: "n"},
		"no path":             with(func(in *Input) { in.Paths = nil }),
		"is not absolute":     with(func(in *Input) { in.Paths = []string{"x"} }),
		"syntax error":        with(func(in *Input) { in.Paths = []string{"/x["} }),
		"** is not":           with(func(in *Input) { in.Paths = []string{"/x/**/y"} }),
		"cannot skip":         with(func(in *Input) { in.SkipLines = -1 }),
		"longest line":        with(func(in *Input) { in.MaxLine = MaxMaxLine + 1 }),
		"more than one":       with(func(in *Input) { in.Key = Key{CSVColumn: 1, Constant: "x"} }),
		"key column -1":       with(func(in *Input) { in.Key.CSVColumn = -1 }),
		`key "user"`:          with(func(in *Input) { in.Key.JSON = "user" }),
		"constant key":        with(func(in *Input) { in.Key.Constant = strings.Repeat("x", 257) }),
		"files read at once":  {Name: "n", Inputs: []Input{ok}, Parallel: 65},
		"poll interval -1s":   {Name: "n", Inputs: []Input{ok}, Poll: -second},
		"batch size is 1":     {Name: "n", Inputs: []Input{ok}, BatchBytes: 1},
		"largest record is -": {Name: "n", Inputs: []Input{ok}, MaxRecord: -1},
	} {
		if _, err := New(c, newFake(), nil); err == nil || !strings.Contains(err.Error(), want) || fault.CodeOf(err) != "feeder.invalid_config" {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

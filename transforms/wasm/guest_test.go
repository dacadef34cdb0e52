package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm/build"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guest builds a guest of testdata/guests, or finds it in the user's cache.
func guest(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "no go command to build guests with")
	}
	path, err := build.Build(context.Background(), build.Config{Dir: filepath.Join("testdata", "guests", name)})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, cfg Config) *Module {
	t.Helper()
	m, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // the second must do nothing
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

func batch(data ...string) *record.Batch {
	b := record.NewBatch()
	for i, d := range data {
		b.Add(record.Record{Shard: 2, Seq: uint64(100 + i), Arrived: 7, Key: "k", Data: []byte(d)})
	}
	return b
}

// output returns an Output as a chain hands it to Apply.
func output() *stage.Output {
	out := new(stage.Output)
	out.Reset()
	return out
}

// apply runs a batch and shows its results: the outs' data, or the status, or the code, in order.
func apply(t testing.TB, m *Module, data ...string) ([]string, *stage.Output, error) {
	t.Helper()
	out := output()
	if err := m.Apply(context.Background(), batch(data...), out); err != nil {
		return nil, out, err
	}
	var got []string
	for _, r := range out.Results {
		switch r.Status {
		case stage.OK:
			for _, o := range out.Outs[r.First : r.First+r.N] {
				got = append(got, string(o.Data))
			}
		case stage.Unchanged:
			got = append(got, "=")
		case stage.Dropped:
			got = append(got, "-")
		case stage.Failed:
			got = append(got, "!"+r.Code)
		}
	}
	return got, out, nil
}

func want(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestGoGuestAnswersEveryKindOfResult(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Config: json.RawMessage(`{"mode":"m"}`)})
	got, out, err := apply(t, m, "upper x", "anything", "drop", "fail hard", "split a b c", "route ohio", "whoami", "panic", "nothing")
	want(t, got, err, "UPPER X", "=", "-", "!probe.asked", "a", "b", "c", "route ohio", "k 2 106 0 7 [] m", "!transform.panic", "!transform.bad_result")
	if len(out.Results) != 9 {
		t.Fatal(len(out.Results))
	}
	if o := out.Outs[2]; o.Parent != 4 || o.Key != "k" || len(o.Attrs) != 1 || o.Attrs[0] != (record.Attr{Name: "part", Value: "b"}) {
		t.Errorf("split: %+v", o)
	}
	if o := out.Outs[4]; o.Key != "key-ohio" || len(o.Partition) != 2 || o.Partition[0].Value != "ohio" {
		t.Errorf("route: %+v", o)
	}
	if r := out.Results[3]; r.Reason != "the record asked for it: hard" || r.Class != fault.Permanent {
		t.Errorf("fail: %+v", r)
	}
	if r := out.Results[7]; !strings.Contains(r.Reason, "index out of range") || !strings.Contains(r.Reason, "main.go:") {
		t.Errorf("panic: %+v", r)
	}
}

func TestOutputsInTheInputFrameAreNotCopied(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe")})
	in := batch("route x")
	out := output()
	if err := m.Apply(context.Background(), in, out); err != nil {
		t.Fatal(err)
	}
	if &out.Outs[0].Data[0] != &in.Records[0].Data[0] {
		t.Error("the output's data is a copy of the record's")
	}
}

func TestAGuestThatWritesToItsInputDoesNotChangeTheRecord(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe")})
	in := batch("write over")
	out := output()
	if err := m.Apply(context.Background(), in, out); err != nil || string(in.Records[0].Data) != "write over" {
		t.Errorf("%q, %v", in.Records[0].Data, err)
	}
}

func TestLargeBatchesAreSplitAndStayInOrder(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 1})
	var data, expect []string
	for i := range 1701 {
		s := strings.Repeat("x", i%1500)
		if i%7 == 0 {
			data, expect = append(data, "upper "+s), append(expect, strings.ToUpper("upper "+s))
		} else {
			data, expect = append(data, s), append(expect, "=")
		}
	}
	got, out, err := apply(t, m, data...)
	want(t, got, err, expect...)
	for i, r := range out.Results {
		if r.Status == stage.OK && out.Outs[r.First].Parent != i {
			t.Fatalf("the output of record %d has parent %d", i, out.Outs[r.First].Parent)
		}
	}
}

func TestALoneRecordMayBeTenMebibytesAndNotMore(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe")})
	got, _, err := apply(t, m, "a", strings.Repeat("x", MaxRecordBytes-1), "b", strings.Repeat("x", MaxRecordBytes+1), "upper c")
	want(t, got, err, "=", "=", "=", "!"+CodeRecordTooLarge, "UPPER C")
}

func TestCallsThatFailSayWhy(t *testing.T) {
	hasty := open(t, Config{Path: guest(t, "probe"), Timeout: 300 * time.Millisecond, Fuel: Fuel{Base: 1e15}, Instances: 1})
	patient := open(t, Config{Path: guest(t, "probe"), Timeout: time.Minute, Fuel: Fuel{Base: 1e15}, Instances: 1})
	interrupted := open(t, Config{Path: guest(t, "probe"), Timeout: 300 * time.Millisecond, Guard: Interrupt, Instances: 1})
	small := open(t, Config{Path: guest(t, "probe"), Timeout: time.Minute, MemoryLimit: 32 << 20, Instances: 1})
	for _, c := range []struct {
		m                  *Module
		record, code, says string
	}{
		{small, "exit", CodeExit, "code 3: probe says goodbye"},
		{hasty, "spin", CodeTimeout, "longer than 300ms"},
		{hasty, "sleep", CodeTimeout, "longer than 300ms"},
		{patient, "recurse", CodeTooDeep, "more than 4 MiB of stack"},
		{interrupted, "spin", CodeTimeout, "longer than 300ms"},
		{interrupted, "sleep", CodeTimeout, "longer than 300ms"},
		{small, "spin", CodeFuel, "spent its fuel of 10"},
		{small, "hoard", CodeMemory, "32 MiB"},
		{small, "huge", CodeOutputTooLarge, "limit of 6291456"},
	} {
		m := c.m
		_, _, err := apply(t, m, "fine", c.record)
		if fault.CodeOf(err) != c.code || fault.ClassOf(err) != fault.Permanent || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %s: %v", c.record, fault.CodeOf(err), err)
		}
		got, _, err := apply(t, m, "fine", "upper again")
		want(t, got, err, "=", "UPPER AGAIN")
	}
}

func TestACancelledContextIsNoErrorOfTheModule(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 1})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	out := output()
	if err := m.Apply(ctx, batch("spin"), out); !errors.Is(err, context.Canceled) {
		t.Errorf("in a call: %v", err)
	}
	if err := m.Apply(ctx, batch("a"), out); !errors.Is(err, context.Canceled) {
		t.Errorf("before a call: %v", err)
	}
	got, _, err := apply(t, m, "upper a")
	want(t, got, err, "UPPER A")
}

func TestAPoisonRecordFailsAloneAndTheOthersGoOn(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe")})
	chain := stage.NewChain(stage.Link{Name: "probe", Transform: m})
	data := make([]string, 60)
	for i := range data {
		data[i] = "upper " + strings.Repeat("x", i)
	}
	data[17], data[41] = "exit", "huge"
	var f stage.Final
	defer f.Release()
	if err := chain.Run(context.Background(), batch(data...), &f); err != nil {
		t.Fatal(err)
	}
	for i, r := range f.Roots {
		code := map[int]string{17: CodeExit, 41: CodeOutputTooLarge}[i]
		switch {
		case code != "" && (r.Fail == nil || r.Fail.Code != code):
			t.Errorf("record %d: %+v, want a failure with %s", i, r, code)
		case code == "" && (r.N != 1 || string(f.Outs[r.First].Data) != strings.ToUpper(data[i])):
			t.Errorf("record %d: %+v", i, r)
		}
	}
}

func TestABatchFunctionThatPanicsIsCalledWithFewer(t *testing.T) {
	m := open(t, Config{Path: guest(t, "batch")})
	_, _, err := apply(t, m, "a", "panic")
	if fault.CodeOf(err) != CodeTrap || !strings.HasSuffix(err.Error(), "trapped: unreachable: panic: the batch holds a panic") {
		t.Error(err)
	}
	var f stage.Final
	defer f.Release()
	chain := stage.NewChain(stage.Link{Name: "batch", Transform: m})
	if err := chain.Run(context.Background(), batch("a", "b", "panic", "c"), &f); err != nil {
		t.Fatal(err)
	}
	for i, r := range f.Roots {
		if (r.Fail != nil) != (i == 2) || i != 2 && r.N != 1 {
			t.Errorf("record %d: %+v", i, r)
		}
	}
}

func TestConcurrentApplyUsesABoundedPool(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 3})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 15 {
				word := "upper " + strings.Repeat("y", g*31+n)
				if n%7 == 6 {
					if _, _, err := apply(t, m, "exit"); fault.CodeOf(err) != CodeExit {
						t.Errorf("exit: %v", err)
					}
					continue
				}
				if got, _, err := apply(t, m, word, "drop"); err != nil || got[0] != strings.ToUpper(word) || got[1] != "-" {
					t.Errorf("%q: %q, %v", word, got, err)
				}
			}
		})
	}
	wg.Wait()
	m.warm.Wait()
	if n := len(m.pool.idle); n > 3+spares || n != m.pool.live || len(m.pool.slots) != 0 {
		t.Errorf("%d idle instances of %d, %d slots in use", n, m.pool.live, len(m.pool.slots))
	}
}

func TestAnInstanceKeepsItsStateBetweenCalls(t *testing.T) {
	m := open(t, Config{Path: guest(t, "probe"), Instances: 1})
	for i, expect := range []string{"1", "2", "3"} {
		if got, _, err := apply(t, m, "calls"); err != nil || got[0] != expect {
			t.Errorf("call %d: %q, %v", i, got, err)
		}
	}
}

func TestTheLogIsPassedOnWithinLimits(t *testing.T) {
	var log bytes.Buffer
	m := open(t, Config{Path: guest(t, "probe"), Pipeline: "p", Stage: "probe", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, _, err := apply(t, m, "log hello\x00\xff"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"level=WARN", "source=transform", "pipeline=p stage=probe", "source=stdout", "to stdout: hello"} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log lacks %q: %s", s, log.String())
		}
	}
	flood := make([]string, 400)
	for i := range flood {
		flood[i] = "log again"
	}
	if _, _, err := apply(t, m, flood...); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "\n"); n > 100 { // twice the lines that are let through at once
		t.Errorf("%d lines got through", n)
	}
}

// The last words of Go's runtime are forty lines.
func TestTheLogOfACallThatFailsIsShort(t *testing.T) {
	var log testenv.Log
	m := open(t, Config{Path: guest(t, "probe"), MemoryLimit: 32 << 20, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	_, _, err := apply(t, m, "hoard")
	if fault.CodeOf(err) != CodeMemory || !strings.Contains(err.Error(), "fatal error: out of memory") {
		t.Error(err)
	}
	if n := log.Count("\n"); n > linesOfFailure+1 || !strings.Contains(log.String(), "fatal error") || !strings.Contains(log.String(), "lines more") {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

func TestWhatAModuleCountsIsPassedOn(t *testing.T) {
	var sum atomic.Int64
	m := open(t, Config{Path: guest(t, "probe"), Count: func(name string, n int64) {
		if name != "logged" {
			t.Errorf("it counts %q", name)
		}
		sum.Add(n)
	}})
	if _, _, err := apply(t, m, "log a", "log b"); err != nil || sum.Load() != 2 {
		t.Errorf("the sum is %d, %v", sum.Load(), err)
	}
	names := map[string]int64{}
	c := counters{pass: func(name string, n int64) { names[name] += n }, names: map[string]bool{}}
	for i := range 2 * maxCounters {
		c.add(fmt.Sprint(i), 1)
		c.add("0", 1)
	}
	if len(names) != maxCounters+1 || names["other"] != maxCounters || names["0"] != 2*maxCounters+1 {
		t.Errorf("%d names, %d others", len(names), names["other"])
	}
}

func TestAConfigThatTheModuleRefusesKeepsItFromOpening(t *testing.T) {
	for _, c := range []struct{ guest, config, says string }{
		{"probe", `{"mode":"refuse"}`, "refuse is not among the modes"},
		{"probe", `{"mood":"good"}`, `unknown field "mood"`},
		{"identity", `{}`, "takes no config"},
	} {
		_, err := Open(context.Background(), Config{Path: guest(t, c.guest), Config: json.RawMessage(c.config)})
		if fault.CodeOf(err) != CodeConfigRefused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.config, err)
		}
	}
}

func TestCompiledModulesThatNobodyUsesLeaveTheCache(t *testing.T) {
	dir, used, other := t.TempDir(), newAssembly(), newAssembly()
	other.custom = []byte("{}")
	for _, a := range []*assembly{used, other} {
		open(t, Config{Bytes: a.bytes(), CacheDir: dir})
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 3 { // with the lock
		t.Fatal(names, err)
	}
	for _, name := range names {
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-100*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, Config{Bytes: used.bytes(), CacheDir: dir})
	for digest, stays := range map[string]bool{m.Digest(): true, fmt.Sprintf("sha256:%x", sha256.Sum256(other.bytes())): false} {
		if _, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(digest, "sha256:"))); (err == nil) != stays {
			t.Errorf("%s: %v", digest, err)
		}
	}
}

func TestADamagedCompileCacheCostsTimeOnly(t *testing.T) {
	dir, module := t.TempDir(), newAssembly().bytes()
	open(t, Config{Bytes: module, CacheDir: dir})
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Truncate(name, 20)
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	m := open(t, Config{Bytes: module, CacheDir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	got, _, err := apply(t, m, "a")
	want(t, got, err, "=")
	if !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("no word about the damaged cache: %s", log.String())
	}
}

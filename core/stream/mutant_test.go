package stream

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// recorder is a test that remembers whether it failed.
type recorder struct {
	rapid.TB
	mu     sync.Mutex
	failed bool
	why    string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Name() string              { return "mutant" }
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Log(...any)                {}
func (r *recorder) Fail()                     { r.Errorf("failed") }
func (r *recorder) FailNow()                  { r.Fail(); runtime.Goexit() }
func (r *recorder) Error(args ...any)         { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any)         { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); runtime.Goexit() }
func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Errorf(f string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == "" {
		r.why = fmt.Sprintf(f, a...)
	}
	r.failed = true
}

// TestEachDefectIsFound runs the checks on streams with a defect built in.
func TestEachDefectIsFound(t *testing.T) {
	for name, value := range map[string]string{"rapid.shrinktime": "1ms", "rapid.nofailfile": "true"} {
		f := flag.Lookup(name)
		old := f.Value.String()
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Value.Set(old) }()
	}
	for name, c := range map[string]struct {
		seams seams
		check func(*recorder, seams)
	}{
		"children in their parents' second": {seams{sameSecond: true}, func(r *recorder, s seams) { checkModel(r, s) }},
		"no floor for new streams":          {seams{noFloor: true}, func(r *recorder, s seams) { checkModel(r, s) }},
		"positions of other incarnations":   {seams{anyIncarnation: true}, func(r *recorder, s seams) { checkModel(r, s) }},
		"entry before the log":              {seams{entryFirst: true}, func(r *recorder, s seams) { checkCreation(r, s) }},
		"files before the entry":            {seams{filesFirst: true}, func(r *recorder, s seams) { checkDeletion(r, s) }},
		"marked puts torn by reshards": {seams{tornMarks: true}, func(r *recorder, s seams) {
			for !r.Failed() {
				checkPutsDuringReshards(r, s, uint64(time.Now().UnixNano()))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.check(r, c.seams)
			}()
			<-done
			if !r.Failed() {
				t.Fatal("was not found")
			}
			t.Logf("%.300s", r.why)
		})
	}
}

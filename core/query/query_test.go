package query

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func run(t *testing.T, g *Guard, ctx context.Context, text, data string) ([]any, error) {
	t.Helper()
	code, err := Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	input, err := Decode([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	g.Begin(ctx)
	defer g.End()
	err = Run(g, code, input, func(v any) bool {
		all = append(all, v)
		return len(all) < 100
	})
	return all, err
}

func TestQueriesRunOneAfterTheOther(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	for _, c := range []struct{ query, data, want, err string }{
		{".a[]", `{"a":[1,"x",1.50]}`, "[1 x 1.50]", ""},
		{"empty", "1", "[]", ""},
		{"1, halt, 2", "1", "[1]", ""},
		{"1, error(\"no\")", "1", "[1]", "no"},
		{"halt_error", `"x"`, "[]", "halt error: x"},
		{"repeat(1)", "1", fmt.Sprint(make100()), ""},
		{"env.HOME, $ENV.PATH", "1", "[<nil> <nil>]", ""},
		{`error("` + strings.Repeat("x", 500) + `")`, "1", "[]", "…"},
	} {
		got, err := run(t, g, t.Context(), c.query, c.data)
		if fmt.Sprint(got) != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || len(err.Error()) > 310) {
			t.Errorf("%s: %v, %v", c.query, got, err)
		}
	}
}

func make100() []any {
	all := make([]any, 100)
	for i := range all {
		all[i] = 1
	}
	return all
}

func TestARunThatTakesTooLongIsEndedAndTheNextIsNot(t *testing.T) {
	g := NewGuard(200*time.Millisecond, MemoryLimit)
	for range 3 {
		if _, err := run(t, g, t.Context(), "def f: f; f", "1"); err == nil || !strings.Contains(err.Error(), "longer than 200ms") {
			t.Errorf("got %v", err)
		}
		if got, err := run(t, g, t.Context(), ".+1", "1"); err != nil || got[0] != 2 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestARunThatTakesTooMuchMemoryIsEnded(t *testing.T) {
	g := NewGuard(time.Hour, 32<<20)
	for _, text := range []string{"[range(1e12)]", `reduce range(60) as $i ("x"; . + .)`} {
		if _, err := run(t, g, t.Context(), text, "1"); err == nil || !strings.Contains(err.Error(), "by more than 32 MiB") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What others allocate meanwhile, and have no use for, is not held against a query.
func TestGarbageOfOthersEndsNoRun(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				garbage = make([]byte, 4<<20)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	g := NewGuard(300*time.Millisecond, 32<<20)
	if _, err := run(t, g, t.Context(), "def f: f; f", "1"); err == nil || !strings.Contains(err.Error(), "longer than 300ms") {
		t.Errorf("got %v", err)
	}
}

var garbage []byte

func TestARunEndsWithItsContext(t *testing.T) {
	why := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := run(t, NewGuard(time.Hour, MemoryLimit), ctx, "def f: f; f", "1"); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestWhatDoesNotCompile(t *testing.T) {
	for _, text := range []string{"", ".a |", "nosuch(1)", `include "x"; .a`, "input", "$x", strings.Repeat(" ", MaxText+1)} {
		if _, err := Compile(text); err == nil {
			t.Errorf("%.20q compiles", text)
		}
	}
	if _, err := Compile("$x + .", "$x"); err != nil {
		t.Error(err)
	}
}

// Each step of a calculation with a number of millions of digits would take seconds.
func TestLongNumbersAreRounded(t *testing.T) {
	g := NewGuard(time.Hour, MemoryLimit)
	long := "1" + strings.Repeat("0", 3_000_000)
	for _, c := range []struct{ data, want string }{
		{long, "1.7976931348623157e+308"}, {"-" + long, "-1.7976931348623157e+308"}, {"0." + long, "0.1"}, {"123456789012345678901234567890", "123456789012345678901234567890"}, {"-0", "-0"}, {"1.50", "1.50"},
	} {
		got, err := run(t, g, t.Context(), "tojson", c.data)
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%.20s: %.40v, %v", c.data, got, err)
		}
	}
	if got, err := run(t, g, t.Context(), ". * . * . * . | tojson", long); err != nil || got[0] != "1.7976931348623157e+308" {
		t.Errorf("%.40v, %v", got, err)
	}
}

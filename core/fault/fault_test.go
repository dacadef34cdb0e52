package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestAnErrorSaysWhereWhatAndWhatToDo(t *testing.T) {
	err := New(Permanent, "spec.unknown_key", "unknown key %q", "prefx").At("p.yaml:3:5").WithHint("did you mean prefix?")
	if got, want := err.Error(), `p.yaml:3:5: unknown key "prefx" (did you mean prefix?)`; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func TestClassAndCodeAreFoundThroughWrapping(t *testing.T) {
	inner := New(Throttled, "sink.slow_down", "put: %w", fs.ErrPermission)
	err := fmt.Errorf("deliver: %w", inner)
	if ClassOf(err) != Throttled || CodeOf(err) != "sink.slow_down" || !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("%v %v", ClassOf(err), CodeOf(err))
	}
	outer := New(Permanent, "sink.gave_up", "gave up: %w", err)
	if ClassOf(outer) != Permanent || CodeOf(outer) != "sink.gave_up" || !errors.Is(outer, inner) {
		t.Fatal("the outermost class and code count")
	}
	if plain := errors.New("x"); ClassOf(plain) != Retryable || CodeOf(plain) != "internal" {
		t.Fatal("an error without a class is tried again")
	}
}

func TestTheOutermostHintCounts(t *testing.T) {
	inner := New(Unavailable, "log.disk_full", "no room").WithHint("free space")
	outer := New(Unavailable, "stream.full", "put: %w", fmt.Errorf("append: %w", inner))
	if got := HintOf(outer); got != "free space" {
		t.Errorf("hint %q below an error without one", got)
	}
	if got := HintOf(outer.WithHint("wait")); got != "wait" {
		t.Errorf("hint %q", got)
	}
	if got := HintOf(fs.ErrPermission) + HintOf(nil); got != "" {
		t.Errorf("hint %q of errors without one", got)
	}
}

func TestEveryClassHasAName(t *testing.T) {
	for c, want := range map[Class]string{Retryable: "retryable", Permanent: "permanent", Permanent + 1: "class(5)"} {
		if c.String() != want {
			t.Errorf("%d is %s", uint8(c), c)
		}
	}
}

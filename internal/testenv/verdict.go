package testenv

import (
	"fmt"
	"runtime"
)

// TB is the part of [testing.TB] that a check uses which is itself shown to find defects.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Verdict runs checks, one after the other, and returns their first complaint; empty: there was none.
func Verdict(checks ...func(TB)) string {
	var c complaint
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, check := range checks {
			check(&c)
		}
	}()
	<-done
	return c.first
}

type complaint struct{ first string }

func (*complaint) Helper() {}

func (c *complaint) Errorf(format string, args ...any) {
	if c.first == "" {
		c.first = fmt.Sprintf(format, args...)
	}
}

func (c *complaint) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

// Exit codes; the help of leat explains them. 128 + n is an end by signal n.
const (
	exitFailed = 1
	exitUsage  = 2
	exitInUse  = 3
)

// exitError ends the command with a code. Its error, if any, is shown first.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// wrong is an error in how the command was called.
func wrong(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// report shows an error and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return 0
	}
	code := exitCode(err)
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil {
		return code
	}
	a.show(err)
	return code
}

// show writes an error for a person; several that were joined, one after the other.
func (a *app) show(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !isList(err) {
		for i, e := range joined.Unwrap() {
			if i > 0 && inFile(e) { // as between those of a list
				fmt.Fprintln(a.stderr)
			}
			a.show(e)
		}
		return
	}
	switch {
	case inFile(err):
		fmt.Fprint(a.stderr, spec.Render(err, term.IsTerminal(int(a.stderr.Fd())) && os.Getenv("NO_COLOR") == ""))
	default:
		text, hint := err.Error(), fault.HintOf(err)
		if hint != "" {
			text = strings.Replace(text, " ("+hint+")", "", 1) + "\nhint: " + hint
		}
		for line := range strings.SplitSeq("leat: "+text, "\n") { // it may quote records
			fmt.Fprintln(a.stderr, view.Printable(line))
		}
	}
}

// inFile reports whether an error is shown with its place in a pipeline file.
func inFile(err error) bool {
	var list *spec.Errors
	var one *fault.Error
	return errors.As(err, &list) || errors.As(err, &one) && one.Place != ""
}

func isList(err error) bool {
	_, ok := err.(*spec.Errors)
	return ok
}

func exitCode(err error) int {
	var exit *exitError
	var list *spec.Errors
	var one *fault.Error
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, vfs.ErrLocked):
		return exitInUse
	case errors.As(err, &list), errors.As(err, &one) && one.Place != "" && one.Class == fault.Permanent:
		return exitUsage
	}
	return exitFailed
}

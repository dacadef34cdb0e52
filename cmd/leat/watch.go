package main

import (
	"fmt"
	"time"

	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

// watch runs the pipelines and follows their files.
func (c *runCmd) watch(a *app, h *host, group *foreground.Group, seen *foreground.Seen) error {
	return group.Watch(h.ctx, foreground.WatchOptions{
		Files: c.Files, Load: c.load, Seen: seen, Build: h.options, Drain: c.Drain, Control: h.control,
		Tell: func(change foreground.Change) {
			h.status.Clear()
			c.tell(a, h, &change)
		},
	})
}

// load reads the files anew.
func (c *runCmd) load() ([]*spec.Pipeline, error) {
	pipelines, err := loadAll(c.Files, spec.Options{Set: c.Set, Empty: c.Watch})
	if err == nil && c.JSON && writesStdout(pipelines) {
		err = wrong("--json and a stdout sink both write to standard output: use one of them")
	}
	return pipelines, err
}

// tell shows what came of a change.
func (c *runCmd) tell(a *app, h *host, change *foreground.Change) {
	passed := 0
	for i := range change.Tests {
		if r := &change.Tests[i]; r.Passed() {
			passed++
		} else {
			printResult(h.status, r)
		}
	}
	name := change.Pipeline
	if change.Err != nil && passed == len(change.Tests) { // failing tests have said why
		a.show(change.Err)
	}
	switch {
	case c.Quiet && change.Err == nil:
	case change.Back && name == "":
		fmt.Fprintln(h.status, "leat: the files are back to what is running")
	case change.Back:
		fmt.Fprintf(h.status, "leat: pipeline %s: back to what is running\n", name)
	case name == "":
		fmt.Fprintln(h.status, "leat: nothing is taken of the files; what ran before runs on")
	case change.Stopped:
		fmt.Fprintf(h.status, "leat: pipeline %s does not run until its files change\n", name)
	case change.Err != nil:
		fmt.Fprintf(h.status, "leat: pipeline %s: the change is not taken; the version before runs on\n", name)
	case change.Removed:
		fmt.Fprintf(h.status, "leat: pipeline %s is in no file any more and was stopped\n", name)
	default:
		text := "runs"
		if change.Gap > 0 {
			text = fmt.Sprintf("the new version runs, after %v without one", change.Gap.Round(100*time.Microsecond))
		}
		if passed > 0 {
			text += fmt.Sprintf("; %s passed", plural(passed, "test"))
		}
		fmt.Fprintf(h.status, "leat: pipeline %s: %s\n", name, text)
	}
}

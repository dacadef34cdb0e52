package main

import (
	"fmt"
	"io"
	"regexp"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/spec"
)

type testCmd struct {
	Files []string `arg:"" name:"file" help:"Pipeline files, or folders of them."`
	Only  string   `help:"Run the tests whose name matches this regular expression." placeholder:"REGEXP"`
	setFlag
	jsonFlag
}

// Help is shown by leat test --help.
func (testCmd) Help() string {
	return `Sends the input of each test through the pipeline's transforms, partition keys, prefixes and formats, and compares what the sinks would get. Nothing is stored or delivered.

Exit codes: 0 all tests pass, 1 a test fails, 2 wrong use or a wrong pipeline file, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat test pipeline.yaml
  leat test --only 'row becomes' --json pipeline.yaml`
}

// testResult is the outcome of one test.
type testResult struct {
	Pipeline string    `json:"pipeline"`
	Test     string    `json:"test"`
	Place    string    `json:"place"`
	Passed   bool      `json:"passed"`
	Seconds  float64   `json:"seconds"`
	Failures []problem `json:"failures"`
}

// Run runs tests.
func (c *testCmd) Run(a *app) error {
	pipelines, err := loadAll(c.Files, spec.Options{Set: c.Set})
	if err != nil {
		return err
	}
	tests, err := a.tests(c.Only, c.JSON)
	if err != nil {
		return err
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	for _, p := range pipelines {
		ran, err := pipetest.Run(j.ctx, p, j.checks(), tests.match)
		if told := j.interrupted(); told != nil {
			return told
		}
		if err != nil {
			return err
		}
		j.status.Clear()
		for i := range ran {
			tests.ran(&ran[i])
		}
		if len(p.Tests) == 0 && !c.JSON {
			fmt.Fprintf(a.stdout, "%s: no tests\n", p.Name)
		}
	}
	return tests.done()
}

// tests prints what becomes of tests.
type tests struct {
	app     *app
	only    *regexp.Regexp // nil: all
	json    bool
	results []testResult
	failed  bool
}

// tests begins to print tests: of those whose name matches only, unless it is empty.
func (a *app) tests(only string, json bool) (*tests, error) {
	t := &tests{app: a, json: json, results: []testResult{}}
	if only == "" {
		return t, nil
	}
	var err error
	if t.only, err = regexp.Compile(only); err != nil {
		return nil, wrong("--only: %w", err)
	}
	return t, nil
}

// match reports whether a test is to run.
func (t *tests) match(name string) bool { return t.only == nil || t.only.MatchString(name) }

// ran takes the outcome of a test, and prints it unless it is for a program.
func (t *tests) ran(r *pipetest.Result) {
	out := testResult{
		Pipeline: r.Pipeline, Test: r.Test, Place: r.Place, Passed: r.Passed(), Seconds: r.Took.Seconds(), Failures: []problem{},
	}
	for _, f := range r.Failures {
		out.Failures = append(out.Failures, problemOf(f))
	}
	t.results = append(t.results, out)
	t.failed = t.failed || !out.Passed
	if !t.json {
		printResult(t.app.stdout, r)
	}
}

func printResult(w io.Writer, r *pipetest.Result) {
	verdict := "pass"
	if !r.Passed() {
		verdict = "FAIL"
	}
	fmt.Fprintf(w, "%s  %s: %s (%.2f s)\n", verdict, r.Pipeline, r.Test, r.Took.Seconds())
	if err := r.Err(); err != nil {
		fmt.Fprint(w, spec.Render(err, false))
	}
}

// done ends the command: its error says that a test failed, or that none was asked for.
func (t *tests) done() error {
	if len(t.results) == 0 && t.only != nil {
		return wrong("--only %s: no test has such a name", t.only)
	}
	if t.json {
		if err := t.app.printJSON(t.results); err != nil {
			return err
		}
	}
	if t.failed {
		return &exitError{code: exitFailed}
	}
	return nil
}

func problemOf(e *fault.Error) problem {
	return problem{Code: e.Code, Message: e.Message, Place: e.Place, Hint: e.Hint}
}

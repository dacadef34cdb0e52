package main

import (
	"context"
	"fmt"
	"io"
	"regexp"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/build"
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
	pipelines, err := loadAll(c.Files, c.Set)
	if err != nil {
		return err
	}
	var match func(string) bool
	if c.Only != "" {
		only, err := regexp.Compile(c.Only)
		if err != nil {
			return wrong("--only: %w", err)
		}
		match = only.MatchString
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	results := []testResult{}
	failed, all := 0, 0
	for _, p := range pipelines {
		ran, err := pipetest.Run(j.ctx, p, func(ctx context.Context) (*stage.Chain, error) {
			return build.Chain(ctx, p, j.checks())
		}, match)
		if told := j.interrupted(); told != nil {
			return told
		}
		if err != nil {
			return err
		}
		j.status.Clear()
		all += len(ran)
		for i := range ran {
			if !ran[i].Passed() {
				failed++
			}
			if c.JSON {
				results = append(results, resultJSON(&ran[i]))
			} else {
				printResult(a.stdout, &ran[i])
			}
		}
		if len(p.Tests) == 0 && !c.JSON {
			fmt.Fprintf(a.stdout, "%s: no tests\n", p.Name)
		}
	}
	if all == 0 && match != nil {
		return wrong("--only %s: no test has such a name", c.Only)
	}
	if c.JSON {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
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

func resultJSON(r *pipetest.Result) testResult {
	out := testResult{
		Pipeline: r.Pipeline, Test: r.Test, Place: r.Place, Passed: r.Passed(), Seconds: r.Took.Seconds(), Failures: []problem{},
	}
	for _, f := range r.Failures {
		out.Failures = append(out.Failures, problemOf(f))
	}
	return out
}

func problemOf(e *fault.Error) problem {
	return problem{Code: e.Code, Message: e.Message, Place: e.Place, Hint: e.Hint}
}

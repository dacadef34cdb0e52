package main

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/spec"
)

type validateCmd struct {
	Files   []string `arg:"" name:"file" help:"Pipeline files, or folders of them."`
	Connect bool     `help:"Also ask the destinations whether deliveries would work. Nothing is delivered."`
	setFlag
	jsonFlag
}

// Help is shown by leat validate --help.
func (validateCmd) Help() string {
	return `Checks the schema, expressions and queries, and that the modules of transforms build and load. Nothing is created and no stream is touched.

Exit codes: 0 all files are right, 1 a destination does not answer, a handler does not start or a secret is missing, 2 wrong use or something is wrong in a file, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat validate pipeline.yaml
  leat validate --connect pipelines/`
}

// validation is the outcome for one file.
type validation struct {
	File      string    `json:"file"`
	OK        bool      `json:"ok"`
	Pipelines []string  `json:"pipelines"`
	Problems  []problem `json:"problems"`
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Place   string `json:"place,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Run checks files.
func (c *validateCmd) Run(a *app) error {
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	var results []validation
	code := 0
	for _, file := range c.Files {
		v, err := c.file(j, file)
		if told := j.interrupted(); told != nil {
			return told // and what it found is nothing else
		}
		results = append(results, v)
		if err == nil {
			if !c.JSON {
				fmt.Fprintf(a.stdout, "%s: ok (%s)\n", file, plural(len(v.Pipelines), "pipeline"))
			}
			continue
		}
		j.status.Clear()
		code = max(code, exitCode(err))
		if !c.JSON {
			a.show(err)
		}
	}
	if c.JSON {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

func (c *validateCmd) file(j *job, file string) (validation, error) {
	v := validation{File: file, Pipelines: []string{}, Problems: []problem{}}
	pipelines, err := spec.Load(file, spec.Options{Set: c.Set})
	if err == nil {
		for _, p := range pipelines {
			v.Pipelines = append(v.Pipelines, p.Name)
			o := j.checks()
			o.Connect = c.Connect
			err = errors.Join(err, build.Probe(j.ctx, p, o))
		}
	}
	v.OK = err == nil
	v.Problems = append(v.Problems, problems(err)...)
	return v, err
}

// problems takes an error apart for programs.
func problems(err error) []problem {
	var one *fault.Error
	var out []problem
	switch many := err.(type) {
	case nil:
	case interface{ Unwrap() []error }:
		for _, e := range many.Unwrap() {
			out = append(out, problems(e)...)
		}
		if own, ok := err.(*spec.Errors); ok && own.More > 0 {
			out = append(out, problem{Code: "spec.more", Message: fmt.Sprintf("and %d more errors", own.More)})
		}
	default:
		if !errors.As(err, &one) {
			return []problem{{Code: fault.CodeOf(err), Message: err.Error()}}
		}
		out = []problem{problemOf(one)}
	}
	return out
}

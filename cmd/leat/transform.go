package main

import (
	"fmt"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/pipetest"
	"github.com/leatstream/leat/pipelines/workbench"
	"github.com/leatstream/leat/transforms/wasm/build"
)

type transformCmd struct {
	New   transformNewCmd   `cmd:"" help:"Make a folder for a new transform."`
	Build transformBuildCmd `cmd:"" help:"Build a transform and look at its module."`
	Test  transformTestCmd  `cmd:"" help:"Run a transform's tables of tests."`
	Bench transformBenchCmd `cmd:"" help:"Measure a transform."`
	Pages transformHelpCmd  `cmd:"" name:"help" help:"Print the reference page of a transform."`
}

// Help is shown by leat transform --help.
func (transformCmd) Help() string {
	return `A transform is a function from a record to what becomes of it: a built-in one, which leat transform help lists, or one in Go, Rust, C, C++ or AssemblyScript that runs as a WebAssembly module.

Example:

  leat transform new drop-debug
  leat transform test drop-debug`
}

type transformNewCmd struct {
	Dir  string `arg:"" name:"name" help:"The folder to make; its last part is the transform's name."`
	Lang string `help:"Language: go (the default), rust, c (also for C++) or as (AssemblyScript)." default:"go" placeholder:"LANG"`
	jsonFlag
}

// Help is shown by leat transform new --help.
func (transformNewCmd) Help() string {
	return `Makes a folder with source to change, a table of tests and a pipeline, and builds it. If the language's compiler is missing, it says where to get it.

Exit codes: 0 the folder is there (its compiler may be missing), 1 it cannot be made, or does not build, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat transform new drop-debug
  leat transform new --lang rust transforms/mask`
}

// Run makes a transform.
func (c *transformNewCmd) Run(a *app) error {
	files, err := workbench.New(c.Dir, c.Lang)
	if err != nil {
		return misused(err)
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	_, built := workbench.Build(j.ctx, c.Dir, "", j.doing)
	j.status.Clear()
	if told := j.interrupted(); told != nil {
		return told
	}
	missing := fault.CodeOf(built) == build.CodeNoToolchain || fault.CodeOf(built) == build.CodeOldGo
	if c.JSON {
		result := struct {
			Files   []string `json:"files"`
			Missing *problem `json:"missing,omitempty"`
		}{Files: files}
		if missing {
			result.Missing = &problems(built)[0]
		}
		if err := a.printJSON(result); err != nil {
			return err
		}
	} else {
		for _, f := range files {
			fmt.Fprintln(a.stdout, f)
		}
		if missing {
			a.show(built)
		}
		fmt.Fprintf(a.stderr, "try: leat transform test %[1]s\n     leat run --until-idle %[1]s/pipeline.yaml\n", workbench.ShellWord(filepath.ToSlash(filepath.Clean(c.Dir))))
	}
	if missing {
		return nil
	}
	return built
}

// misused is the exit code of errors about arguments.
func misused(err error) error {
	switch fault.CodeOf(err) {
	case workbench.CodeExists, workbench.CodeName, workbench.CodeLanguage, workbench.CodeNoModule, workbench.CodeNoTests, workbench.CodeInput, build.CodeNoFolder:
		return &exitError{exitUsage, err}
	}
	return err
}

type transformBuildCmd struct {
	Transform string `arg:"" help:"A folder of source, or a .wasm file to look at."`
	Output    string `short:"o" help:"Write the module to this file." placeholder:"FILE"`
	jsonFlag
}

// Help is shown by leat transform build --help.
func (transformBuildCmd) Help() string {
	return `Builds the folder, unless the cache has it, checks that leat can run the module, and says what it is: where it lies, its size, the digest that dead letters name it by, and its manifest.

Exit codes: 0 built, 1 it does not compile or is no transform, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat transform build drop-debug
  leat transform build -o drop-debug.wasm drop-debug`
}

// Run builds a transform.
func (c *transformBuildCmd) Run(a *app) error {
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	m, err := workbench.Build(j.ctx, c.Transform, c.Output, j.doing)
	if told := j.interrupted(); told != nil {
		return told
	}
	j.status.Clear()
	if err != nil {
		return misused(err)
	}
	if c.JSON {
		return a.printJSON(m)
	}
	w := a.table()
	fmt.Fprintf(w, "module\t%s\nsize\t%s\ndigest\t%s\n", m.Path, sizeText(m.Bytes), m.Digest)
	if m.Manifest != nil {
		fmt.Fprintf(w, "manifest\t%s\n", m.Manifest)
	}
	if m.WantsConfig != "" {
		fmt.Fprintf(w, "config\t%s\n", m.WantsConfig)
	}
	return w.Flush()
}

type transformTestCmd struct {
	Transform string `arg:"" help:"A folder of source or a .wasm file."`
	Only      string `help:"Run the tests whose name matches this regular expression." placeholder:"REGEXP"`
	jsonFlag
}

// Help is shown by leat transform test --help.
func (transformTestCmd) Help() string {
	return `Runs the tables of tests that lie beside the transform: tests.yaml, *.test.yaml (for NAME.wasm: NAME.test.yaml) and tests/*.yaml. Each test runs on a new instance, under the limits that pipelines have by default:

  config: { drop: debug }                # what a pipeline file says under config
  tests:
    - name: debug is dropped
      input: [ "a debug line", { json: { a: 1 }, key: k, attrs: { source: x } } ]
      output: [ { json: { a: 1 }, key: k } ]     # text is the data; also base64
      dropped: 1                         # also unchanged
      dead: [ { code: x.bad, reason: why, input: 1 } ] # records that fail; none if absent
      max_fuel: 500                      # work for each byte: the same on every machine

Exit codes: 0 all tests pass, 1 a test fails or the folder does not build, 2 wrong use or a wrong table, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat transform test drop-debug
  leat transform test --only dropped drop-debug.wasm`
}

// Run runs a transform's tests.
func (c *transformTestCmd) Run(a *app) error {
	tests, err := a.tests(c.Only, c.JSON)
	if err != nil {
		return err
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	err = workbench.Test(j.ctx, c.Transform, j.checks(), tests.match, func(r *pipetest.Result) {
		j.status.Clear()
		tests.ran(r)
	})
	if told := j.interrupted(); told != nil {
		return told
	}
	j.status.Clear()
	if err != nil {
		return misused(err)
	}
	return tests.done()
}

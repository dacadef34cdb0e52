// Command leat serves durable streams by the Kinesis API and runs pipelines: streams, transforms and delivery. Its commands are thin: they read flags, call the
// packages below pipelines and core, and print.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/leatstream/leat/pipelines/spec"
)

// commands is the command line.
type commands struct {
	Run       runCmd       `cmd:"" help:"Run pipelines in the foreground."`
	Serve     serveCmd     `cmd:"" help:"Answer the Kinesis API, and run the pipelines of a folder."`
	Validate  validateCmd  `cmd:"" help:"Check pipeline files without running them."`
	Test      testCmd      `cmd:"" help:"Run the tests inside pipeline files."`
	DryRun    dryRunCmd    `cmd:"" help:"Show what pipelines would do with real records, and deliver nothing."`
	Tap       tapCmd       `cmd:"" help:"Look at the records that pass a stage of a running pipeline."`
	Transform transformCmd `cmd:"" help:"Make, build, test and measure transforms."`
	Audit     auditCmd     `cmd:"" help:"Prove from durable state that no record was lost or counted twice."`
	Log       logCmd       `cmd:"" help:"Read logs offline."`
	Stream    streamCmd    `cmd:"" help:"Work with the streams of a data directory offline."`
	Schema    schemaCmd    `cmd:"" help:"Print the JSON schema of pipeline files."`
	Bench     benchCmd     `cmd:"" help:"Measure this machine with leat and with a bare program."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

const about = `leat: durable streams, transforms and delivery in one binary.

Every flag can also be given as the environment variable that its help names (LEAT_DATA for --data,
and so on); an empty variable counts as none. Results (--json, records of stdout sinks) go to
standard output; progress, summaries, logs and errors go to standard error.

Exit codes:

  0    done; also run and serve after they were told to stop
  1    it failed: a pipeline cannot go on, a test fails, a ledger or a log does not hold
  2    the command line or a pipeline file is wrong
  3    the data directory is in use by another leat
  130  SIGINT, 143 SIGTERM: stopped before the end (run without --until-idle has none), or told twice

Examples:

  leat serve
  leat run --until-idle pipeline.yaml
  leat help stream put
`

// app is what commands need of the process.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr *os.File
}

func main() {
	os.Exit(command(os.Args[1:]))
}

// command runs one command line and returns the exit code.
func command(args []string) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version":
		args[0] = "version"
	}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "LEAT_") && value == "" {
			_ = os.Unsetenv(name) // an empty variable, as compose files leave it, is none
		}
	}
	var cli commands
	exited := -1 // by kong, which ends the process after --help
	parser, err := kong.New(&cli, kong.Name("leat"), kong.Description(about), kong.DefaultEnvars("LEAT"),
		kong.Writers(os.Stdout, os.Stderr), kong.Exit(func(code int) { exited = max(exited, code) }),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100, NoAppDescFormat: true, FlagsLast: true,
		}),
		kong.TypeMapper(reflect.TypeFor[spec.Bytes](), text(spec.ParseBytes)),
		kong.TypeMapper(reflect.TypeFor[spec.Duration](), text(spec.ParseDuration)))
	if err != nil {
		panic(err) // the tags above are wrong, which every test would show
	}
	cmd, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		return usage(err)
	}
	a := &app{ctx: context.Background(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return a.report(cmd.Run(a))
}

// usage reports a wrong command line.
func usage(err error) int {
	fmt.Fprintf(os.Stderr, "leat: %v\n", err)
	help := "leat --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		help = parse.Context.Selected().FullPath() + " --help"
	}
	fmt.Fprintf(os.Stderr, "hint: %s\n", help)
	return exitUsage
}

// text maps a flag's text by a parser of the pipeline language, so that sizes and durations are written alike.
func text[T any](parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var s string
		if err := ctx.Scan.PopValueInto("value", &s); err != nil {
			return err
		}
		v, err := parse(s)
		if err == nil {
			target.Set(reflect.ValueOf(v))
		}
		return err
	}
}

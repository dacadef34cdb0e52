package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/internal/procgroup"
)

// job is one build.
type job struct {
	*source
	cacheDir string
	work     string // an empty folder, which is removed afterwards
	module   string // the file to make, in work
}

// command is a run of a compiler.
type command struct {
	path string
	args []string
	env  []string // beside that of this process
	dir  string   // that of the source if empty
	// aliases are folders that messages may name, and what to show instead, in turns. The source's own is always shown as the user
	// gave it.
	aliases []string
	// hint says what to do about what the compiler printed, if it knows.
	hint func(printed string) string
}

// run runs a compiler. If it fails, the error shows what it printed.
func (j *job) run(ctx context.Context, c command) error {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	// A compiler that is killed leaves its temporary files: they are in the folder that is removed.
	cmd.Env = append(cmd.Env, "TMPDIR="+j.work, "GOTMPDIR="+j.work)
	if c.dir == "" {
		cmd.Dir = j.dir
	}
	// Compilers have children of their own: end them all, and do not wait for ever for their output.
	cmd.SysProcAttr = procgroup.Own()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	runtime.LockOSThread() // see procgroup.Own
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := j.asTheUserWrites(printed.String(), append(c.aliases, j.work+string(filepath.Separator), ""))
	if text == "" {
		text = err.Error()
	}
	e := fault.New(fault.Permanent, CodeFailed, "%s does not build:\n%s", j.given, text)
	if hint := c.hint(text); hint != "" {
		return e.WithHint("%s", hint)
	}
	return e
}

// maxPrinted bounds what an error shows of a compiler's output, in bytes.
const maxPrinted = 16 << 10

// placeInLine finds what may be a file of the source with a line number: in Rust's and AssemblyScript's messages it does not begin the line.
var placeInLine = regexp.MustCompile(`(--> |└─ in |included from )([^:()]+)([:(][0-9])`)

// asTheUserWrites shows what a compiler printed with paths as the user would write them.
func (s *source) asTheUserWrites(printed string, aliases []string) string {
	replace := strings.NewReplacer(append(aliases, s.dir+string(filepath.Separator), s.given+string(filepath.Separator))...)
	var lines []string
	for line := range strings.Lines(printed) {
		line = replace.Replace(strings.TrimRight(line, "\n"))
		if strings.HasPrefix(line, "# ") { // the package's name in Go, which says nothing here
			continue
		}
		if name, _, ok := strings.Cut(line, ":"); ok && s.has(name) {
			line = filepath.Join(s.given, line)
		} else if m := placeInLine.FindStringSubmatchIndex(line); m != nil && s.has(line[m[4]:m[5]]) {
			line = line[:m[4]] + filepath.Join(s.given, line[m[4]:m[5]]) + line[m[5]:]
		}
		lines = append(lines, line)
	}
	printed = strings.TrimSpace(strings.Join(lines, "\n"))
	if len(printed) > maxPrinted {
		printed = strings.ToValidUTF8(printed[:maxPrinted], "") + "\n…"
	}
	return printed
}

// ask runs a compiler to learn something about it and returns the text that it prints.
func ask(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = os.TempDir() // not where files may ask for another version
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return "", noToolchain("ask %s about itself: %w", path, err)
}

func noToolchain(format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, CodeNoToolchain, format, args...)
}

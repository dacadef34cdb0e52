package lambda

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/internal/printed"
)

// inherited are the variables that programs get of leat's own environment.
var inherited = []string{"PATH", "HOME", "TZ", "LANG"}

// native is a native program.
type native struct {
	path    string
	args    []string // with the program's name
	dir     string
	env     func() ([]string, error) // read anew for each process: secrets may change
	log     *printed.Log
	threads *thread
}

// openCommand makes a handler of the program of the settings.
func (t *Transform) openCommand(ctx context.Context) (handler, error) {
	c := &native{args: t.cfg.Command, dir: cmp.Or(t.env.Dir, "."), env: t.environment, log: printed.NewLog(t.env.Logger)}
	var err error
	if c.path, err = find(t.cfg.Command[0], c.dir); err != nil {
		e := fault.New(fault.Permanent, CodeNoCommand, "run the handler: %w", err).At(t.cfg.PlaceOf("command"))
		if strings.ContainsRune(t.cfg.Command[0], ' ') && len(t.cfg.Command) == 1 {
			return nil, e.WithHint("a command is a list: [%s]", strings.Join(strings.Fields(t.cfg.Command[0]), ", "))
		}
		return nil, e.WithHint("the first item of command is a program on PATH, or a path relative to the pipeline file that begins with ./")
	}
	c.threads = newThread()
	return t.programmed(ctx, c)
}

// programmed makes a handler of a program, and sees that it works.
func (t *Transform) programmed(ctx context.Context, p program) (handler, error) {
	var h handler = &stream{program: p, timeout: t.cfg.Timeout.Std(), log: t.env.Logger, failures: &t.failures, count: t.env.Count}
	if t.cfg.Mode == Once {
		h = &once{program: p, timeout: t.cfg.Timeout.Std(), failures: &t.failures}
	}
	if err := t.probe(ctx, h); err != nil {
		return nil, errors.Join(err, h.close(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// probe asks about an event without records, which shows that the program starts, reads and responds: what goes wrong with that would go
// wrong with any event, and is an error. What its handler makes of such an event is its own affair: Firehose never sends one.
func (t *Transform) probe(ctx context.Context, h handler) error {
	e := new(event)
	t.events.write(e, nil, 0)
	limited, cancel := context.WithTimeoutCause(ctx, t.cfg.Timeout.Std(), errTimeout)
	defer cancel()
	err := h.ask(limited, e, func(response []byte) error {
		if err := e.decoding.parse(response, 0); fault.CodeOf(err) == CodeNotJSON {
			return err
		}
		return nil
	})
	switch fault.CodeOf(err) {
	case CodeExited:
		t.env.Logger.Info("the lambda handler starts, and ends when it is tried with an event without records", "error", err)
		return nil
	case CodeTimeout, CodeNotFlushed, CodeNotJSON, CodeBadResponse, CodeResponseTooLarge:
		known, _ := errors.AsType[*fault.Error](err)
		tried := *known
		tried.Class = fault.Unavailable // a start that took too long may take less the next time
		tried.Message = "tried with an event without records, " + tried.Message
		return &tried
	}
	return err
}

// find returns the path of a program: one with a slash is relative to dir, any other is looked for on PATH.
func find(name, dir string) (string, error) {
	if !strings.ContainsRune(name, filepath.Separator) {
		return exec.LookPath(name)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	path, err := filepath.Abs(name) // the program starts in dir
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", &fs.PathError{Op: "run", Path: path, Err: errors.New("it is a folder")}
	case info.Mode()&0o111 == 0:
		return "", &fs.PathError{Op: "run", Path: path, Err: errors.New("it is not executable (chmod +x)")}
	}
	return path, nil
}

// environment is what the program gets: little of leat's own, so that leat's secrets stay its own, and what the settings add.
func (t *Transform) environment() ([]string, error) {
	lookup := t.env.Lookup
	if lookup == nil {
		lookup = os.LookupEnv
	}
	var env []string
	for _, name := range inherited {
		if v, ok := lookup(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for _, p := range t.cfg.Env {
		v, err := p.Value.Resolve()
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(v, 0) {
			return nil, fault.New(fault.Permanent, CodeInvalidConfig, "env: the value of %s has a zero byte", p.Name).At(p.Place)
		}
		env = append(env, p.Name+"="+v)
	}
	return env, nil
}

func (c *native) start(context.Context) (process, error) {
	env, err := c.env()
	if err != nil {
		return nil, err
	}
	var p *child
	stderr := printed.NewStream(c.log, slog.LevelWarn, "stderr")
	stderr.Begin() // with what it says before its first event
	c.threads.do(func() { p, err = startChild(c, env, stderr) })
	if err != nil {
		// The program was there when the transform was opened.
		return nil, fault.New(fault.Unavailable, CodeStartFailed, "run the handler: %w", err)
	}
	return p, nil
}

func (c *native) close(context.Context) error {
	c.threads.end()
	return nil
}

// thread runs functions on one thread of the operating system, which lives until end. Linux ends a child with its parent when
// the thread that started it ends, so that thread must last.
type thread struct {
	work chan func()
	done sync.WaitGroup
}

func newThread() *thread {
	t := &thread{work: make(chan func())}
	t.done.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for fn := range t.work {
			fn()
		}
	})
	return t
}

func (t *thread) do(fn func()) {
	done := make(chan struct{})
	t.work <- func() { defer close(done); fn() }
	<-done
}

func (t *thread) end() {
	close(t.work)
	t.done.Wait()
}

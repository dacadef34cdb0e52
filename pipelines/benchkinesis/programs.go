package benchkinesis

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// BareCommand is the command of leat that runs [ServeBare]: its name is followed by --addr and --dir.
const BareCommand = "kinesis-bare"

const kinesalite = "kinesalite@3.3.3"

// programs connects to the endpoint or starts what is measured, each as a process of its own, as a user's server is.
func (o *Options) programs(ctx context.Context, dir string) (programs []*program, err error) {
	if o.Endpoint != "" {
		e, err := newEndpoint(o.Endpoint, o)
		if err != nil {
			return nil, err
		}
		programs = append(programs, &program{name: "endpoint", at: e, stream: o.Stream})
	} else {
		pipelines := filepath.Join(dir, "pipelines") // none
		if err := os.Mkdir(pipelines, 0o777); err != nil {
			return nil, err
		}
		p, err := o.start(ctx, "leat", func(addr string) *exec.Cmd {
			return o.Leat("serve", "--addr", addr, "--limits", "off", "--metrics", "", "--data", filepath.Join(dir, "leat"),
				"--pipelines", pipelines, "--log-level", "warn")
		})
		if err != nil {
			return nil, err
		}
		programs = append(programs, p)
	}
	if o.Compare || o.Endpoint == "" {
		p, err := o.start(ctx, "bare", func(addr string) *exec.Cmd {
			return o.Leat("bench", BareCommand, "--addr", addr, "--dir", filepath.Join(dir, "bare"))
		})
		if err != nil {
			return programs, err
		}
		p.bare = true
		programs = append(programs, p)
	}
	for range o.Peers {
		script, err := o.installKinesalite(ctx)
		if err != nil {
			return programs, err
		}
		p, err := o.start(ctx, "kinesalite", func(addr string) *exec.Cmd {
			_, port, _ := net.SplitHostPort(addr) // ours
			return exec.Command("node", script, "--port", port, "--shardLimit", "10000",
				"--createStreamMs", "1", "--deleteStreamMs", "1")
		})
		if err != nil {
			return programs, err
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// installKinesalite returns the path of its command, below the user's cache folder.
func (o *Options) installKinesalite(ctx context.Context) (script string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	prefix := filepath.Join(cache, "leat", kinesalite)
	script = filepath.Join(prefix, "node_modules", "kinesalite", "cli.js")
	if _, err := os.Stat(script); err == nil {
		return script, nil
	}
	o.Progress("installing " + kinesalite)
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fault.New(fault.Permanent, "bench.npm", "%s is installed with npm, which is not on PATH", kinesalite).
			WithHint("install Node.js and npm, or leave --peer out")
	}
	if err := os.MkdirAll(prefix, 0o777); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, kinesalite).CombinedOutput()
	if err != nil {
		return "", fault.New(fault.Unavailable, "bench.npm", "npm cannot install %s: %w: %s", kinesalite, err, bytes.TrimSpace(out))
	}
	return script, nil
}

// tail keeps the end of what a process writes, to be shown if it fails.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(len(t.text)-most, 0):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// start starts a server at a free port of the loopback interface and returns when it answers.
func (o *Options) start(ctx context.Context, name string, command func(addr string) *exec.Cmd) (*program, error) {
	o.Progress("starting " + name)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	e, err := newEndpoint("http://"+addr, o)
	if err != nil {
		return nil, err
	}
	cmd, said := command(addr), &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop := func() {
		if cmd.Process.Signal(syscall.SIGTERM) != nil {
			_ = cmd.Process.Kill() // it may have ended by itself
		}
		select {
		case <-exited:
		case <-time.After(stopTime):
			_ = cmd.Process.Kill()
			<-exited
		}
	}
	for end := time.Now().Add(startTime); ; {
		c, err := e.dial(ctx)
		if err == nil {
			c.close()
			return &program{name: name, at: e, stop: stop, said: said, stream: o.Stream}, nil
		}
		select {
		case err := <-exited:
			return nil, fault.New(fault.Permanent, "bench.program", "%s ended at its start (%v): %s", name, err, said)
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
		if ctx.Err() != nil || time.Now().After(end) {
			stop()
			return nil, errors.Join(ctx.Err(), fault.New(fault.Unavailable, "bench.program", "%s does not answer at %s: %s", name, addr, said))
		}
	}
}

// How long a server may take to start and to stop.
const startTime, stopTime = 30 * time.Second, 30 * time.Second

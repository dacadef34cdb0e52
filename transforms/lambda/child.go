package lambda

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/internal/procgroup"
)

// child is a native process with its process group.
type child struct {
	cmd    *exec.Cmd
	stdin  *os.File // what leat writes to
	stdout *os.File // what leat reads from
	// inlet is the other end of stdin. leat keeps it to see how much the process has left unread.
	inlet  *os.File
	errors *printed.Stream

	written atomic.Int64
	ended   chan struct{}
	how     string
	success bool
	// mu is held while the process is killed, or taken out of the system's table: not both at a time.
	mu   sync.Mutex
	gone bool
}

// drain is how long the outputs of a process are read after it has ended: what is in their pipes is there at once, and only
// a process that it left behind could keep them open.
const drain = time.Second

// startChild starts the program. It is called on the thread that lasts as long as the program's processes.
func startChild(c *native, env []string, stderr *printed.Stream) (*child, error) {
	var files []*os.File
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	inR, inW, err1 := pipe()
	outR, outW, err2 := pipe()
	errR, errW, err3 := pipe()
	p := &child{stdin: inW, stdout: outR, inlet: inR, errors: stderr, ended: make(chan struct{})}
	err := errors.Join(err1, err2, err3)
	if err == nil {
		p.cmd = &exec.Cmd{
			Path: c.path, Args: c.args, Dir: c.dir, Env: env,
			Stdin: inR, Stdout: outW, Stderr: errW, SysProcAttr: procgroup.Own(),
		}
		err = p.cmd.Start()
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, err
	}
	_ = outW.Close()
	_ = errW.Close()
	var copied sync.WaitGroup
	copied.Go(func() {
		_, _ = io.Copy(stderr, errR) // it ends with the process, or when nobody is left to be heard
		stderr.Flush()
	})
	go func() {
		p.wait()
		deadline := time.Now().Add(drain)
		_ = errR.SetReadDeadline(deadline)
		_ = outR.SetReadDeadline(deadline)
		copied.Wait()
		_ = errR.Close()
		close(p.ended)
	}()
	return p, nil
}

// wait waits for the process and ends whatever it has left behind in its group, before the group's number can be somebody else's.
func (p *child) wait() {
	waits := awaitExit(p.cmd.Process.Pid)
	var err error
	if !waits {
		err = p.cmd.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killGroup()
	p.gone = true
	if waits {
		err = p.cmd.Wait()
	}
	_ = p.stdin.Close() // ends a write that waits
	var exit *exec.ExitError
	switch {
	case err == nil:
		p.how, p.success = "exit status 0", true
	case errors.As(err, &exit):
		p.how = exit.Error()
	default:
		p.how = fmt.Sprintf("an unknown status (%v)", err)
	}
}

func (p *child) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) } // an error means that nobody is left

// unread is how many bytes are in a pipe.
func unread(f *os.File) (n int64) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), fionread); err == nil {
			n = int64(v)
		}
	})
	return n
}

func (p *child) Read(b []byte) (int, error) { return p.stdout.Read(b) }

func (p *child) Write(b []byte) (int, error) {
	n, err := p.stdin.Write(b)
	p.written.Add(int64(n))
	return n, err
}

func (p *child) closeInput() { _ = p.stdin.Close() }

func (p *child) taken() int64 { return p.written.Load() - unread(p.inlet) }

func (p *child) stderr() *printed.Stream { return p.errors }
func (p *child) done() <-chan struct{}   { return p.ended }
func (p *child) end() (string, bool)     { return p.how, p.success }

func (p *child) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.killGroup()
	}
	for _, f := range []*os.File{p.stdin, p.stdout, p.inlet} {
		_ = f.Close() // it may be closed already
	}
}

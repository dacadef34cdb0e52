// Package killtest runs a test binary as a child that works on a directory, and kills it with SIGKILL, so that the test
// can look at what is left.
//
// The child reports over a pipe what the test has to hold it to, such as each acked put before the next one is made. A
// report is one line; one that is cut off by the child's death was not made.
package killtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

const (
	// dirEnv makes the test binary a child; the others tell it more.
	dirEnv   = "LEAT_KILLTEST_DIR"
	roundEnv = "LEAT_KILLTEST_ROUND"
	bugEnv   = "LEAT_KILLTEST_BUG"

	// childLife ends a child whose parent is gone.
	childLife = time.Minute
)

// Child is what a child is told.
type Child struct {
	Dir   string // where it works
	Round int    // how many worked there before
	Bug   string // a defect that it shall have; empty: none
}

// Main is the first call of TestMain. In a child it does the work, until somebody kills the process.
func Main(work func(Child) error) {
	c := Child{Dir: os.Getenv(dirEnv), Bug: os.Getenv(bugEnv)}
	if c.Dir == "" {
		return
	}
	var err error
	if c.Round, err = strconv.Atoi(os.Getenv(roundEnv)); err == nil {
		err = errors.Join(work(c), errors.New("nobody killed this process"))
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

// Together does what a child does at the same time, each for ever. It returns with the first error, or when the child has
// lived for too long.
func Together(work ...func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	defer cancel()
	failed := make(chan error)
	for _, do := range work {
		go func() {
			if err := do(ctx); err != nil {
				failed <- err
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var stdout sync.Mutex

// Report tells the parent something, in one line and one write.
func Report(format string, args ...any) {
	stdout.Lock()
	defer stdout.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// Life is that of a child: it is killed For after the first report that is After, or after its start if After is empty.
type Life struct {
	Child
	After string
	For   time.Duration
}

// Run runs a child for its life, and calls take with each report and the child's age.
func Run(t testenv.TB, l Life, take func(report string, age time.Duration)) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), dirEnv+"="+l.Dir, roundEnv+"="+strconv.Itoa(l.Round), bugEnv+"="+l.Bug)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	var complaints strings.Builder
	child.Stderr = &complaints
	began := time.Now()
	if err := child.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	die := sync.OnceFunc(func() { time.AfterFunc(l.For, func() { _ = child.Process.Kill() }) })
	if l.After == "" {
		die()
	}
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		report := strings.TrimSuffix(line, "\n")
		if report == l.After {
			die()
		}
		take(report, time.Since(began))
	}
	if err := child.Wait(); err == nil || complaints.Len() > 0 || child.ProcessState.ExitCode() >= 0 {
		t.Fatalf("round %d: the child was not simply killed: %v: %s", l.Round, err, complaints.String())
	}
}

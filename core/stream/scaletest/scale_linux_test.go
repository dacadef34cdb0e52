//go:build !race

// Package scaletest measures what many streams and long logs cost a process: memory, disk, and the time until it is ready.
//
// The test binary runs itself as the process that is measured, so that nothing but leat is in it. It is not built with the
// race detector, which takes memory and time of its own.
package scaletest

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

const (
	mib = 1 << 20
	gib = 1 << 30

	// What 1,000 idle streams may take. Fewer streams may take their share, and the process itself its own.
	maxDisk    = 2 * gib
	maxMemory  = 200 * mib
	ownMemory  = 40 * mib
	allStreams = 1000

	// How long a process may take, from its start, until a log of 10 GB, or one of 1,000 streams, takes a record: one second after a
	// clean stop, two after a kill, and what a busy machine adds. To read all of the log takes longer.
	maxCleanOpen  = 5 * time.Second
	maxKilledOpen = 10 * time.Second
)

func TestMain(m *testing.M) {
	if job := os.Getenv(jobEnv); job != "" {
		if err := work(job, os.Getenv(dirEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestIdleStreamsAreSmall(t *testing.T) {
	streams := testenv.Count(100, allStreams)
	needDisk(t, int64(streams)*maxDisk/allStreams)
	dir := t.TempDir()
	check := func(what string, rss int64) {
		t.Helper()
		disk := allocated(t, dir)
		t.Logf("%s: %d MiB of memory, %d MiB of disk", what, rss/mib, disk/mib)
		if limit := int64(ownMemory + (maxMemory-ownMemory)*streams/allStreams); rss > limit {
			t.Errorf("%s: %d MiB of memory, want at most %d", what, rss/mib, limit/mib)
		}
		if limit := int64(maxDisk * streams / allStreams); disk > limit {
			t.Errorf("%s: %d MiB of disk, want at most %d", what, disk/mib, limit/mib)
		}
	}
	c := start(t, dir, "create", streams)
	check(fmt.Sprintf("%d new streams with a record each", streams), c.expect(t, "idle"))
	c.kill(t)
	c = start(t, dir, "open", streams)
	t.Logf("%d streams ready %v after a kill", streams, c.ready(t, maxKilledOpen))
	check("opened again", c.expect(t, "idle"))
	c.stop(t)
	c = start(t, dir, "open", streams)
	t.Logf("%d streams ready %v after a clean stop", streams, c.ready(t, maxCleanOpen))
	check("opened again", c.expect(t, "idle"))
	c.stop(t)
}

func TestALongLogOpensAtOnce(t *testing.T) {
	size := int64(testenv.Count(gib, 10e9))
	needDisk(t, size+size/8)
	dir := t.TempDir()
	c := start(t, dir, "fill", int(size))
	acked := c.expect(t, "acked")
	c.stop(t)
	dropCache(t, dir)
	open := func(after string, most time.Duration) {
		t.Helper()
		c := start(t, dir, "open", 1)
		t.Logf("%d MB, %d records: ready %v after %s", size/1e6, acked, c.ready(t, most), after)
		if have := c.expect(t, "records"); have < acked {
			t.Errorf("%d records after %s, %d were acked", have, after, acked)
		}
		c.stop(t)
	}
	open("a clean stop", maxCleanOpen)

	c = start(t, dir, "append", 0)
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		acked += c.expect(t, "acked")
	}
	c.kill(t)
	dropCache(t, dir)
	open("a kill", maxKilledOpen)
}

// child is a process at work.
type child struct {
	cmd   *exec.Cmd
	began time.Time
	in    io.Closer
	out   *bufio.Reader
	errs  strings.Builder
}

func start(t *testing.T, dir, job string, n int) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), jobEnv+"="+job, dirEnv+"="+dir, fmt.Sprintf("%s=%d", countEnv, n))
	c.cmd.Stderr = &c.errs
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out, c.began = in, bufio.NewReader(out), time.Now()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

// expect reads the next report, which must be of the given kind, and returns its number.
func (c *child) expect(t *testing.T, kind string) (n int64) {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, kind+" %d\n", &n)
	}
	if err != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		t.Fatalf("report %q, want %s: %v: %s", line, kind, err, c.errs.String())
	}
	return n
}

// ready waits until the child is ready and returns how long it took from its start, which must be at most most.
func (c *child) ready(t *testing.T, most time.Duration) time.Duration {
	t.Helper()
	c.expect(t, "ready")
	took := time.Since(c.began).Round(time.Millisecond)
	if took > most {
		t.Errorf("ready after %v, want at most %v", took, most)
	}
	return took
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _ = c.cmd.Wait(); c.errs.Len() > 0 {
		t.Fatal(c.errs.String())
	}
}

// stop lets the child close what it has open, and end.
func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := c.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil || c.errs.Len() > 0 {
		t.Fatalf("%v: %s", err, c.errs.String())
	}
}

// needDisk ends the test unless there is room for so many bytes and for what the logs keep in reserve.
func needDisk(t *testing.T, bytes int64) {
	t.Helper()
	u, err := vfs.OS().Usage(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if need := uint64(bytes) + min(gib, u.Total/20) + 64*mib; u.Free < need {
		testenv.Missing(t, "%s has %d MiB free and %d are needed", os.TempDir(), u.Free/mib, need/mib)
	}
}

// eachFile visits all files below dir.
func eachFile(t *testing.T, dir string, visit func(path string, info fs.FileInfo)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			visit(path, info)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// allocated is what the files below dir take on the disk.
func allocated(t *testing.T, dir string) (n int64) {
	t.Helper()
	eachFile(t, dir, func(_ string, info fs.FileInfo) { n += info.Sys().(*syscall.Stat_t).Blocks * 512 })
	return n
}

// dropCache lets the kernel forget the files' content, as far as it wants to, so that they are read from the disk.
func dropCache(t *testing.T, dir string) {
	t.Helper()
	unix.Sync()
	eachFile(t, dir, func(path string, _ fs.FileInfo) {
		f, err := os.Open(path)
		if err == nil {
			_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

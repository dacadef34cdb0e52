package stdout_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/sinktest"
	"github.com/leatstream/leat/sinks/stdout"
)

var (
	_ delivery.Sink     = (*stdout.Sink)(nil)
	_ delivery.Destiner = (*stdout.Sink)(nil)
)

func TestSuite(t *testing.T) {
	sinktest.Run(t, sinktest.Setup{AtLeastOnce: true, New: func(t *testing.T) sinktest.Destination {
		var out bytes.Buffer
		return sinktest.Destination{Open: func(t *testing.T) delivery.Sink { return stdout.New(stdout.Config{Writer: &out}) }}
	}})
}

func TestBodiesDoNotMix(t *testing.T) {
	var out bytes.Buffer
	s := stdout.New(stdout.Config{Writer: &out})
	var wg sync.WaitGroup
	for _, letter := range "abcdefgh" {
		wg.Go(func() {
			c := sinktest.NewChunk(string(letter), string(letter), bytes.Repeat([]byte{byte(letter)}, 200_000))
			if err := s.Put(context.Background(), &c.Chunk); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if out.Len() != 8*200_000 {
		t.Fatalf("%d bytes were written", out.Len())
	}
	for at := 0; at < out.Len(); at += 200_000 {
		body := out.Bytes()[at : at+200_000]
		if strings.Trim(string(body), string(body[:1])) != "" {
			t.Errorf("the body at %d is mixed", at)
		}
	}
}

func TestNobodyReadsAnyMore(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	_ = r.Close()
	c := sinktest.Random("", 10)
	err = stdout.New(stdout.Config{Writer: w}).Put(t.Context(), &c.Chunk)
	if fault.CodeOf(err) != "sink.stdout.closed" || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("error is %v", err)
	}
}

func TestAReaderThatStandsStillDoesNotHoldPut(t *testing.T) {
	defer goleak.VerifyNone(t)
	r, w := io.Pipe()
	s := stdout.New(stdout.Config{Writer: w})
	c := sinktest.Random("", 10)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Put(ctx, &c.Chunk); !errors.Is(err, context.DeadlineExceeded) || fault.ClassOf(err) != fault.Retryable {
		t.Errorf("error is %v", err)
	}
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close under a write: %v", err)
	}
	_ = r.Close()
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestAShorterBodyIsNoted(t *testing.T) {
	c := sinktest.Random("", 10)
	c.Size = 11
	err := stdout.New(stdout.Config{Writer: io.Discard}).Put(t.Context(), &c.Chunk)
	if fault.CodeOf(err) != "sink.body_changed" {
		t.Errorf("error is %v", err)
	}
}

// Without a writer, it is the process's standard output: the test runs itself again as that process.
func TestDefaultIsStandardOutput(t *testing.T) {
	if os.Getenv("LEAT_TEST_STDOUT") == "1" {
		c := sinktest.NewChunk("id", "key", []byte("the body\n"))
		if err := stdout.New(stdout.Config{}).Put(t.Context(), &c.Chunk); err != nil {
			t.Fatal(err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDefaultIsStandardOutput$")
	cmd.Env = append(os.Environ(), "LEAT_TEST_STDOUT=1")
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "the body\n") {
		t.Errorf("output is %q, error %v", out, err)
	}
}

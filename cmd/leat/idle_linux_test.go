//go:build !race

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/core/wire/wiretest"
	"github.com/leatstream/leat/internal/testenv"
)

// What leat serve may take while nothing is asked of it, and until it answers.
const (
	idleShards      = 1000
	idleConnections = 1000
	idleSubscribers = 20

	maxIdleMemory = 300 << 20
	maxIdleCPU    = 0.02             // of a core
	maxStart      = 10 * time.Second // two, and what a busy machine adds
)

// The process that is measured is this binary without the race detector, which takes memory and time of its own.
func TestIdleShardsAndConnectionsCostLittle(t *testing.T) {
	for _, shape := range []struct{ streams, shards int }{{1, idleShards}, {idleShards / 4, 4}} {
		if shape.streams > 1 && !testenv.Full() {
			continue
		}
		t.Run(fmt.Sprintf("%dx%d", shape.streams, shape.shards), func(t *testing.T) { idle(t, shape.streams, shape.shards) })
	}
}

func idle(t *testing.T, streams, shards int) {
	needFiles(t, 3*idleConnections)
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	fillShards(t, s, streams, shards)
	s.kill(t)

	s = startServer(t, data)
	t.Logf("answered %v after the start behind a kill", s.took)
	if s.took > maxStart {
		t.Errorf("answered %v after the start, want %v at most", s.took, maxStart)
	}
	empty, sockets := s.memory(t), s.sockets(t)
	connect(t, s)
	subscribe(t, s, shards)

	time.Sleep(1500 * time.Millisecond) // logs promise after a second of rest
	cpu, began := s.cpu(t), time.Now()
	time.Sleep(time.Duration(testenv.Count(2, 10)) * time.Second)
	share := float64(s.cpu(t)-cpu) / float64(time.Since(began))
	memory := s.memory(t)
	t.Logf("%d MiB of memory after the start, %d MiB with all connections; %.2f %% of a core", empty>>20, memory>>20, 100*share)
	if memory > maxIdleMemory {
		t.Errorf("%d MiB of memory, want %d at most", memory>>20, maxIdleMemory>>20)
	}
	if share > maxIdleCPU {
		t.Errorf("%.2f %% of a core, want %.0f %% at most", 100*share, 100*maxIdleCPU)
	}
	if n := s.sockets(t) - sockets; n < idleConnections+idleSubscribers {
		t.Errorf("%d connections are left of %d", n, idleConnections+idleSubscribers)
	}
	s.stop(t)
}

// fillShards makes streams and puts some records into them.
func fillShards(t *testing.T, s *served, streams, shards int) {
	t.Helper()
	c := s.client(t, new(http.Transport))
	for i := range streams {
		name := aws.String(fmt.Sprintf("stream-%d", i))
		_, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(int32(shards))})
		if err == nil {
			err = kinesis.NewStreamExistsWaiter(c).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: name}, patience)
		}
		records := make([]types.PutRecordsRequestEntry, min(2*shards, 500))
		for i := range records {
			records[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String(strconv.Itoa(i)), Data: []byte("data")}
		}
		if err == nil {
			_, err = c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: name, Records: records})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// connect makes the connections, half of them with HTTP/2, each by one request. The SDK is not used here, because it now and
// then gives up a connection after its answer.
func connect(t *testing.T, s *served) {
	t.Helper()
	for i := range idleConnections {
		var protocols http.Protocols
		protocols.SetHTTP1(i%2 == 0)
		protocols.SetUnencryptedHTTP2(i%2 == 1)
		transport := &http.Transport{Protocols: &protocols}
		t.Cleanup(transport.CloseIdleConnections)
		r, err := http.NewRequest(http.MethodPost, s.endpoint, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "Kinesis_20131202.DescribeLimits")
		wiretest.Sign(r)
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: %s %v", i, answer.Status, err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// subscribe follows shards of the first stream until the test ends.
func subscribe(t *testing.T, s *served, shards int) {
	t.Helper()
	c := s.client(t, new(http.Transport))
	about, err := c.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("stream-0")})
	if err != nil {
		t.Fatal(err)
	}
	arn := about.StreamDescriptionSummary.StreamARN
	for i := range idleSubscribers {
		consumer, err := c.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
			StreamARN: arn, ConsumerName: aws.String(fmt.Sprintf("consumer-%d", i)),
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{
			ConsumerARN: consumer.Consumer.ConsumerARN, ShardId: aws.String(fmt.Sprintf("shardId-%012d", i*shards/idleSubscribers)),
			StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
		})
		if err != nil {
			t.Fatal(err)
		}
		events := out.GetStream()
		go func() {
			for range events.Events() {
			}
		}()
		t.Cleanup(func() { _ = events.Close() })
	}
}

// served is a leat serve.
type served struct {
	cmd      *exec.Cmd
	endpoint string
	took     time.Duration // from its start to its first answer
	said     bytes.Buffer
}

func startServer(t *testing.T, data string) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{endpoint: "http://" + l.Addr().String()}
	// testscript.Main has put this binary on PATH as leat.
	s.cmd = exec.Command("leat", "serve", "--limits", "off", "--addr", l.Addr().String(), "--metrics", "127.0.0.1:0", "--data", data)
	s.cmd.Dir, s.cmd.Stderr = filepath.Dir(data), &s.said
	c := s.client(t, new(http.Transport))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	for {
		_, err := c.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		s.took = time.Since(began).Round(time.Millisecond)
		if err == nil {
			return s
		}
		if s.took > patience {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			t.Fatalf("%v: %s", err, &s.said)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// client is one whose connections are closed when the test ends. It tries nothing twice.
func (s *served) client(t *testing.T, transport *http.Transport) *kinesis.Client {
	t.Cleanup(transport.CloseIdleConnections)
	return kinesis.New(kinesis.Options{
		BaseEndpoint: &s.endpoint, Region: "us-east-1", HTTPClient: &http.Client{Transport: transport}, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
	})
}

func (s *served) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // that it was killed
}

// stop sees that it ends when it is told to.
func (s *served) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	dead := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer dead.Stop()
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, &s.said)
	}
}

// proc reads a file that the kernel keeps of the process.
func (s *served) proc(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name))
	if err != nil {
		t.Fatalf("%v: %s", err, &s.said)
	}
	return string(content)
}

// memory is what the process has in memory, in bytes.
func (s *served) memory(t *testing.T) (kib int64) {
	t.Helper()
	_, after, _ := strings.Cut(s.proc(t, "status"), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// cpu is the time that the process has computed, itself and in the kernel.
func (s *served) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat := s.proc(t, "stat")
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]) // from the third field of proc(5)
	user, err := strconv.Atoi(fields[14-3])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[15-3])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
}

// sockets is how many the process has open.
func (s *served) sockets(t *testing.T) (n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// needFiles ends the test unless a process may have so many files open.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < n { // leat and this process raise theirs to that
		testenv.Missing(t, "%d files may be open (ulimit -Hn) and %d are needed", limit.Max, n)
	}
}

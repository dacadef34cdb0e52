package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a stream, a state store and two object stores in memory, and the configuration of a delivery between them.
type world struct {
	t     testing.TB
	fs    *vfs.Mem
	log   *disk.Log
	state *state.Store
	main  *objects // where the sink delivers to
	dead  *objects // where dead letters go
	cfg   Config
	said  testenv.Log // what the deliveries logged
}

// soon is a buffer interval for tests that wait for an object.
const soon = 10 * time.Millisecond

// patience is how long a test waits for what has to happen, on a machine that has much else to do.
const patience = 2 * time.Minute

const spoolDir = "/data/spool"

func newWorld(t testing.TB, shards int) *world {
	t.Helper()
	w := &world{t: t, fs: vfs.NewMem(), main: &objects{place: "main"}, dead: &objects{place: "dead"}}
	w.open()
	var opening []shardlog.Shard
	for i := range shards {
		opening = append(opening, shardlog.Shard{ID: record.ShardID(i)})
	}
	w.must(w.log.Reshard(context.Background(), nil, opening))
	t.Cleanup(w.close)
	return w
}

// open opens the files and configures a delivery on them, as a start of the process does.
func (w *world) open() {
	w.t.Helper()
	var err error
	w.log, err = disk.Open(w.fs, "/data/stream", disk.Options{Reserve: -1, FirstSegment: 64 << 10, SegmentSize: 1 << 20})
	w.must(err)
	w.state, err = state.Open(w.fs, "/data/state", state.Options{})
	w.must(err)
	lines, err := codec.FormatByName("lines")
	w.must(err)
	gz, err := codec.ByName("gzip", 1)
	w.must(err)
	plain, err := codec.ByName("none", 0)
	w.must(err)
	w.cfg = Config{
		Pipeline: "p", Name: "s", Source: Source{Name: "stream", Incarnation: "i", Log: w.log},
		Chain: stage.NewChain(), Layout: byKey{}, Format: lines, Compression: gz, Sink: w.main,
		DeadLetters: DeadLetters{
			Sink: w.dead, Compression: plain,
			Prefix: func(errorType string, _ time.Time) (string, error) { return errorType + "/", nil },
		},
		BufferSize: MinBufferSize, BufferInterval: MaxBufferInterval,
		Retry: Retry{Initial: time.Millisecond, Max: 4 * time.Millisecond},
		FS:    w.fs, Spool: spoolDir, State: w.state,
		Logger: slog.New(slog.NewTextHandler(&w.said, nil)),
	}
}

func (w *world) close() {
	_ = w.log.Close()
	_ = w.state.Close()
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// put appends one record for each datum, all under one key.
func (w *world) put(shard record.ShardID, key string, data ...string) {
	w.t.Helper()
	entries := make([]shardlog.Entry, len(data))
	for i, d := range data {
		entries[i] = shardlog.Entry{Key: key, Data: []byte(d)}
	}
	results, err := w.log.Append(context.Background(), []shardlog.Run{{Shard: shard, Entries: entries}}, nil)
	w.must(err)
	w.must(results[0].Err)
}

// numbered returns n data of size bytes each, which tell their number.
func numbered(n, size int) []string {
	data := make([]string, n)
	for i := range data {
		data[i] = fmt.Sprintf("%08d", i) + strings.Repeat("x", size-8)
	}
	return data
}

// running is a delivery under way.
type running struct {
	*Delivery
	t      testing.TB
	cancel context.CancelFunc
	result chan error
}

// start makes a delivery and runs it.
func (w *world) start() *running {
	w.t.Helper()
	d, err := New(context.Background(), w.cfg)
	w.must(err)
	return w.run(d)
}

// run runs a delivery beside the test.
func (w *world) run(d *Delivery) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Delivery: d, t: w.t, cancel: cancel, result: make(chan error, 1)}
	go func() { r.result <- d.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-d.ended })
	return r
}

// stop ends the delivery as SIGTERM does, and returns what Run returns.
func (r *running) stop() error {
	r.cancel()
	return r.wait()
}

func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(patience):
		r.t.Fatal("the delivery does not end")
		return nil
	}
}

func (r *running) drain() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		r.t.Fatalf("drain: %v", err)
	}
}

// deliverAll runs a delivery until everything is delivered.
func (w *world) deliverAll() Stats {
	w.t.Helper()
	r := w.start()
	r.drain()
	stats := r.Stats()
	w.must(r.stop())
	return stats
}

// crash loses what is not synced, and opens what is left.
func (w *world) crash() {
	w.t.Helper()
	w.fs.Freeze()
	w.close()
	w.fs = w.fs.Crash(rand.New(rand.NewPCG(1, 1)), 0)
	w.open()
}

// restart closes the files and opens them again.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

func (w *world) audit() *Report {
	w.t.Helper()
	id := ID{Pipeline: w.cfg.Pipeline, Sink: w.cfg.Name, Incarnation: w.cfg.Source.Incarnation}
	report, err := Audit(w.state, id, w.log.Shards(), w.fs, w.cfg.Spool)
	w.must(err)
	return report
}

// holds checks the durable ledger and returns its sum.
func (w *world) holds() Counts {
	w.t.Helper()
	report := w.audit()
	if len(report.Problems) > 0 {
		w.t.Fatalf("the ledger does not hold: %v", report.Problems)
	}
	return report.Total
}

// spooled lists the spool directory.
func (w *world) spooled() []string {
	entries, err := w.fs.ReadDir(spoolDir)
	w.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("it never happens that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// byKey groups outputs by their key; the key bad has no group.
type byKey struct{}

func (byKey) Group(dst []byte, out *stage.Out) ([]byte, error) {
	if out.Key == "bad" {
		return dst, fault.New(fault.Permanent, "test.no_group", "no group")
	}
	return append(dst, out.Key...), nil
}

func (byKey) Prefix(group string, _ time.Time) (string, error) { return group + "/", nil }

// toKeys turns a record into one output for each word of its data: a group and, after a colon, how many bytes it has. A
// record without words is dropped, and fail fails.
type toKeys struct{}

func (toKeys) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for i := range in.Records {
		res := stage.Result{First: len(out.Outs)}
		for word := range strings.FieldsSeq(string(in.Records[i].Data)) {
			var n int
			group, size, _ := strings.Cut(word, ":")
			_, _ = fmt.Sscan(size, &n)
			body := fmt.Sprintf("%d.%d.%d", in.Records[i].Shard, in.Records[i].Seq, res.N)
			body += strings.Repeat("x", max(0, n-len(body)))
			out.Outs = append(out.Outs, stage.Out{Parent: i, Key: strings.Clone(group), Data: out.Arena.Bytes([]byte(body))})
			res.N++
		}
		switch {
		case string(in.Records[i].Data) == "fail":
			out.Outs = out.Outs[:res.First]
			res = stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: "test.failed", Reason: "told to"}
		case res.N == 0:
			res = stage.Result{Status: stage.Dropped}
		}
		out.Results = append(out.Results, res)
	}
	return nil
}

func (toKeys) Close(context.Context) error { return nil }

// objects is a store with conditional puts.
type objects struct {
	place string
	// before, if set, is called before a put takes effect; its error is the put's.
	before func(ctx context.Context, c *Chunk) error

	mu     sync.Mutex
	bodies map[string][]byte
	chunks []Chunk // as they were put, without Open
}

var errDown = fault.New(fault.Unavailable, "test.down", "the sink is down")

func (o *objects) Put(ctx context.Context, c *Chunk) error {
	o.mu.Lock()
	before := o.before
	o.mu.Unlock()
	if before != nil {
		if err := before(ctx, c); err != nil {
			return err
		}
	}
	body, err := c.Open()
	if err != nil {
		return err
	}
	p, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if have, ok := o.bodies[c.Key]; ok {
		if !bytes.Equal(have, p) {
			return ConflictError(o.place, c.Key, "?", c.ID)
		}
		return nil
	}
	if o.bodies == nil {
		o.bodies = map[string][]byte{}
	}
	o.bodies[c.Key] = p
	chunk := *c
	chunk.Open = nil
	o.chunks = append(o.chunks, chunk)
	return nil
}

func (o *objects) Close(context.Context) error { return nil }

func (o *objects) Destination() Destination {
	return Destination{Kind: "memory", Config: json.RawMessage(fmt.Sprintf("%q", o.place))}
}

// on sets what happens before a put.
func (o *objects) on(before func(ctx context.Context, c *Chunk) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.before = before
}

func (o *objects) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.bodies)
}

// contents returns the uncompressed objects by key.
func (o *objects) contents(t testing.TB) map[string]string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]string{}
	for key, body := range o.bodies {
		if strings.HasSuffix(key, ".gz") {
			zr, err := gzip.NewReader(bytes.NewReader(body))
			if err == nil {
				body, err = io.ReadAll(zr)
			}
			if err != nil {
				t.Fatalf("object %s: %v", key, err)
			}
		}
		out[key] = string(body)
	}
	return out
}

// lines returns the lines of all objects in the order of the objects' keys.
func (o *objects) lines(t testing.TB) []string {
	t.Helper()
	all := o.contents(t)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, strings.Split(strings.TrimSuffix(all[key], "\n"), "\n")...)
	}
	return out
}

// wantLines checks that the objects have exactly these lines, in any order.
func (o *objects) wantLines(t testing.TB, want []string) {
	t.Helper()
	got := slices.Sorted(slices.Values(o.lines(t)))
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %d lines, want %d; missing %.300q, too much %.300q", o.place, len(got), len(want), less(want, got), less(got, want))
	}
}

// less returns what a has more often than b.
func less(a, b []string) []string {
	n := map[string]int{}
	for _, s := range b {
		n[s]++
	}
	var out []string
	for _, s := range a {
		if n[s]--; n[s] < 0 {
			out = append(out, s)
		}
	}
	return out
}

// testdata returns a file of this directory's testdata.
func testdata(t testing.TB, name string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

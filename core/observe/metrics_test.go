package observe

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/vfs"
)

var update = flag.Bool("update", false, "write the golden files")

// page returns leat's own lines of the metrics page.
func page(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	own := ""
	for line := range strings.Lines(w.Body.String()) {
		if regexp.MustCompile(`^(# (HELP|TYPE) )?leat_`).MatchString(line) {
			own += line
		}
	}
	return own
}

// fakeLog is a log that answers what a test wants.
type fakeLog struct {
	shardlog.Log
	err     error
	results []shardlog.RunResult
	records []record.Record
}

func (l *fakeLog) Close() error { return nil }
func (l *fakeLog) Err() error   { return l.err }
func (l *fakeLog) Size() int64  { return 4096 }
func (l *fakeLog) Shards() []shardlog.ShardState {
	return []shardlog.ShardState{{}, {Closed: time.Unix(1, 0)}, {}}
}
func (l *fakeLog) State(id record.ShardID) (shardlog.ShardState, bool) {
	return shardlog.ShardState{}, id < 10 // the others have expired
}
func (l *fakeLog) Append(context.Context, []shardlog.Run, *shardlog.Mark) ([]shardlog.RunResult, error) {
	return l.results, l.err
}
func (l *fakeLog) Read(_ context.Context, _ record.ShardID, from uint64, _ shardlog.ReadLimit, dst *record.Batch) (uint64, error) {
	dst.Records = append(dst.Records, l.records...)
	return from + uint64(len(l.records)), l.err
}
func (l *fakeLog) Scan(shardlog.Positions) (shardlog.Scanner, error) { return fakeScan{log: l}, nil }

type fakeScan struct {
	shardlog.Scanner
	log *fakeLog
}

func (s fakeScan) Next(ctx context.Context, limit shardlog.ReadLimit, dst *record.Batch) error {
	_, err := s.log.Read(ctx, 0, 0, limit, dst)
	return err
}

func TestMetricsPage(t *testing.T) {
	m := NewMetrics()
	s := m.Stream("birds")
	s.Incoming(0, 3, 300)
	s.Incoming(7, 2, 200)
	s.Appended(100*time.Microsecond, nil)
	s.Appended(0, fault.New(fault.Unavailable, "log.poisoned", "x"))
	s.Throttled(0)
	r := m.Reader("birds", "birds/archive")
	r.Read([]record.Record{{Key: "k", Data: []byte("data"), Arrived: time.Now().UnixNano()}}, time.Millisecond)
	r.Read(nil, time.Millisecond)
	for _, kind := range []string{"s3", "file"} {
		d := m.Delivery("birds", "archive", kind)
		d.Delivered(10, 1000, 100, 2*time.Second, false)
		d.Delivered(1, 10, 10, time.Second, true)
		d.Put(time.Millisecond, nil)
		d.Put(time.Millisecond, fault.New(fault.Throttled, "sink.s3.slow_down", "x"))
		d.DeadLetter("transform.failed")
		d.Expired(5)
		d.Holding(1, 2, 3, 4, 5)
	}
	m.Transform("birds", "csv-to-json").Call(time.Millisecond, 500, 2, nil)
	m.Transform("birds", "csv-to-json").Count("unknown_states", 3)
	m.Transform("birds", "csv-to-json").Call(time.Millisecond, 500, 0, fault.New(fault.Permanent, "wasm.trap", "x"))
	m.Transform("birds", "csv-to-json").Fuel(3000, 10)
	log := MeasureAppends(&fakeLog{err: fmt.Errorf("x: %w", shardlog.ErrFull)}, s)
	m.API("kinesis").Answered("PutRecords", "", 1000, 100, time.Millisecond)
	m.API("kinesis").Answered("PutRecords", "LimitExceededException", 10, 20, time.Millisecond)
	m.API("kinesis").Answered("", "UnknownOperationException", 0, 30, time.Millisecond)
	calls := m.Calls("birds")
	calls.PutRecord(time.Millisecond, 100, true)
	calls.PutRecord(time.Millisecond, 100, false)
	calls.PutRecords(time.Millisecond, 500, 1, 2, 4970)
	calls.GetRecords(time.Millisecond, 0, 10, 1000, time.Second)
	calls.GetRecordsFailed(time.Millisecond, 0, true)
	calls.Consumer("reader").Subscribed(true)
	calls.Consumer("reader").Subscribed(false)
	calls.Consumer("reader").Event(0, 5, 500, 2*time.Second)
	stopLedger := m.WatchLedger("birds", "archive", func() Ledger {
		return Ledger{In: 21, Delivered: 1, Dropped: 2, Dead: 3, Pending: 4, Expired: 5, Skipped: 6}
	})

	// Times differ from run to run; that they were counted does not.
	got := regexp.MustCompile(`(?m)^.*_bucket\{.*\n|^(\w+_sum.*|leat_\w+age_mill.*) [0-9].*$`).ReplaceAllString(page(t, m), "$1")
	golden := filepath.Join("testdata", "metrics.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}

	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	stopLedger()
	s.Forget()
	if left := page(t, m); strings.Contains(left, `stream="birds"`) || strings.Contains(left, "leat_ledger_records{") {
		t.Error("a stream that was forgotten, or a ledger that nobody watches, is still shown")
	}
}

func TestNilMetricsDoNothing(t *testing.T) {
	var m *Metrics
	m.Stream("x").Incoming(0, 1, 1)
	m.Stream("x").Appended(1, nil)
	m.Stream("x").Throttled(1)
	m.Stream("x").Forget()
	m.Reader("x", "y").Read(nil, 1)
	m.Delivery("x", "y", "s3").Delivered(1, 1, 1, 1, false)
	m.Delivery("x", "y", "s3").Put(1, nil)
	m.Delivery("x", "y", "s3").DeadLetter("x")
	m.Delivery("x", "y", "s3").Expired(1)
	m.Delivery("x", "y", "s3").Holding(1, 1, 1, 1, 1)
	m.Transform("x", "y").Call(1, 1, 1, nil)
	m.Transform("x", "y").Fuel(1, 1)
	m.API("x").Answered("y", "", 1, 1, 1)
	m.Calls("x").PutRecord(1, 1, true)
	m.Calls("x").PutRecords(1, 1, 1, 1, 1)
	m.Calls("x").GetRecords(1, 0, 1, 1, 1)
	m.Calls("x").GetRecordsFailed(1, 0, true)
	m.Calls("x").Consumer("y").Subscribed(true)
	m.Calls("x").Consumer("y").Event(0, 1, 1, 1)
	m.Calls("x").ForgetConsumer("y")
	m.Calls("x").ShardLevel(nil)
	m.WatchLedger("x", "y", nil)()
	log := &fakeLog{}
	if MeasureAppends(log, nil) != shardlog.Log(log) || MeasureReads(log, nil) != shardlog.Log(log) {
		t.Error("a log without metrics is wrapped")
	}
	if fsys := vfs.NewMem(); MeasureFS(fsys, nil) != vfs.FS(fsys) {
		t.Error("a file system without metrics is wrapped")
	}
}

func has(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	got := page(t, m)
	for _, line := range lines {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in:\n%s", line, got)
		}
	}
}

func TestMeasuredLogCountsWhatWasStored(t *testing.T) {
	m := NewMetrics()
	log := &fakeLog{results: []shardlog.RunResult{{}, {Err: shardlog.ErrShardClosed}}}
	measured := MeasureAppends(log, m.Stream("s"))
	runs := []shardlog.Run{
		{Shard: 1, Entries: []shardlog.Entry{{Key: "ab", Data: []byte("cde")}, {Data: []byte("f")}}},
		{Shard: 2, Entries: []shardlog.Entry{{Data: []byte("lost")}}},
	}
	if _, err := measured.Append(t.Context(), runs, nil); err != nil {
		t.Fatal(err)
	}
	log.err = errors.New("x")
	if _, err := measured.Append(t.Context(), runs, nil); err == nil {
		t.Fatal("the error is gone")
	}
	has(t, m,
		`leat_incoming_bytes_total{stream="s"} 6`,
		`leat_incoming_records_total{stream="s"} 2`,
		`leat_log_append_failures_total{code="internal",stream="s"} 1`,
		`leat_log_append_seconds_count{stream="s"} 1`)
}

func TestMeasuredLogCountsWhatWasRead(t *testing.T) {
	m := NewMetrics()
	old := time.Now().Add(-time.Hour).UnixNano()
	log := &fakeLog{records: []record.Record{{Data: []byte("abc"), Arrived: old}, {Data: []byte("d"), Arrived: old}}}
	measured := MeasureReads(log, m.Reader("s", "r"))
	batch := record.NewBatch()
	defer batch.Release()
	if _, err := measured.Read(t.Context(), 0, 1, shardlog.ReadLimit{}, batch); err != nil {
		t.Fatal(err)
	}
	scan, err := measured.Scan(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := scan.Next(t.Context(), shardlog.ReadLimit{}, batch); err != nil {
		t.Fatal(err)
	}
	has(t, m, `leat_get_records_bytes_total{reader="r",stream="s"} 8`, `leat_get_records_records_total{reader="r",stream="s"} 4`)
	if !regexp.MustCompile(`leat_iterator_age_milliseconds\{.*\} 3\.6\d*e\+06\n`).MatchString(page(t, m)) {
		t.Errorf("the age of an hour is not shown:\n%s", page(t, m))
	}
	log.records = nil
	if err := scan.Next(t.Context(), shardlog.ReadLimit{}, batch); err != nil {
		t.Fatal(err)
	}
	has(t, m, `leat_iterator_age_milliseconds{reader="r",stream="s"} 0`)
}

func TestMeasuredFileSystem(t *testing.T) {
	m := NewMetrics()
	fsys := MeasureFS(vfs.NewErrors(vfs.NewMem(), vfs.AtOp(2, vfs.Fault{Err: errors.New("x")}, vfs.OpSync)), m)
	f, err := fsys.Create("/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 100), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err == nil {
		t.Fatal("the second sync did not fail")
	}
	has(t, m, "leat_fsync_seconds_count 1", "leat_disk_write_seconds_count 1", "leat_disk_written_bytes_total 100",
		`leat_disk_failures_total{op="sync"} 1`)
}

func TestDeadLetterCodesAreBounded(t *testing.T) {
	m := NewMetrics()
	d := m.Delivery("p", "s", "file")
	for i := range 1000 {
		d.DeadLetter(fmt.Sprintf("code%d", i))
	}
	d.DeadLetter("code1")
	d.DeadLetter(strings.Repeat("x", 1000))
	got := page(t, m)
	if n := strings.Count(got, "leat_delivery_dead_letters_total{"); n != maxCodes+1 {
		t.Errorf("%d series, want %d", n, maxCodes+1)
	}
	has(t, m, `leat_delivery_dead_letters_total{code="code1",kind="file",pipeline="p",sink="s"} 2`,
		fmt.Sprintf(`leat_delivery_dead_letters_total{code="other",kind="file",pipeline="p",sink="s"} %d`, 1000-maxCodes+1))
}

func BenchmarkIncoming(b *testing.B) {
	s := NewMetrics().Stream("s")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Incoming(1, 1, 1)
		}
	})
}

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what should happen at once.
const patience = time.Minute

// upper makes capitals, drops "drop" and fails "fail".
type upper struct{}

func (upper) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	for i := range in.Records {
		switch data := in.Records[i].Data; string(data) {
		case "drop":
			out.Results = append(out.Results, stage.Result{Status: stage.Dropped})
		case "fail":
			out.Results = append(out.Results, stage.Result{Status: stage.Failed, Code: "test.bad", Reason: "it is bad"})
		default:
			out.Results = append(out.Results, stage.Result{First: len(out.Outs), N: 1})
			out.Outs = append(out.Outs, stage.Out{Parent: i, Key: in.Records[i].Key, Data: out.Arena.Bytes(bytes.ToUpper(data))})
		}
	}
	return nil
}

func (upper) Close(context.Context) error { return nil }

// version is a version of a pipeline with the sinks a and b.
func version(stages ...string) *engine.Pipeline {
	var links []stage.Link
	for _, name := range stages {
		links = append(links, stage.Link{Name: name, Transform: upper{}})
	}
	c := stage.NewChain(links...)
	return &engine.Pipeline{Name: "p", Deliveries: []delivery.Config{{Name: "a", Chain: c}, {Name: "b", Chain: c.Share()}}}
}

// pass sends records through the run of a sink.
func pass(t *testing.T, p *engine.Pipeline, sink int, data ...string) {
	t.Helper()
	in := record.NewBatch()
	defer in.Release()
	for i, d := range data {
		in.Add(record.Record{Shard: 3, Seq: uint64(i + 1), Key: "k", Data: []byte(d)})
	}
	var f stage.Final
	defer f.Release()
	if err := p.Deliveries[sink].Chain.Run(t.Context(), in, &f); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Listen(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// looker taps and keeps what it gets.
type looker struct {
	t    *testing.T
	stop context.CancelFunc
	err  chan error

	mu     sync.Mutex
	events []string
}

func look(t *testing.T, dir string, r Request) *looker {
	t.Helper()
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	l := &looker{t: t, stop: stop, err: make(chan error, 1)}
	go func() {
		l.err <- c.Tap(ctx, r, func(e *Event) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events = append(l.events, brief(e))
			return nil
		})
	}()
	return l
}

func brief(e *Event) string {
	if e.Event != EventRecord {
		return strings.TrimSpace(e.Event + " " + e.Message)
	}
	text := fmt.Sprint("record ", e.Position)
	if e.In != nil {
		text += " " + string(e.In.Data)
	}
	if e.Fate != nil {
		text += " " + e.Status + e.Code
		for _, o := range e.Out {
			text += " " + string(o.Data)
		}
	}
	return text
}

// await waits for an event.
func (l *looker) await(want string) {
	l.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		ok := slices.Contains(l.events, want)
		l.mu.Unlock()
		if ok {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Fatalf("no event %q among %q", want, l.events)
}

func (l *looker) ended() error {
	l.t.Helper()
	defer l.stop()
	select {
	case err := <-l.err:
		return err
	case <-time.After(patience):
		l.t.Fatal("the tap does not end")
		return nil
	}
}

func TestATapGoesThroughVersionsAndEndsWithThePipeline(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	running := s.Add("p")
	first := version("one", "two")
	running.Starts(first)
	l := look(t, dir, Request{Pipeline: "p", Stage: "one"})
	l.await("watching")
	pass(t, first, 1, "other") // another sink's run
	pass(t, first, 0, "x", "drop", "fail")
	l.await("record 1 x ok X")
	l.await("record 2 drop dropped")
	l.await("record 3 fail failedtest.bad")
	running.Stops(nil)
	l.await("stopped")
	second := version("zero", "one")
	running.Starts(second)
	l.await("started")
	pass(t, second, 0, "again")
	l.await("record 1 AGAIN ok AGAIN") // behind the stage zero
	running.Stops(errors.New("the disk is gone"))
	l.await("stopped the disk is gone")
	running.Remove()
	if err := l.ended(); err != nil {
		t.Error(err)
	}
	l.await("ended the pipeline has ended: the disk is gone")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.events, func(e string) bool { return strings.Contains(e, "other") }) {
		t.Errorf("a record is shown that went to another sink: %q", l.events)
	}
}

func TestATapEndsAtItsLimitAndWithLeat(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	v := version("one")
	s.Add("p").Starts(v)
	limited := look(t, dir, Request{Pipeline: "p", Side: Out, Sink: "b", Limit: 2})
	open := look(t, dir, Request{Pipeline: "p", Side: In})
	limited.await("watching")
	open.await("watching")
	pass(t, v, 1, "a", "b", "c")
	if err := limited.ended(); err != nil {
		t.Error(err)
	}
	limited.await("record 2 ok B")
	limited.await("ended that is all that was asked for: --limit 2")
	pass(t, v, 0, "last")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := open.ended(); err != nil {
		t.Error(err)
	}
	open.await("record 1 last")
	open.await("ended leat was stopped")
}

// flushing answers nobody, and calls a function at the first flush.
type flushing struct {
	*httptest.ResponseRecorder
	first func()
}

func (f *flushing) Flush() {
	if f.first != nil {
		f.first()
		f.first = nil
	}
}

// The limit holds also where it is reached while one version gives way to another.
func TestATapEndsAtItsLimitBetweenVersions(t *testing.T) {
	v := version("one")
	gone := make(chan struct{})
	close(gone)
	for range 20 { // whether the record or the end is seen first is chance
		w := &flushing{httptest.NewRecorder(), func() { pass(t, v, 0, "x", "y") }}
		out := newTapWriter(w, Request{Limit: 1})
		at := target{delivery: &v.Deliveries[0], side: stage.SideOut}
		if out.watch(t.Context(), at, gone, nil) ||
			!strings.HasSuffix(w.Body.String(), `"message":"that is all that was asked for: --limit 1"}`+"\n") {
			t.Fatalf("goes on after %s", w.Body)
		}
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	defer s.Close()
	s.Add("p").Starts(version("parse", "filter"))
	bare := version()
	bare.Name = "bare"
	s.Add("bare").Starts(bare)
	for _, test := range []struct {
		r          Request
		code, hint string
	}{
		{Request{Pipeline: "barr"}, CodeNoPipeline, `did you mean "bare"?`},
		{Request{Pipeline: "p", Stage: "pars"}, CodeNoStage, `did you mean "parse"?`},
		{Request{Pipeline: "p", Sink: "z"}, CodeNoSink, "possible: a, b"},
		{Request{Pipeline: "p", Side: "up"}, CodeBadRequest, "sides are"},
		{Request{Pipeline: "p", Side: Shadow}, CodeBadRequest, "name it: p/parse|filter"},
		{Request{Pipeline: "p", Side: Shadow, Stage: "parse"}, CodeNoShadow, ""},
		{Request{Pipeline: "bare", Stage: "x"}, CodeNoStage, "--side in"},
		{Request{Pipeline: "bare"}, CodeNoStage, "--side in"},
		{Request{Pipeline: "p", Rate: -1}, CodeBadRequest, ""},
		{Request{Pipeline: "p", Where: "a ="}, CodeBadRequest, "compare with =="},
		{Request{Pipeline: "p", Where: "a >"}, CodeBadRequest, "status >= 500"},
	} {
		err := look(t, dir, test.r).ended()
		if fault.CodeOf(err) != test.code || fault.ClassOf(err) != fault.Permanent || !strings.Contains(fault.HintOf(err), test.hint) {
			t.Errorf("%+v: %v", test.r, err)
		}
	}
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Pipelines(t.Context())
	if text, _ := json.Marshal(all); err != nil || string(text) != `[{"pipeline":"bare","running":true,"stages":[],"sinks":["a","b"]},`+
		`{"pipeline":"p","running":true,"stages":[{"name":"parse"},{"name":"filter"}],"sinks":["a","b"]}]` {
		t.Errorf("%s, %v", text, err)
	}
}

// A client that does not read holds neither the pipeline nor the end of leat back.
func TestAClientThatDoesNotReadHoldsNothingBack(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	v := version("one")
	s.Add("p").Starts(v)
	var conns []net.Conn
	for i := range maxTaps {
		conn, err := net.Dial("unix", socketPath(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		r := Request{Pipeline: "p", Side: Diff}
		fmt.Fprintf(conn, "GET /v1/tap?%s HTTP/1.1\r\nHost: leat\r\n\r\n", r.query().Encode())
		for end := time.Now().Add(patience); len(s.taps) <= i && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	if err := look(t, dir, Request{Pipeline: "p"}).ended(); fault.CodeOf(err) != CodeTooMany || fault.ClassOf(err) != fault.Throttled {
		t.Errorf("one more: %v", err)
	}
	big := strings.Repeat("x", 100_000)
	began := time.Now()
	for range 12 {
		pass(t, v, 0, big, big)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("the pipeline took %v", took)
	}
	began = time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > farewell+patience/2 {
		t.Errorf("the end took %v", took)
	}
	for _, c := range conns {
		c.Close()
	}
}

func TestWhatIsNotShownIsCounted(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	v := version("one")
	s.Add("p").Starts(v)
	l := look(t, dir, Request{Pipeline: "p", Rate: 1})
	l.await("watching")
	pass(t, v, 0, "a", "b", "c", "d")
	l.await("record 1 a ok A")
	l.await("skipped")
	var out, notes bytes.Buffer
	p := Printer{Out: &out, Notes: &notes, side: Diff}
	for _, n := range []uint64{12_345, 1} {
		if err := p.Print(&Event{Event: EventSkipped, Records: n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Print(&Event{Event: EventEnded, Message: "the end"}); err != nil {
		t.Fatal(err)
	}
	if notes.String() != "-- 12,345 records not shown\n-- 1 record not shown\n-- the end\n" {
		t.Errorf("%q", notes.String())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := l.ended(); err != nil {
		t.Error(err)
	}
}

func TestATapShowsOnlyWhatItIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	v := version("one")
	s.Add("p").Starts(v)
	l := look(t, dir, Request{Pipeline: "p", Where: `n > 1 || N == 5`, Rate: 2})
	l.await("watching")
	pass(t, v, 0, `no json`, `{"n":1}`, `{"n":2}`, `{"n":0}`, `{"n":5}`, `{"n":6}`, `drop`)
	l.await(`record 3 {"n":2} ok {"N":2}`)
	l.await(`record 5 {"n":5} ok {"N":5}`)
	l.await("skipped")
	limited := look(t, dir, Request{Pipeline: "p", Where: `N == 1`, Side: Out, Limit: 1})
	limited.await("watching")
	pass(t, v, 0, `{"n":0}`, `{"n":1}`, `{"n":1}`)
	if err := limited.ended(); err != nil {
		t.Error(err)
	}
	limited.await(`record 2 ok {"N":1}`)
	if err := look(t, dir, Request{Pipeline: "p", Where: "n >"}).ended(); fault.CodeOf(err) != CodeBadRequest || !strings.Contains(err.Error(), "--where") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := l.ended(); err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if strings.HasPrefix(e, "record 1") || strings.HasPrefix(e, "record 4") || strings.HasPrefix(e, "record 6") {
			t.Errorf("shown: %s", e)
		}
	}
}

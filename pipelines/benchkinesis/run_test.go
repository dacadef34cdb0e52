package benchkinesis

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/kinesis"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
)

// The test's own program stands in for leat's when it is called as that is: leat bench kinesis-bare --addr A --dir D.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bench" && os.Args[2] == BareCommand {
		l, err := net.Listen("tcp", os.Args[4])
		if err != nil {
			panic(err)
		}
		_ = ServeBare(context.Background(), l, os.Args[6]) // it is ended by a signal
		return
	}
	os.Exit(m.Run())
}

// serveAPI serves the API, whose operations change may replace, without limits.
func serveAPI(t *testing.T, change func(ops map[string]wire.Handler)) (url string) {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(vfs.OS(), filepath.Join(dir, "state"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := stream.Open(vfs.OS(), filepath.Join(dir, "streams"), st, stream.Options{Log: disk.Options{Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	api, err := kinesis.New(kinesis.Config{Streams: streams, State: st})
	if err != nil {
		t.Fatal(err)
	}
	service := api.Service()
	if change != nil {
		change(service.Operations)
	}
	server, err := wire.NewServer(wire.Config{Services: []wire.Service{service}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(server.Shutdown(ctx), <-served, api.Close(), streams.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func options(t *testing.T, url string) Options {
	return Options{
		Endpoint: url, Region: "us-east-1", Stream: "bench", Shards: 3, Time: 100 * time.Millisecond, Rounds: 1, Dir: t.TempDir(),
		Leat: func(args ...string) *exec.Cmd { return exec.Command(os.Args[0], args...) },
	}
}

func TestAllFiguresAreMeasuredAndVerified(t *testing.T) {
	o := options(t, serveAPI(t, nil))
	o.Compare, o.Rounds = true, 2
	rows, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.Figure+" "+r.Program)
		compared := strings.HasPrefix(r.Figure, "put") && r.Program == "endpoint"
		if r.Records <= 0 || r.MB <= 0 || r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.P999 || r.Throttled != 0 || r.OfBare > 0 != compared {
			if r.Figure != "subscribe" || r.Records <= 0 { // events may come before their ack is read
				t.Errorf("row %+v", r)
			}
		}
	}
	want := []string{"put-records endpoint", "put-records bare", "put-record endpoint", "put-record bare", "get-records endpoint", "subscribe endpoint"}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Each server keeps what it has acked but for one record, in its own way.
func TestVerificationFindsWhatAServerDoesWrong(t *testing.T) {
	// nth calls instead once, for the n-th request.
	nth := func(n int64, h, instead wire.Handler) wire.Handler {
		var count atomic.Int64
		return func(ctx context.Context, r *wire.Request) (any, error) {
			if count.Add(1) == n {
				return instead(ctx, r)
			}
			return h(ctx, r)
		}
	}
	for name, mutant := range map[string]struct {
		change func(ops map[string]wire.Handler)
		says   string
	}{
		"an acked record is lost": {func(ops map[string]wire.Handler) {
			put := ops["PutRecord"]
			var last atomic.Value
			ops["PutRecord"] = nth(100, func(ctx context.Context, r *wire.Request) (any, error) {
				out, err := put(ctx, r)
				if err == nil {
					last.Store(out)
				}
				return out, err
			}, func(context.Context, *wire.Request) (any, error) { return last.Load(), nil })
		}, "is there"},
		"a record is stored twice": {func(ops map[string]wire.Handler) {
			put := ops["PutRecord"]
			ops["PutRecord"] = nth(100, put, func(ctx context.Context, r *wire.Request) (any, error) {
				again := *r
				again.Body = append([]byte(nil), r.Body...)
				if _, err := put(ctx, &again); err != nil {
					return nil, err
				}
				return put(ctx, r)
			})
		}, "is there"},
		"a byte is changed": {func(ops map[string]wire.Handler) {
			put := ops["PutRecord"]
			ops["PutRecord"] = nth(100, put, func(ctx context.Context, r *wire.Request) (any, error) {
				at := strings.Index(string(r.Body), `"Data":"`) + 700
				r.Body[at] = map[bool]byte{true: 'A', false: 'B'}[r.Body[at] != 'A']
				return put(ctx, r)
			})
		}, "bytes that were not put"},
		"an event is lost": {func(ops map[string]wire.Handler) {
			subscribe := ops["SubscribeToShard"]
			ops["SubscribeToShard"] = nth(3, subscribe, func(ctx context.Context, r *wire.Request) (any, error) {
				out, err := subscribe(ctx, r)
				if err != nil {
					return nil, err
				}
				whole := out.(*wire.EventStream)
				return &wire.EventStream{Run: func(ctx context.Context, send wire.Send) error {
					n := 0
					return whole.Run(ctx, func(event string, payload any) error {
						if n++; n == 4 {
							return nil
						}
						return send(event, payload)
					})
				}}, nil
			})
		}, "has come after"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), options(t, serveAPI(t, mutant.change)))
			if err == nil || !strings.Contains(err.Error(), mutant.says) {
				t.Errorf("the benchmark says %v, want %q", err, mutant.says)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	exists := options(t, serveAPI(t, nil))
	p := &program{stream: exists.Stream}
	if p.at, err = newEndpoint(exists.Endpoint, &exists); err != nil {
		t.Fatal(err)
	}
	if err := p.create(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	refusing := serveAPI(t, func(ops map[string]wire.Handler) {
		ops["CreateStream"] = func(context.Context, *wire.Request) (any, error) {
			return nil, &wire.Error{Code: "UnrecognizedClientException", Message: "The security token is invalid.", Status: http.StatusBadRequest}
		}
	})
	for _, c := range []struct {
		url, code, hint string
	}{
		{down, "bench.endpoint_down", "leat serve"},
		{"127.0.0.1:4567", "bench.endpoint", "http://"},
		{exists.Endpoint, "bench.stream_exists", "--stream"},
		{refusing, "bench.credentials", "AWS_ACCESS_KEY_ID"},
	} {
		_, err := Run(t.Context(), options(t, c.url))
		if fault.CodeOf(err) != c.code || !strings.Contains(fault.HintOf(err), c.hint) {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

package lambda

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

// asHandler makes this test program a handler.
const asHandler = "LEAT_TEST_LAMBDA_HANDLER"

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) != "" {
		lambdatest.Main(os.Stdin, os.Stdout)
		return
	}
	if seed := os.Getenv(asChaos); seed != "" {
		chaos(os.Stdin, os.Stdout, seed)
		return
	}
	if os.Getenv(asFunction) != "" {
		fmt.Fprintln(os.Stderr, function())
		os.Exit(1)
	}
	if dir := os.Getenv(asLeat); dir != "" {
		fmt.Fprintln(os.Stderr, leat(dir))
		os.Exit(1)
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // tests here wait more than they work
	goleak.VerifyTestMain(m)
}

// transport is one way to reach the handler of lambdatest.
type transport struct {
	name string
	cfg  func(t testing.TB) Config
}

var transports = []transport{
	{"child stream", func(t testing.TB) Config { return childConfig(Stream) }},
	{"child once", func(t testing.TB) Config { return childConfig(Once) }},
	{"wasi stream", func(t testing.TB) Config { return wasiConfig(t, Stream) }},
	{"wasi once", func(t testing.TB) Config { return wasiConfig(t, Once) }},
	{"http", func(t testing.TB) Config { return httpConfig(t) }},
	{"emulator", func(t testing.TB) Config { return emulatorConfig(t) }},
}

// defaults are those of the tags.
func defaults() Config {
	return Config{
		Mode: Stream, Workers: 2, Timeout: setting.Duration(60 * time.Second), Buffer: 1 << 20, Retries: 3, WhenUnavailable: Wait, Memory: 64 << 20,
	}
}

func childConfig(mode string) Config {
	c := defaults()
	c.Command, c.Mode = []string{os.Args[0]}, mode
	c.Env = setting.SecretPairs{
		{Name: asHandler, Value: setting.PlainSecret("1", "")},
		{Name: "GORACE", Value: setting.PlainSecret("atexit_sleep_ms=0", "")}, // a program with the race detector takes a second to end
	}
	return c
}

func wasiConfig(t testing.TB, mode string) Config {
	c := defaults()
	c.WASI, c.Mode = handlerModule(t), mode
	return c
}

var moduleOnce struct {
	sync.Once
	dir string
	err error
}

// handlerModule builds the handler as a WASI program.
func handlerModule(t testing.TB) string {
	t.Helper()
	tool := testenv.Program(t, "go", "https://go.dev/dl")
	path := filepath.Join(os.TempDir(), fmt.Sprintf("leat-lambdatest-%d.wasm", os.Getpid()))
	moduleOnce.Do(func() {
		cmd := exec.Command(tool, "build", "-o", path, "./testdata/handler")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			moduleOnce.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if moduleOnce.err != nil {
		t.Fatal(moduleOnce.err)
	}
	return path
}

// httpConfig serves the handler as the runtime interface emulator answers, of which transforms/examples has a test.
func httpConfig(t testing.TB) Config {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		response, end := lambdatest.Respond(body)
		switch end := end.(type) {
		case lambdatest.Exit:
			w.WriteHeader(http.StatusBadGateway)
			response = fmt.Appendf(nil, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: exit status %d"}`, end)
		case lambdatest.Hang, lambdatest.Spin:
			response = []byte("Task timed out after 3.00 seconds")
		}
		_, _ = w.Write(response) // the client may have had enough
	}))
	t.Cleanup(server.Close)
	c := defaults()
	c.URL = server.URL + "/2015-03-31/functions/function/invocations"
	return c
}

func open(t testing.TB, c Config, env Env) *Transform {
	t.Helper()
	env.Pipeline, env.Stage = "birds", "handler"
	tr, err := c.Open(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func batch(data ...string) *record.Batch {
	b := record.NewBatch()
	for i, d := range data {
		b.Add(record.Record{Shard: 4, Seq: uint64(10 + i), Arrived: 1_700_000_000_123_456_789, Key: fmt.Sprint("key ", i), Data: []byte(d)})
	}
	return b
}

// apply runs records through a chain with the transform alone.
func apply(t testing.TB, tr *Transform, data ...string) *stage.Final {
	t.Helper()
	f := new(stage.Final)
	if err := stage.NewChain(stage.Link{Name: "handler", Transform: tr}).Run(context.Background(), batch(data...), f); err != nil {
		t.Fatal(err)
	}
	return f
}

// wait runs records through a chain for as often as the handler cannot be asked, and tells each time.
func wait(t testing.TB, tr *Transform, refused func(error), data ...string) *stage.Final {
	t.Helper()
	chain, in, f := stage.NewChain(stage.Link{Name: "handler", Transform: tr}), batch(data...), new(stage.Final)
	for err := chain.Run(t.Context(), in, f); err != nil; err = chain.Run(t.Context(), in, f) {
		if fault.ClassOf(err) != fault.Unavailable {
			t.Fatal(err)
		}
		refused(err)
	}
	return f
}

// show is what became of each root.
func show(f *stage.Final) []string {
	var all []string
	for _, r := range f.Roots {
		switch {
		case r.Fail != nil:
			all = append(all, "!"+r.Fail.Code)
		case r.N == 0:
			all = append(all, "-")
		default:
			all = append(all, string(f.Outs[r.First].Data))
		}
	}
	return all
}

// Each case stands between good records, which must come through it in order.
func TestEveryRuleOfTheContractHoldsOverEveryTransport(t *testing.T) {
	cases := []struct{ data, want, http string }{
		{"plain", "PLAIN", ""},
		{"drop", "-", ""},
		{"fail", "!lambda.processing_failed", ""},
		{"missing", "!lambda.record_missing", ""},
		{"null", "!lambda.record_null", ""},
		{"no id", "!lambda.record_id_missing", ""},
		{"id a number", "!lambda.record_id_missing", ""},
		{"not an object", "!lambda.record_id_missing", ""},
		{"unknown id", "!lambda.record_id_unknown", ""},
		{"twice", "!lambda.record_id_duplicate", ""},
		{"extra", "!lambda.record_id_unknown", ""},
		{"bad result", "!lambda.unknown_result", ""},
		{"result a number", "!lambda.unknown_result", ""},
		{"no result", "!lambda.unknown_result", ""},
		{"no data", "!lambda.data_missing", ""},
		{"data null", "!lambda.data_missing", ""},
		{"data a number", "!lambda.data_not_base64", ""},
		{"bad base64", "!lambda.data_not_base64", ""},
		{"no padding", "!lambda.data_not_base64", ""},
		{"escaped", "\xff\xff", ""},
		{"empty", "", ""},
		{"keys", "k", ""},
		{"keys null", "k", ""},
		{"keys enough", "k", ""},
		{"keys a number", "!lambda.partition_keys_not_text", ""},
		{"keys a list", "!lambda.partition_keys_not_text", ""},
		{"keys many", "!lambda.too_many_partition_keys", ""},
		{"keys long", "!lambda.partition_key_too_long", ""},
		{"keys long name", "!lambda.partition_key_too_long", ""},
		{"reverse", "REVERSE", ""},
		{"not json", "!lambda.not_json", ""},
		{"nothing", "!lambda.not_json", ""},
		{"cut off", "!lambda.not_json", ""},
		{"deep", "!lambda.not_json", ""},
		{"a list", "!lambda.bad_response", ""},
		{"no records", "!lambda.bad_response", ""},
		{"records null", "!lambda.bad_response", ""},
		{"error", "!lambda.function_error", ""},
		{"largest", "LARGEST", ""},
		{"too large by one", "!lambda.response_too_large", ""},
		{"huge", "!lambda.response_too_large", ""},
		{"exit", "!lambda.exited", "!lambda.function_error"},
		{"hang", "!lambda.timeout", ""},
		{"spin", "!lambda.timeout", ""},
	}
	for _, tp := range transports {
		t.Run(tp.name, func(t *testing.T) {
			t.Parallel()
			cfg := tp.cfg(t)
			patient, hasty := open(t, cfg, Env{}), open(t, cfg, Env{})
			if cfg.URL == "" {
				hasty.cfg.Timeout = setting.Duration(300 * time.Millisecond)
			}
			for _, c := range cases {
				want := c.want
				if (tp.name == "http" || tp.name == "emulator") && c.http != "" {
					want = c.http
				}
				tr, data, wants := patient, []string{"a", c.data, "b", "c"}, []string{"A", want, "B", "C"}
				if c.data == "hang" || c.data == "spin" {
					tr, data, wants = hasty, []string{c.data}, []string{want}
				}
				if c.data == "unknown id" || c.data == "no id" || c.data == "null" || c.data == "missing" || c.data == "twice" {
					data, wants = append(data, c.data, "d"), append(wants, want, "D")
				}
				f := apply(t, tr, data...)
				if got := show(f); strings.Join(got, "|") != strings.Join(wants, "|") {
					t.Errorf("%s: got %q, want %q", c.data, got, wants)
				}
				for i, r := range f.Roots {
					if r.Fail != nil && (string(r.Fail.Input.Data) != data[i] || r.Fail.Class != fault.Permanent || r.Fail.Reason == "") {
						t.Errorf("%s: the failure is %+v", c.data, r.Fail)
					}
				}
			}
			f := apply(t, patient, "keys")
			if got := fmt.Sprint(f.Outs[0].Partition); got != "[{day é 1} {tenant a}]" {
				t.Errorf("partition keys are %s", got)
			}
			if f.Outs[0].Key != "key 0" {
				t.Errorf("the key is %q", f.Outs[0].Key)
			}
		})
	}
}

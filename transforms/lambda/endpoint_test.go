package lambda

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

// serve opens a transform that asks a server of fn, without retries.
func serve(t *testing.T, fn http.HandlerFunc) *Transform {
	t.Helper()
	server := httptest.NewServer(fn)
	t.Cleanup(server.Close)
	c := defaults()
	c.URL, c.Retries = server.URL+"/2015-03-31/functions/function/invocations", 0
	return open(t, c, Env{})
}

// handle answers as a handler that works.
func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	response, _ := lambdatest.Respond(body)
	_, _ = w.Write(response)
}

func TestAnswersOfAnEndpointAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
		body   string
		class  fault.Class
		code   string
		words  string
	}{
		{429, "", `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`, fault.Throttled, CodeThrottled, "429 Too Many Requests: Rate Exceeded."},
		{500, "", `{"Message":"Service error."}`, fault.Unavailable, CodeUnavailable, "500 Internal Server Error: Service error."},
		{502, "", "<html>bad gateway", fault.Unavailable, CodeUnavailable, "502 Bad Gateway: <html>bad gateway"},
		{503, "", "", fault.Unavailable, CodeUnavailable, "503 Service Unavailable"},
		{504, "", "", fault.Unavailable, CodeUnavailable, "504"},
		{401, "", "", fault.Unauthorized, CodeUnauthorized, "401"},
		{403, "", `{"message":"Missing Authentication Token"}`, fault.Unauthorized, CodeUnauthorized, "Missing Authentication Token"},
		{404, "", "404 page not found\n", fault.Unavailable, CodeUnavailable, "is the path of the URL right?"},
		{302, "", "", fault.Unavailable, CodeUnavailable, `follows no redirects; write the URL that answers, which may be "/elsewhere"`},
		{400, "", `{"message":"Could not parse request body into json"}`, fault.Permanent, CodeRequestRefused, "Could not parse"},
		{413, "", "", fault.Permanent, CodeRequestRefused, "413"},
		{200, "Unhandled", `{"errorMessage":"division by zero","errorType":"ZeroDivisionError","stackTrace":[]}`, fault.Permanent, CodeFunctionError, "ZeroDivisionError: division by zero"},
		{200, "Unhandled", `{"records":[]}`, fault.Permanent, CodeFunctionError, "records"},
		{502, "", `{"errorType":"Runtime.ExitError","errorMessage":"exit status 3"}`, fault.Permanent, CodeFunctionError, "exit status 3"},
		{200, "", "Task timed out after 2.00 seconds", fault.Permanent, CodeTimeout, "own time limit ended it: Task timed out after 2.00 seconds"},
		{200, "Unhandled", `nonsense`, fault.Permanent, CodeFunctionError, "nonsense"},
		{200, "", `{"errorMessage":"x","errorType":"Runtime.ExitError"}`, fault.Permanent, CodeFunctionError, "Runtime.ExitError: x"},
		{200, "Unhandled", `{"errorMessage":"Unable to import module 'app'","errorType":"Runtime.ImportModuleError"}`, fault.Unavailable, CodeStartFailed, "Unable to import module"},
		{200, "", `{"errorMessage":"no such handler","errorType":"Runtime.HandlerNotFound"}`, fault.Unavailable, CodeStartFailed, "no such handler"},
		{200, "", "", fault.Permanent, CodeNotJSON, "returned nothing"},
		{200, "", "\n<!doctype html><title>Sign in</title>", fault.Unavailable, CodeUnavailable, `200 OK with a web page: "<!doctype html>`},
		{200, "", "null", fault.Permanent, CodeBadResponse, "not an object"},
		{200, "", `{"records":[]} x`, fault.Permanent, CodeNotJSON, "not JSON"},
	} {
		calls := 0
		tr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			if c.header != "" {
				w.Header().Set("X-Amz-Function-Error", c.header)
			}
			if c.status == 302 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := ask(tr, "a", "b")
		if fault.CodeOf(err) != c.code || fault.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.words) || calls != 1 {
			t.Errorf("%d %s after %d calls: %s, %v", c.status, c.body, calls, fault.ClassOf(err), err)
		}
	}
}

func TestAnEndpointIsTriedAgainAsOftenAsConfigured(t *testing.T) {
	var calls atomic.Int32
	tr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handle(w, r)
	})
	tr.cfg.Retries = 2
	if got := show(apply(t, tr, "a", "b")); got[0] != "A" || got[1] != "B" || calls.Load() != 3 {
		t.Errorf("%v after %d calls", got, calls.Load())
	}
	calls.Store(0)
	tr.cfg.Retries, tr.cfg.WhenUnavailable = 1, Fail
	out, err := ask(tr, "a", "b")
	if err != nil || len(out.Results) != 2 || out.Results[0].Status != stage.Failed || out.Results[0].Code != CodeUnavailable ||
		!strings.Contains(out.Results[1].Reason, "503 Service Unavailable") || calls.Load() != 2 {
		t.Errorf("%+v, %v after %d calls", out.Results, err, calls.Load())
	}
}

// With when_unavailable: wait, records wait for an endpoint that is down: none fails, and none is lost.
func TestRecordsWaitForAnEndpoint(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	c.URL, c.Retries = "http://"+address+"/", 1
	var logged testenv.Log
	tr := open(t, c, Env{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	server := &http.Server{Handler: http.HandlerFunc(handle)}
	defer server.Close()
	refused := 0
	got := show(wait(t, tr, func(error) {
		if refused++; refused != 2 {
			return
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
	}, "a", "b"))
	if got[0] != "A" || got[1] != "B" || refused != 2 {
		t.Errorf("%v after %d refusals", got, refused)
	}
	for _, words := range []string{"it is tried again", "connection refused", "can be asked again"} {
		if !strings.Contains(logged.String(), words) {
			t.Errorf("the log does not say %q: %s", words, logged.String())
		}
	}
}

func TestABodyWithoutEndIsBounded(t *testing.T) {
	flood := func(w http.ResponseWriter, pause time.Duration) {
		for _, err := io.WriteString(w, `{"records":[`); err == nil; {
			_, err = fmt.Fprint(w, strings.Repeat(" ", 32<<10))
			time.Sleep(pause)
		}
	}
	tr := serve(t, func(w http.ResponseWriter, r *http.Request) { flood(w, 0) })
	if _, err := ask(tr, "a", "b"); fault.CodeOf(err) != CodeResponseTooLarge {
		t.Errorf("%v", err)
	}
	tr = serve(t, func(w http.ResponseWriter, r *http.Request) { flood(w, 10*time.Millisecond) })
	tr.cfg.Timeout = setting.Duration(200 * time.Millisecond)
	tr.handler.(*endpoint).timeout = 200 * time.Millisecond
	_, err := ask(tr, "a", "b")
	if fault.CodeOf(err) != CodeUnavailable || fault.ClassOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "within 200ms") {
		t.Errorf("%v", err)
	}
}

// Answers that come in part, or too late, are asked for again: no record fails for them, and none gets what another was answered.
func TestAnswersThatDoNotArriveAreAskedForAgain(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for name, fn := range map[string]func(w http.ResponseWriter, response []byte){
		"a byte now and then": func(w http.ResponseWriter, response []byte) {
			for i := range response {
				if _, err := w.Write(response[i : i+1]); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		},
		"too late": func(w http.ResponseWriter, response []byte) {
			time.Sleep(3 * time.Second)
			_, _ = w.Write(response)
		},
		"shorter than announced": func(w http.ResponseWriter, response []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(response)))
			_, _ = w.Write(response[:len(response)/2])
			panic(http.ErrAbortHandler)
		},
		"cut off between chunks": func(w http.ResponseWriter, response []byte) {
			_, _ = w.Write(response)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"no answer": func(http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) },
	} {
		var calls atomic.Int32
		tr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			response, _ := lambdatest.Respond(body)
			if err == nil && calls.Add(1)%2 == 1 {
				fn(w, response)
				return
			}
			_, _ = w.Write(response)
		})
		slow := name == "a byte now and then" || name == "too late"
		if tr.cfg.Retries = 3; slow { // on a busy machine an answer that is none of them may take as long
			tr.cfg.Timeout, tr.cfg.Retries = setting.Duration(2*time.Second), 9
		}
		all.Go(func() {
			for round := range 3 {
				out, err := ask(tr, "a", fmt.Sprint(round))
				if err != nil || len(out.Outs) != 2 || string(out.Outs[0].Data) != "A" || string(out.Outs[1].Data) != fmt.Sprint(round) {
					t.Errorf("%s: %v, %+v", name, err, out.Outs)
				}
			}
			if n := calls.Load(); n < 6 || n > 6 && !slow {
				t.Errorf("%s: %d calls", name, n)
			}
		})
	}
}

func TestAnEndpointSaysWhenItMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range []struct {
		status int
		header string
		least  time.Duration
	}{
		{429, "1", time.Second},
		{503, "1", time.Second},
		{429, "a time", time.Second},
		{429, "soon", 0},
		{429, "-5", 0},
		{500, "Mon, 02 Jan 2006 15:04:05 GMT", 0},
	} {
		var calls atomic.Int32
		tr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				if c.header == "a time" {
					c.header = time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat)
				}
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
				return
			}
			handle(w, r)
		})
		tr.cfg.Retries = 1
		all.Go(func() {
			began := time.Now()
			out, err := ask(tr, "a")
			if took := time.Since(began); err != nil || len(out.Outs) != 1 || took < c.least || took > 30*time.Second {
				t.Errorf("%d, %s: %v, %+v after %s", c.status, c.header, err, out.Results, took)
			}
		})
	}
	err := asked(&http.Response{Header: http.Header{"Retry-After": {"2000000000"}}}, io.EOF)
	if l, ok := err.(*later); !ok || l.after != maxAsked {
		t.Errorf("an endpoint may ask for a pause of %+v", err)
	}
}

func TestNoMoreRequestsRunThanWorkers(t *testing.T) {
	var now, most atomic.Int32
	tr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		handle(w, r)
	})
	done := make(chan struct{})
	for range 10 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 3 {
				if _, err := ask(tr, "a"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 10 {
		<-done
	}
	if most.Load() != 2 {
		t.Errorf("%d requests at a time, with 2 workers", most.Load())
	}
}

func TestTheURLIsChecked(t *testing.T) {
	for _, u := range []string{"localhost:8080", "ftp://x/", "http://", "http://user:pass@x/", "http://x\x7f/"} {
		c := defaults()
		c.URL = u
		if _, err := c.Open(context.Background(), Env{}); fault.CodeOf(err) != CodeInvalidConfig || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%q: %v", u, err)
		}
	}
}

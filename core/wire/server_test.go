package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on loopback and returns its address.
func serve(t testing.TB, cfg wire.Config) string {
	t.Helper()
	addr, stop := start(t, cfg, nil)
	t.Cleanup(stop)
	return addr
}

func start(t testing.TB, cfg wire.Config, c *wire.Certificate) (addr string, stop func()) {
	t.Helper()
	if cfg.Services == nil {
		cfg.Services = []wire.Service{greeter()}
	}
	s, err := wire.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() {
		if c != nil {
			served <- s.ServeTLS(l, c)
		} else {
			served <- s.Serve(l)
		}
	}()
	return l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client speaks one protocol only.
func client(t testing.TB, set func(*http.Protocols), ca string) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 1000}
	set(transport.Protocols)
	if ca != "" {
		p, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(p)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func h1(p *http.Protocols)  { p.SetHTTP1(true) }
func h2c(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
func h2(p *http.Protocols)  { p.SetHTTP2(true) }

const jsonType = "application/x-amz-json-1.1"

func post(t testing.TB, url, target string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("X-Amz-Target", target)
	wiretest.Sign(r)
	return r
}

// do sends a request and reads the answer. It may be called by any goroutine: after an error the answer is empty.
func do(t testing.TB, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return &http.Response{}, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res, string(body)
}

func TestAllTransportsAreServed(t *testing.T) {
	plain := serve(t, wire.Config{})
	dev, err := wire.DevelopmentCertificate(t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	secure, stop := start(t, wire.Config{}, dev.Certificate)
	t.Cleanup(stop)
	for _, c := range []struct {
		url   string
		set   func(*http.Protocols)
		proto string
	}{
		{"http://" + plain, h1, "HTTP/1.1"},
		{"http://" + plain, h2c, "HTTP/2.0"},
		{"https://" + secure, h1, "HTTP/1.1"},
		{"https://" + secure, h2, "HTTP/2.0"},
	} {
		t.Run(c.url[:5]+c.proto, func(t *testing.T) {
			client := client(t, c.set, dev.CAFile)
			large := strings.Repeat("x", 10<<20)
			for _, in := range []string{`{"Name":"ann","Names":[]}`, `{"Name":"` + large + `","Names":[]}`} {
				for _, body := range []io.Reader{strings.NewReader(in), io.MultiReader(strings.NewReader(in))} { // with a length, and chunked
					res, got := do(t, client, post(t, c.url, "Greeter_1.Greet", body))
					if res.StatusCode != 200 || got != in || res.Proto != c.proto || res.Header.Get("Content-Type") != jsonType {
						t.Errorf("%s %d with %.100q", res.Proto, res.StatusCode, got)
					}
				}
			}
			res, err := client.Do(post(t, c.url, "Greeter_1.Count", strings.NewReader(`{"Count":3}`)))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := res.Header.Get("Content-Type"); got != "application/vnd.amazon.eventstream" {
				t.Errorf("events are %s", got)
			}
			events := 0
			for {
				if _, err := wiretest.ReadMessage(res.Body); err != nil {
					break
				}
				events++
			}
			if events != 4 {
				t.Errorf("got %d events", events)
			}
		})
	}
}

func TestAnswersCarryIDsAndTheRequestsType(t *testing.T) {
	c := client(t, h1, "")
	addr := serve(t, wire.Config{})
	for _, contentType := range []string{jsonType, "application/x-amz-cbor-1.1"} {
		r := post(t, "http://"+addr, "Greeter_1.Refuse", strings.NewReader("{}"))
		r.Header.Set("Content-Type", contentType+"; charset=utf-8")
		res, _ := do(t, c, r)
		if got := res.Header.Get("Content-Type"); got != contentType {
			t.Errorf("%s is answered with %s", contentType, got)
		}
		if res.Header.Get("x-amzn-ErrorType") != "ResourceNotFoundException" {
			t.Errorf("headers %v", res.Header)
		}
		if id := res.Header.Get("x-amzn-RequestId"); len(id) != 36 || id[14] != '4' {
			t.Errorf("request id %q", id)
		}
		if id, err := base64.StdEncoding.DecodeString(res.Header.Get("x-amz-id-2")); err != nil || len(id) < 64 || len(id) > 80 {
			t.Errorf("x-amz-id-2 of %d bytes, %v", len(id), err)
		}
	}
	res, body := do(t, c, post(t, "http://"+addr, "Greeter_1.Nothing", strings.NewReader("{}")))
	if res.StatusCode != 200 || body != "" || res.ContentLength != 0 {
		t.Errorf("no output is answered with %d and %q", res.StatusCode, body)
	}
}

func TestProtocolErrors(t *testing.T) {
	c := client(t, h1, "")
	addr := serve(t, wire.Config{MaxBody: 1000})
	header := func(k string, v ...string) func(*http.Request) { return func(r *http.Request) { r.Header[k] = v } }
	for _, x := range []struct {
		name   string
		change func(*http.Request)
		status int
		body   string
	}{
		{"no target", header("X-Amz-Target"), 400, `{"__type":"UnknownOperationException"}`},
		{"no such operation", header("X-Amz-Target", "Greeter_1.Grreet"), 400, `{"__type":"UnknownOperationException"}`},
		{"another service", header("X-Amz-Target", "Greeter_2.Greet"), 400, `{"__type":"UnknownOperationException"}`},
		{"another type", header("Content-Type", "application/json"), 400, "\xa1\x66__type\x78\x19UnknownOperationException"},
		{"no type", header("Content-Type"), 400, "\xa1\x66__type\x78\x19UnknownOperationException"},
		{"GET", func(r *http.Request) { r.Method = "GET" }, 403,
			"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"},
		{"no signature", header("Authorization"), 400, `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`},
		{"half a signature", header("Authorization", "AWS4- Signature=b,Credential=a"), 400,
			`{"__type":"IncompleteSignatureException","message":"Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b,Credential=a"}`},
		{"a token", func(r *http.Request) {
			r.Header = http.Header{"Content-Type": {jsonType}, "X-Amz-Target": {"Greeter_1.Greet"}, "Authorization": {"X"}}
		}, 400,
			`{"__type":"IncompleteSignatureException","message":"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=X"}`},
		{"a short credential", header("Authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00"), 400,
			`{"__type":"IncompleteSignatureException","message":"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'"}`},
		{"two signatures", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm" }, 400,
			`{"__type":"InvalidSignatureException","message":"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}`},
		{"half a presigned request", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "X-Amz-Algorithm=a&X-Amz-Date=b&X-Amz-Credential=c"
		}, 400,
			`{"__type":"IncompleteSignatureException","message":"AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."}`},
		{"no JSON", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), 5 }, 400,
			`{"Message":"Unexpected token in the body","__type":"SerializationException"}`},
		{"too large", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, 1001))), 1001
		}, 413,
			`{"__type":"RequestEntityTooLargeException","message":"Request size exceeded the limit."}`},
		{"too large by chunks", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, 9000))), -1 }, 413,
			`{"__type":"RequestEntityTooLargeException","message":"Request size exceeded the limit."}`},
		{"an unexpected error", header("X-Amz-Target", "Greeter_1.Break"), 500,
			`{"__type":"InternalFailure","message":"The request processing has failed because of an unknown error, exception or failure."}`},
		{"a panic", header("X-Amz-Target", "Greeter_1.Panic"), 500,
			`{"__type":"InternalFailure","message":"The request processing has failed because of an unknown error, exception or failure."}`},
		{"another host", func(r *http.Request) { r.Host = "rebound.example.com:4567" }, 403,
			`{"__type":"AccessDeniedException","message":"This server is not configured to be reached as rebound.example.com: start it with --host and this name to allow it."}`},
		{"another site's page", header("Origin", "https://evil.example.com"), 403,
			`{"__type":"AccessDeniedException","message":"This server does not allow requests of web pages from this origin: start it with --cors-origin to allow them."}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := post(t, "http://"+addr, "Greeter_1.Greet", strings.NewReader("{}"))
			x.change(r)
			res, body := do(t, c, r)
			if res.StatusCode != x.status || body != x.body {
				t.Errorf("got %d %s\nwant %d %s", res.StatusCode, body, x.status, x.body)
			}
			if res.Header.Get("x-amzn-RequestId") == "" {
				t.Error("there is no request id")
			}
			if typed := res.Header.Get("Content-Type") != ""; typed == strings.HasPrefix(x.body, "<") {
				t.Errorf("its type is %q", res.Header.Get("Content-Type"))
			}
		})
	}
}

func TestAClientThatSendsAllBeforeItReadsGetsTheAnswer(t *testing.T) {
	addr := serve(t, wire.Config{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const length = 30 << 20
	r := post(t, "http://"+addr, "Greeter_1.Greet", &zeros{length})
	r.ContentLength = length
	if err := r.Write(conn); err != nil {
		t.Fatalf("sending: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 413 || !res.Close {
		t.Errorf("answered %v", res)
	}
}

func TestVerifyDecidesBeforeTheBodyIsDecoded(t *testing.T) {
	var got wire.Signature
	addr := serve(t, wire.Config{Verify: func(_ context.Context, r *wire.Request) error {
		got = r.Signature
		if len(r.Body) == 0 {
			t.Error("the body cannot be hashed")
		}
		return &wire.Error{Code: "InvalidSignatureException", Message: "no"}
	}})
	r := post(t, "http://"+addr, "Greeter_1.Greet", strings.NewReader("malformed"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/key/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=0f")
	_, body := do(t, client(t, h1, ""), r)
	if body != `{"__type":"InvalidSignatureException","message":"no"}` {
		t.Errorf("answered %s", body)
	}
	if got.AccessKey != "a/key" || got.Date != "20260101" || got.Region != "eu-west-1" || got.Service != "kinesis" || got.Hex != "0f" ||
		got.SignedHeaders != "host;x-amz-date" || got.Algorithm != "AWS4-HMAC-SHA256" || got.Presigned {
		t.Errorf("parsed %+v", got)
	}
	q := post(t, "http://"+addr+"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F20260101%2Fr%2Fkinesis%2Faws4_request&X-Amz-Date=d&X-Amz-SignedHeaders=host&X-Amz-Signature=s",
		"Greeter_1.Greet", strings.NewReader("{}"))
	q.Header.Del("Authorization")
	if do(t, client(t, h1, ""), q); got.AccessKey != "k" || !got.Presigned || got.Hex != "s" {
		t.Errorf("parsed %+v", got)
	}
}

func TestRequestsAreObserved(t *testing.T) {
	var got []wire.Access
	addr, stop := start(t, wire.Config{Observe: func(a wire.Access) { got = append(got, a) }}, nil)
	c := client(t, h1, "")
	for _, target := range []string{"Greeter_1.Greet", "Greeter_1.Refuse", "Greeter_1.Panic", "invented"} {
		do(t, c, post(t, "http://"+addr, target, strings.NewReader("{}")))
	}
	c.CloseIdleConnections()
	stop()
	for i, want := range []wire.Access{
		{Target: "Greeter_1.Greet", Status: 200, In: 2, Out: 12},
		{Target: "Greeter_1.Refuse", Status: 400, Code: "ResourceNotFoundException", In: 2, Out: 78},
		{Target: "Greeter_1.Panic", Status: 500, Code: "InternalFailure", In: 2, Out: 125},
		{Status: 400, Code: "UnknownOperationException", Out: 38},
	} {
		a := got[i]
		if a.ID == "" || a.Took <= 0 || a.Remote == "" {
			t.Errorf("observed %+v", a)
		}
		a.ID, a.Took, a.Began, a.Remote = "", 0, time.Time{}, ""
		if a != want {
			t.Errorf("observed %+v, want %+v", a, want)
		}
	}
}

func TestShutdownAnswersWhatIsUnderWayAndEndsStreams(t *testing.T) {
	for _, set := range []func(*http.Protocols){h1, h2c} {
		entered, leave := make(chan bool), make(chan bool)
		s := greeter()
		s.Operations["Slow"] = func(context.Context, *wire.Request) (any, error) {
			entered <- true
			<-leave
			return &greeting{}, nil
		}
		addr, stop := start(t, wire.Config{Services: []wire.Service{s}}, nil)
		c := client(t, set, "")
		stream, err := c.Do(post(t, "http://"+addr, "Greeter_1.Count", strings.NewReader(`{"Count":0,"Name":"wait"}`)))
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan string)
		go func() {
			_, body := do(t, c, post(t, "http://"+addr, "Greeter_1.Slow", strings.NewReader("{}")))
			answered <- body
		}()
		<-entered
		stopped := make(chan bool)
		go func() {
			stop()
			close(stopped)
		}()
		if p, err := io.ReadAll(stream.Body); err != nil || len(p) == 0 {
			t.Errorf("the stream had %d bytes and ended with %v", len(p), err)
		}
		stream.Body.Close()
		close(leave)
		if body := <-answered; body != `{"Names":[]}` {
			t.Errorf("answered %q", body)
		}
		<-stopped
	}
}

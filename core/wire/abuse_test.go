package wire_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

const (
	h1Head    = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Greeter_1.Greet\r\n" + h1Signed
	h1Signed  = "X-Amz-Date: 1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=k/d/r/s/t, SignedHeaders=host, Signature=00\r\n"
	h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
)

// h2Frame is a frame of stream 1.
func h2Frame(kind, flags byte, payload string) string {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	return string(binary.BigEndian.AppendUint32(head, 1)) + payload
}

// h2Head is the header block of a request, without compression.
func h2Head() string {
	var b strings.Builder
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "localhost"}, {"content-type", jsonType},
		{"x-amz-target", "Greeter_1.Greet"}, {"x-amz-date", "1"},
		{"authorization", "AWS4-HMAC-SHA256 Credential=k/d/r/s/t, SignedHeaders=host, Signature=00"},
	} {
		fmt.Fprintf(&b, "\x00%c%s%c%s", len(h[0]), h[0], len(h[1]), h[1])
	}
	return b.String()
}

func TestSlowClientsAreCutWhileOthersAreServed(t *testing.T) {
	t.Parallel()
	const within = 30 * time.Second // four seconds, or with the patience that users have ten, and what a busy machine adds
	patience := 500 * time.Millisecond
	if testenv.Full() {
		patience = 0 // as users have it
	}
	dev, err := wire.DevelopmentCertificate(t.TempDir(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, wire.Config{Patience: patience})
	secure, stop := start(t, wire.Config{Patience: patience}, dev.Certificate)
	t.Cleanup(stop)

	// Each sends its first part at once and then its second, again and again, a byte every 100 ms.
	lorises := []struct{ name, addr, first, then string }{
		{"silence", addr, "", ""},
		{"a header", addr, "POST / HTTP/1.1\r\n", "X-A: b\r\n"},
		{"a body", addr, h1Head + "Content-Length: 14000000\r\n\r\n{", " "},
		{"a small body", addr, h1Head + "Content-Length: 1000\r\n\r\n{", " "},
		{"chunks", addr, h1Head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"},
		{"a body nobody wants", addr, strings.Replace(h1Head, "Greet\r", "Nobody\r", 1) + "Content-Length: 1000\r\n\r\n{", " "},
		{"a body of a GET", addr, "GET" + h1Head[4:] + "Content-Length: 1000\r\n\r\n{", " "},
		{"a second header", addr, h1Head + "Content-Length: 2\r\n\r\n{}POST / HT", "T"},
		{"HTTP/2, silence", addr, h2Preface, ""},
		{"HTTP/2, half a preface", addr, h2Preface[:20], ""},
		{"HTTP/2, headers", addr, h2Preface + h2Frame(1, 0, h2Head()[:10]), h2Frame(9, 0, "")},
		{"HTTP/2, a body", addr, h2Preface + h2Frame(1, 4, h2Head()), h2Frame(0, 0, " ")},
		{"TLS, silence", secure, "", ""},
		{"TLS, half a greeting", secure, "\x16\x03\x01\x02\x00", "\x00"},
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range testenv.Count(42, 200) {
		l := lorises[i%len(lorises)]
		conn, err := net.Dial("tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			gone := make(chan struct{})
			wg.Go(func() {
				defer close(gone)
				_ = conn.SetReadDeadline(began.Add(within))
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: not cut within %v", l.name, within)
				}
			})
			_, _ = io.WriteString(conn, l.first)
			for at := 0; ; at++ {
				select {
				case <-gone:
					return
				case <-time.After(100 * time.Millisecond):
				}
				if l.then != "" {
					_, _ = conn.Write([]byte{l.then[at%len(l.then)]})
				}
			}
		})
	}
	slow := make(chan struct{})
	go func() {
		wg.Wait()
		close(slow)
	}()
	var worst time.Duration
	good, late := 0, 0
	clients := []*http.Client{client(t, h1, ""), client(t, h2c, "")}
	for done := false; !done; good++ {
		select {
		case <-slow:
			done = true
		case <-time.After(10 * time.Millisecond):
		}
		at := time.Now()
		if res, body := do(t, clients[good%2], post(t, "http://"+addr, "Greeter_1.Greet", strings.NewReader(`{"Names":[]}`))); res.StatusCode != 200 {
			t.Fatalf("a good client got %d %s", res.StatusCode, body)
		}
		took := time.Since(at)
		if worst = max(worst, took); took > time.Second {
			late++
		}
	}
	t.Logf("slow ones were gone after %v; %d good requests took at most %v", time.Since(began), good, worst)
	if late > good/10 {
		t.Errorf("%d of %d good requests took more than a second", late, good)
	}
}

func TestAClientThatReadsNothingIsCut(t *testing.T) {
	t.Parallel()
	s := greeter()
	ended := make(chan error, 2)
	s.Operations["Flood"] = func(context.Context, *wire.Request) (any, error) {
		return &wire.EventStream{Run: func(_ context.Context, send wire.Send) error {
			name := strings.Repeat("x", 1<<20)
			for {
				if err := send("CountEvent", &greeting{Name: &name}); err != nil {
					ended <- err
					return err
				}
			}
		}}, nil
	}
	s.Operations["Large"] = func(context.Context, *wire.Request) (any, error) {
		name := strings.Repeat("x", 14<<20)
		return &greeting{Name: &name}, nil
	}
	addr := serve(t, wire.Config{
		Services: []wire.Service{s}, Patience: 300 * time.Millisecond,
		Observe: func(a wire.Access) {
			if a.Target == "Greeter_1.Large" {
				ended <- nil
			}
		},
	})
	for _, set := range []func(*http.Protocols){h1, h2c} {
		for _, target := range []string{"Greeter_1.Flood", "Greeter_1.Large"} {
			res, err := client(t, set, "").Do(post(t, "http://"+addr, target, strings.NewReader("{}")))
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(time.Minute): // a piece of 128 KiB may take 2.3 s
				t.Errorf("%s, %s: it is still sent", res.Proto, target)
			}
			res.Body.Close()
		}
	}
}

// zeros is a body that takes no memory of its own.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.left)
	z.left -= n
	if z.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestLargeBodiesStayWithinTheMemory(t *testing.T) {
	const length, memory = 14 << 20, 128 << 20
	connections := testenv.Count(60, 500)
	var holding, most atomic.Int64
	s := greeter()
	s.Operations["Hold"] = func(_ context.Context, r *wire.Request) (any, error) {
		most.Store(max(most.Load(), holding.Add(1)))
		defer holding.Add(-1)
		time.Sleep(20 * time.Millisecond)
		return nil, nil
	}
	addr := serve(t, wire.Config{Services: []wire.Service{s}, BodyMemory: memory})
	peak := watchHeap(t)
	for _, c := range []struct {
		name    string
		set     func(*http.Protocols)
		chunked bool
	}{{"HTTP/1.1", h1, false}, {"HTTP/1.1, chunked", h1, true}, {"HTTP/2", h2c, false}} {
		var ok, busy, lost atomic.Int64
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				c1 := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
				c.set(c1.Transport.(*http.Transport).Protocols)
				defer c1.CloseIdleConnections()
				r := post(t, "http://"+addr, "Greeter_1.Hold", &zeros{length})
				r.ContentLength = length
				if c.chunked {
					r.ContentLength = -1
				}
				res, err := c1.Do(r)
				if err != nil {
					lost.Add(1)
					return
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				switch {
				case res.StatusCode == 200:
					ok.Add(1)
				case res.StatusCode == 503 && strings.Contains(string(body), `"__type":"ServiceUnavailable"`):
					busy.Add(1)
				default:
					t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
				}
			})
		}
		wg.Wait()
		t.Logf("%s: %d answered, %d told to try again, %d saw the connection close; heap at most %d MiB, %d bodies at a time", c.name, ok.Load(),
			busy.Load(), lost.Load(), peak()>>20, most.Load())
		if ok.Load() == 0 {
			t.Errorf("%s: not one was answered", c.name)
		}
	}
	if got := peak(); got > 4*memory { // bodies, what is pooled until it is collected, and the clients'
		t.Errorf("the heap had %d MiB", got>>20)
	}
	if most.Load() > memory/length {
		t.Errorf("%d bodies were held at a time", most.Load())
	}
}

func TestLargeBodiesOnOneConnectionDoNotWaitForEachOther(t *testing.T) {
	const length = 3 << 19 // three fit into the memory for large ones
	addr := serve(t, wire.Config{MaxBody: 2<<20 - 1, BodyMemory: 8 << 20})
	c := client(t, h2c, "")
	do(t, c, post(t, "http://"+addr, "Greeter_1.Nothing", strings.NewReader("{}"))) // so that there is one
	var ok, busy atomic.Int64
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			r := post(t, "http://"+addr, "Greeter_1.Nothing", &zeros{length})
			r.ContentLength = length
			switch res, body := do(t, c, r); res.StatusCode {
			case 200:
				ok.Add(1)
			case 503:
				busy.Add(1)
			default:
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	wg.Wait()
	t.Logf("%d answered, %d told to try again", ok.Load(), busy.Load())
	if ok.Load() <= 3 { // who waited, waited in vain
		t.Errorf("%d of 30 were answered", ok.Load())
	}
}

// watchHeap returns a function that tells the most bytes that the heap has had since.
func watchHeap(t *testing.T) func() uint64 {
	var peak atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return peak.Load
}

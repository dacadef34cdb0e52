package wire_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// echo keeps a body and answers with it, after others had time to overwrite it.
type echo struct{ body []byte }

func (e *echo) DecodeWire(_ wire.Format, body []byte) error { e.body = body; return nil }

func (e *echo) AppendWire(_ wire.Format, dst []byte) []byte {
	time.Sleep(100 * time.Microsecond)
	return append(dst, e.body...)
}

func TestBodiesAreNotMixedUp(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := greeter()
	s.Operations["Echo"] = func(_ context.Context, r *wire.Request) (any, error) {
		in := new(echo)
		return in, r.Decode(in)
	}
	addr := serve(t, wire.Config{Services: []wire.Service{s}})
	var wg sync.WaitGroup
	for i := range 8 {
		c := client(t, []func(*http.Protocols){h1, h2c}[i%2], "")
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range testenv.Count(60, 2000) {
				in := make([]byte, 1+r.IntN(1<<(1+r.IntN(18))))
				for i := range in {
					in[i] = byte(r.Uint32())
				}
				body := io.Reader(bytes.NewReader(in))
				if r.IntN(2) == 0 {
					body = io.MultiReader(body) // chunked
				}
				if res, out := do(t, c, post(t, "http://"+addr, "Greeter_1.Echo", body)); !bytes.Equal(in, []byte(out)) {
					t.Errorf("%s: %d bytes came back as %d others", res.Proto, len(in), len(out))
				}
			}
		})
	}
	wg.Wait()
}

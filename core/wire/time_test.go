package wire_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

// Time limits are for clients: operations and event streams may take longer.
func TestOperationsAndStreamsMayTakeLongerThanClients(t *testing.T) {
	t.Parallel()
	const patience = 100 * time.Millisecond
	s := greeter()
	s.Operations["Think"] = func(ctx context.Context, _ *wire.Request) (any, error) {
		time.Sleep(5 * patience)
		return nil, ctx.Err()
	}
	s.Operations["Pause"] = func(context.Context, *wire.Request) (any, error) {
		return &wire.EventStream{Run: func(_ context.Context, send wire.Send) error {
			for range 2 {
				time.Sleep(5 * patience)
				if err := send("CountEvent", &greeting{}); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}
	addr := serve(t, wire.Config{Services: []wire.Service{s}, Patience: patience})
	for _, set := range []func(*http.Protocols){h1, h2c} {
		c := client(t, set, "")
		for range 2 {
			if res, body := do(t, c, post(t, "http://"+addr, "Greeter_1.Think", strings.NewReader("{}"))); res.StatusCode != 200 {
				t.Errorf("%s: %d %s", res.Proto, res.StatusCode, body)
			}
		}
		res, err := c.Do(post(t, "http://"+addr, "Greeter_1.Pause", strings.NewReader("{}")))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := wiretest.ReadMessage(res.Body); err != nil {
				t.Errorf("%s: message %d: %v", res.Proto, i, err)
			}
		}
		res.Body.Close()
	}
}

func TestAnOperationHearsThatItsClientLeft(t *testing.T) {
	left := make(chan bool)
	s := greeter()
	s.Operations["Wait"] = func(ctx context.Context, _ *wire.Request) (any, error) {
		left <- false
		<-ctx.Done()
		left <- true
		return nil, ctx.Err()
	}
	addr := serve(t, wire.Config{Services: []wire.Service{s}})
	for _, set := range []func(*http.Protocols){h1, h2c} {
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			res, err := client(t, set, "").Do(post(t, "http://"+addr, "Greeter_1.Wait", strings.NewReader("{}")).WithContext(ctx))
			if err == nil {
				res.Body.Close()
			}
		}()
		<-left
		cancel()
		select {
		case <-left:
		case <-time.After(time.Minute):
			t.Fatal("the operation goes on")
		}
		<-gone
	}
}

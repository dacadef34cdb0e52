package wire_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

type greeting struct {
	Name  *string  `json:"Name,omitempty"`
	Count *int32   `json:"Count,omitempty"`
	Names []string `json:"Names"`
}

// greeter is a service whose operations show what a handler can do.
func greeter() wire.Service {
	return wire.Service{Target: "Greeter_1", Operations: map[string]wire.Handler{
		"Greet": func(_ context.Context, r *wire.Request) (any, error) {
			var in greeting
			if err := r.Decode(&in); err != nil {
				return nil, err
			}
			return &in, nil
		},
		"Nothing": func(context.Context, *wire.Request) (any, error) { return nil, nil },
		"Refuse": func(context.Context, *wire.Request) (any, error) {
			return nil, &wire.Error{Code: "ResourceNotFoundException", Message: "There is no such \"thing\"."}
		},
		"Break": func(context.Context, *wire.Request) (any, error) { return nil, errors.New("secret cause") },
		"Panic": func(context.Context, *wire.Request) (any, error) { panic("secret panic") },
		"Count": func(_ context.Context, r *wire.Request) (any, error) {
			var in greeting
			if err := r.Decode(&in); err != nil {
				return nil, err
			}
			return &wire.EventStream{Run: func(ctx context.Context, send wire.Send) error {
				for i := range *in.Count {
					if err := send("CountEvent", &greeting{Count: &i}); err != nil {
						return err
					}
				}
				if in.Name == nil {
					return nil
				}
				if *in.Name == "wait" {
					<-ctx.Done()
					return ctx.Err()
				}
				return &wire.Error{Code: *in.Name, Message: "the end"}
			}}, nil
		},
	}}
}

func TestOperationsAreCalledInBothFormats(t *testing.T) {
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		c := wiretest.New(t, greeter())
		c.Format = f
		var out greeting
		if err := c.Call("Greet", &greeting{Name: new("ann")}, &out); err != nil || *out.Name != "ann" {
			t.Errorf("greeted %v, %v", out.Name, err)
		}
		var e *wire.Error
		if err := c.Call("Refuse", &greeting{}, nil); !errors.As(err, &e) || e.Code != "ResourceNotFoundException" || e.Message != "There is no such \"thing\"." || e.Status != 400 {
			t.Errorf("refused with %#v", err)
		}
		if err := c.Call("Greet", "", nil); !errors.As(err, &e) || e.Code != "SerializationException" || e.Message == "" {
			t.Errorf("an empty body is answered with %#v", err)
		}
	}
}

func TestEventsArriveInBothFormats(t *testing.T) {
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		c := wiretest.New(t, greeter())
		c.Format = f
		s, err := c.Open("Count", &greeting{Count: new(int32(2)), Name: new("ResourceInUseException")})
		if err != nil {
			t.Fatal(err)
		}
		for want := range int32(2) {
			var out greeting
			if event, err := s.Next(&out); err != nil || event != "CountEvent" || *out.Count != want {
				t.Errorf("event %s %v, %v", event, out.Count, err)
			}
		}
		var e *wire.Error
		if _, err := s.Next(nil); !errors.As(err, &e) || e.Code != "ResourceInUseException" || e.Message != "the end" {
			t.Errorf("the stream ends with %v", err)
		}
		if _, err := s.Next(nil); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		s.Close()

		s, err = c.Open("Count", &greeting{Count: new(int32(0)), Name: new("wait")})
		if err != nil {
			t.Fatal(err)
		}
		s.Close() // returns only if the operation sees that the client left
	}
}

func TestReservedMemoryComesBackWithTheAnswer(t *testing.T) {
	s := greeter()
	s.Operations["Hoard"] = func(ctx context.Context, _ *wire.Request) (any, error) {
		return nil, wire.Reserve(ctx, 90<<20) // nearly all
	}
	c := wiretest.New(t, s)
	for range 3 {
		if err := c.Call("Hoard", &greeting{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := wire.Reserve(context.Background(), 1<<40); err != nil {
		t.Errorf("without a request: %v", err)
	}
}

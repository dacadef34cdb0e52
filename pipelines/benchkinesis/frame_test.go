package benchkinesis

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

func message(t testing.TB, event string, payload []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(":event-type", eventstream.StringValue(event))
	m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
	if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFramesAreReadAsTheSDKWritesThem(t *testing.T) {
	stream := bytes.NewReader(append(message(t, "initial-response", []byte("{}")), message(t, "SubscribeToShardEvent", bytes.Repeat([]byte("x"), 5000))...))
	var buf []byte
	for _, want := range []string{"initial-response", "SubscribeToShardEvent"} {
		var f frame
		var err error
		if f, buf, err = readFrame(stream, buf); err != nil || f.event != want {
			t.Fatalf("event %q, %v; want %s", f.event, err, want)
		}
	}
	if _, _, err := readFrame(stream, buf); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
}

func TestADamagedFrameIsFound(t *testing.T) {
	whole := message(t, "SubscribeToShardEvent", []byte(`{"Records":[]}`))
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		if _, _, err := readFrame(bytes.NewReader(damaged), nil); !errors.Is(err, errFrame) {
			t.Errorf("byte %d is wrong: %v", i, err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(message(f, "SubscribeToShardEvent", []byte(`{"Records":[]}`)))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 4 && p[0] > 0 { // a length that would be allocated
			return
		}
		_, _, _ = readFrame(bytes.NewReader(p), nil)
	})
}

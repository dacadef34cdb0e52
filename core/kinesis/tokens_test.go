package kinesis

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

func TestTokensOpenToWhatWasSealed(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now})
	for size := range maxPayload + 1 {
		payload := bytes.Repeat([]byte{byte(size)}, size)
		token := s.tokens.seal(tokenShards, payload)
		c.advance(time.Second)
		got, age, err := s.tokens.open(tokenShards, token)
		if err != nil || !bytes.Equal(got, payload) || age != time.Second {
			t.Fatalf("%d bytes open to %x, %v old: %v", size, got, age, err)
		}
		// The form of the service's shard iterators.
		p, err := base64.StdEncoding.DecodeString(token)
		if err != nil || len(token) > 512 || !bytes.Equal(p[:8], []byte{7: 1}) || (len(p)-8)%16 != 0 {
			t.Fatalf("the token of %d bytes is %q", size, token)
		}
	}
}

func TestTokensOfOneContentDiffer(t *testing.T) {
	s := newServer(t, Config{})
	seen := map[string]bool{}
	for range 100 {
		seen[s.tokens.seal(tokenIterator, []byte("here"))] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 tokens made at the same time are %d different ones", len(seen))
	}
}

func TestTokensLastOverARestart(t *testing.T) {
	s := newServer(t, Config{})
	token := s.tokens.seal(tokenIterator, []byte("here"))
	s.restart()
	if got, _, err := s.tokens.open(tokenIterator, token); err != nil || string(got) != "here" {
		t.Errorf("after a restart a token opens to %q: %v", got, err)
	}
}

func TestTokensOfOthersAreRefused(t *testing.T) {
	s := newServer(t, Config{})
	other := newServer(t, Config{})
	good := s.tokens.seal(tokenShards, []byte("here"))
	for what, token := range map[string]string{
		"of another kind":   s.tokens.seal(tokenConsumers, []byte("here")),
		"of another server": other.tokens.seal(tokenShards, []byte("here")),
		"in two lines":      good[:16] + "\n" + good[16:],
		"empty":             "",
		"not base64":        "here",
		"too long":          base64.StdEncoding.EncodeToString(make([]byte, 8+16*100)),
		"all zeros":         base64.StdEncoding.EncodeToString(make([]byte, 8+16*4)),
		"only a version":    base64.StdEncoding.EncodeToString([]byte{7: 1}),
	} {
		if _, _, err := s.tokens.open(tokenShards, token); !errors.Is(err, errToken) {
			t.Errorf("a token %s opens: %v", what, err)
		}
	}
}

// TestChangedTokensAreRefused flips each bit of tokens.
func TestChangedTokensAreRefused(t *testing.T) {
	s := newServer(t, Config{})
	for range testenv.Count(5, 100) {
		payload := make([]byte, rand.IntN(64))
		token, _ := base64.StdEncoding.DecodeString(s.tokens.seal(tokenShards, payload))
		for bit := range 8 * len(token) {
			token[bit/8] ^= 1 << (bit % 8)
			if got, _, err := s.tokens.open(tokenShards, base64.StdEncoding.EncodeToString(token)); err == nil {
				t.Fatalf("bit %d of a token is changed, and it opens to %x", bit, got)
			}
			token[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func FuzzOpenToken(f *testing.F) {
	tokens := tokensOf([tokenKeySize]byte{1}, time.Now)
	f.Add(tokens.seal(tokenShards, []byte("here")))
	f.Add("AAAAAAAAAAE=")
	f.Fuzz(func(t *testing.T, token string) {
		payload, _, err := tokens.open(tokenShards, token)
		if err == nil && len(payload) > maxPayload {
			t.Errorf("%q opens to %d bytes", token, len(payload))
		}
	})
}

func BenchmarkSealAndOpen(b *testing.B) {
	tokens := tokensOf([tokenKeySize]byte{1}, time.Now)
	payload := make([]byte, 32)
	for b.Loop() {
		if _, _, err := tokens.open(tokenIterator, tokens.seal(tokenIterator, payload)); err != nil {
			b.Fatal(err)
		}
	}
}

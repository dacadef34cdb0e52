package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

// sizes are the body sizes of interest: none, few, and around the threshold.
func (s *suite) sizes() []int64 {
	sizes := []int64{0, 1, 100_000}
	if s.Threshold > 0 {
		sizes = append(sizes, s.Threshold-1, s.Threshold, s.Threshold+1, 2*s.Threshold+12345)
	}
	return sizes
}

// large is a size on the far side of the threshold, if there is one.
func (s *suite) large() int64 { return max(3_000_000, s.Threshold*3/2) }

func putIsReadBack(t *testing.T, s *suite) {
	sink := s.open(t)
	var chunks []*Chunk
	for _, n := range s.sizes() {
		chunks = append(chunks, Random("year=2026/month=11/", n))
	}
	chunks = append(chunks, Random("", 10), Random("größe/名前 %20+&?#'\"<>/", 10))
	encoded := Random("encoded/", 10)
	encoded.ContentEncoding = "gzip"
	chunks = append(chunks, encoded)
	for _, c := range chunks {
		put(t, sink, c)
	}
	s.want(t, chunks...)
}

func putTwiceIsOneObject(t *testing.T, s *suite) {
	for _, n := range s.sizes() {
		c := Random("a/b/", n)
		sink := s.open(t)
		put(t, sink, c)
		put(t, sink, c)
		put(t, s.open(t), c) // another process, after a crash
		if s.AtLeastOnce {
			continue
		}
		if s.Objects != nil {
			if got := s.Objects(t); string(got[c.Key]) != string(c.Bytes) {
				t.Errorf("%s has %d bytes, want the %d of the chunk", c.Key, len(got[c.Key]), n)
			}
		}
	}
	if !s.AtLeastOnce && s.Objects != nil {
		if got := s.Objects(t); len(got) != len(s.sizes()) {
			t.Errorf("there are %d objects, want %d", len(got), len(s.sizes()))
		}
	}
}

func concurrentPuts(t *testing.T, s *suite) {
	sink := s.open(t)
	var chunks []*Chunk
	for i := range 24 {
		chunks = append(chunks, Random(fmt.Sprintf("p=%d/q=%d/", i%3, i%5), int64(i*10_000)))
	}
	chunks = append(chunks, Random("large/", s.large()))
	var wg sync.WaitGroup
	for _, c := range chunks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if err := sink.Put(ctx, &c.Chunk); err != nil {
				t.Errorf("put of %s: %v", c.Key, err)
			}
		})
	}
	wg.Wait()
	s.want(t, chunks...)
}

// A put that its caller has given up may still be under way when the next begins.
func concurrentPutsOfOneChunk(t *testing.T, s *suite) {
	needs(t, !s.AtLeastOnce, "tell a chunk that is there already")
	for _, n := range []int64{1000, s.large()} {
		c := Random("x/", n)
		a, b := s.open(t), s.open(t)
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			sink := a
			if i%2 == 1 {
				sink = b
			}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				errs[i] = sink.Put(ctx, &c.Chunk)
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil && fault.ClassOf(err) == fault.Permanent {
				t.Errorf("a put beside another of the same chunk: %v", err)
			}
		}
		put(t, a, c)
		if s.Objects != nil && string(s.Objects(t)[c.Key]) != string(c.Bytes) {
			t.Errorf("the object is not the chunk's")
		}
	}
}

func cancelledPutIsPutAgain(t *testing.T, s *suite) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	sink := s.open(t)
	var chunks []*Chunk
	for round := range testenv.Count(6, 60) {
		n := int64(100_000)
		if round%2 == 1 {
			n = s.large()
		}
		c := Random("cancelled/", n)
		for range 1 + rng.IntN(3) {
			ctx, cancel := context.WithCancel(context.Background())
			at := rng.Int64N(n + n/4)
			c.OnRead(func(offset int64) error {
				if offset >= at {
					cancel()
				}
				return nil
			})
			if at >= n { // at some moment after the body is read
				time.AfterFunc(time.Duration(rng.IntN(20))*time.Millisecond, cancel)
			}
			begin := time.Now()
			err := sink.Put(ctx, &c.Chunk)
			if took := time.Since(begin); took > limit {
				t.Errorf("seed %d: a cancelled put took %v", seed, took)
			}
			cancel()
			if err != nil {
				s.check(t, err, fault.Retryable, fault.Unavailable)
			}
		}
		c.OnRead(nil)
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		if err := sink.Put(ctx, &c.Chunk); err != nil {
			t.Fatalf("seed %d: put after a cancelled one: %v", seed, err)
		}
		cancel()
		chunks = append(chunks, c)
	}
	if !s.AtLeastOnce {
		s.want(t, chunks...)
	}
	for _, c := range chunks {
		c.checkClosed(t)
	}
}

func failingBodyIsPutAgain(t *testing.T, s *suite) {
	sink := s.open(t)
	broken := errors.New("the spool cannot be read")
	var chunks []*Chunk
	for _, n := range []int64{100_000, s.large()} {
		c := Random("failing/", n)
		c.OnRead(func(offset int64) error {
			if offset >= n/2 {
				return broken
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := sink.Put(ctx, &c.Chunk)
		cancel()
		if err == nil {
			t.Errorf("put of a body that cannot be read has no error")
		} else if fault.ClassOf(err) == fault.Permanent {
			t.Errorf("put of a body that cannot be read is permanent: %v", err)
		}
		if !s.AtLeastOnce && s.Objects != nil {
			if got, ok := s.Objects(t)[c.Key]; ok {
				t.Errorf("half a body became an object of %d bytes", len(got))
			}
		}
		c.OnRead(nil)
		put(t, sink, c)
		chunks = append(chunks, c)
	}
	if !s.AtLeastOnce {
		s.want(t, chunks...)
	}
}

// The spool's bytes can rot. What is not what was sealed must not become an object under the sealed name.
func changedBodyIsRefused(t *testing.T, s *suite) {
	needs(t, !s.AtLeastOnce, "take back what it has written")
	sink := s.open(t)
	for _, n := range []int64{1000, s.large()} {
		c := Random("changed/", n)
		c.Bytes[n/2] ^= 1
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := sink.Put(ctx, &c.Chunk)
		cancel()
		s.check(t, err, fault.Permanent)
		c.checkClosed(t)
	}
	s.want(t)
}

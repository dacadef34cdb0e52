package sinktest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

func conflictIsPermanent(t *testing.T, s *suite) {
	needs(t, s.Plant != nil, "hold an object of somebody else")
	sink := s.open(t)
	for _, n := range []int64{1000, s.large()} {
		c := Random("conflict/", n)
		theirs := Random("", n) // of the same size
		s.Plant(t, c.Key, theirs.Bytes)
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := sink.Put(ctx, &c.Chunk)
		cancel()
		s.check(t, err, fault.Permanent)
		if code := fault.CodeOf(err); code != "sink.conflict" {
			t.Errorf("code is %s", code)
		}
		if s.Objects != nil && string(s.Objects(t)[c.Key]) != string(theirs.Bytes) {
			t.Errorf("the other's object has changed")
		}
		c.checkClosed(t)
	}
}

// hostile are keys that no delivery makes, and what one might become on its way to a file system or a URL.
var hostile = []string{
	"", ".", "..", "/", "//", "a/", "a//b", "./a", "a/./b", "../escaped", "a/../../escaped", "a/..", "../../../../tmp/escaped",
	"/absolute", "//host/share", `..\escaped`, `C:\escaped`, "a\x00b", "\x00", "a\nb\r\n", "a\x1b[31mred", "a\x7f", "a\xffb", "\xc0\xae\xc0\xae/escaped",
	"%2e%2e/escaped", "~/escaped", "-rf", "$(touch escaped)", "a?b=c", "a#b", "a b+c", "CON", ".leat-tmp/x", "a\u202eb", "\ufeffa",
	strings.Repeat("k", 256), strings.Repeat("k", 1025), strings.Repeat("d/", 511) + "x", strings.Repeat("d/", 5000) + "x",
	strings.Repeat("ü", 600),
}

func hostileKeysAreHarmless(t *testing.T, s *suite) {
	sink := s.open(t)
	var before []string
	if s.Outside != nil {
		before = s.Outside(t)
	}
	stored := 0
	for _, key := range hostile {
		c := NewChunk("0123456789abcdef", key, []byte("harmless"))
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := sink.Put(ctx, &c.Chunk)
		cancel()
		if err == nil {
			stored++
			continue
		}
		if s.check(t, err, fault.Permanent); t.Failed() {
			t.Fatalf("key %.80q", key)
		}
		if strings.ContainsAny(err.Error(), "\x00\n\x1b\x7f") || len(err.Error()) > 2500 {
			t.Errorf("key %.80q: the error repeats it raw: %.300q", key, err)
		}
	}
	if s.Outside != nil {
		if after := s.Outside(t); !slices.Equal(before, after) {
			t.Errorf("outside was %q, now is %q", before, after)
		}
	}
	if s.Objects != nil {
		objects := s.Objects(t)
		if len(objects) > stored {
			t.Errorf("%d puts were acknowledged and there are %d objects", stored, len(objects))
		}
		for key, body := range objects {
			if string(body) != "harmless" {
				t.Errorf("%q holds %q", key, body)
			}
		}
	}
	fine := Random("fine/", 10)
	put(t, sink, fine)
}

func unreachableIsNotPermanent(t *testing.T, s *suite) {
	needs(t, s.Unreachable != nil, "be out of reach")
	sink := closing(t, s.Unreachable(t))
	for _, n := range []int64{1000, s.large()} {
		c := Random("x/", n)
		s.check(t, inTime(t, sink, c, time.Second/2), fault.Retryable, fault.Unavailable)
		c.checkClosed(t)
	}
	if prober, ok := sink.(delivery.Prober); ok {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		s.check(t, prober.Probe(ctx), fault.Retryable, fault.Unavailable)
	}
}

func deniedIsUnauthorized(t *testing.T, s *suite) {
	needs(t, s.Denied != nil, "deny access")
	sink := closing(t, s.Denied(t))
	for _, n := range []int64{1000, s.large()} {
		c := Random("x/", n)
		s.check(t, inTime(t, sink, c, limit), fault.Unauthorized)
		c.checkClosed(t)
	}
	if prober, ok := sink.(delivery.Prober); ok {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s.check(t, prober.Probe(ctx), fault.Unauthorized)
	}
}

package kinesis

import (
	"strings"
	"testing"
)

func TestTheServiceLooksNoFurtherAfterTenViolations(t *testing.T) {
	var v violations
	for range 12 {
		v.required("records.1.member.data", true)
	}
	const one = "Value null at 'records.1.member.data' failed to satisfy constraint: Member must not be null"
	want := "ValidationException: 10 validation errors detected: " + strings.Repeat(one+"; ", 9) + one
	if err := v.err(); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestCharactersAreCountedNotBytes(t *testing.T) {
	kind := text{least: 1, most: 3}
	for s, ok := range map[string]bool{"": false, "ä": true, "äöü": true, "äöüß": false, "\xff\xff\xff": true} {
		var v violations
		kind.check(&v, "key", &s)
		if (v.err() == nil) != ok {
			t.Errorf("%q: %v", s, v.err())
		}
	}
}

func TestErrorsShowTheBeginningOfLongValues(t *testing.T) {
	for name, check := range map[string]func(*violations, string){
		"name":          func(v *violations, s string) { streamName.check(v, "streamName", &s) },
		"hash key":      func(v *violations, s string) { hashKey.check(v, "explicitHashKey", &s) },
		"partition key": func(v *violations, s string) { partitionKey.check(v, "partitionKey", &s) },
		"tag":           func(v *violations, s string) { v.tags(map[string]string{s: s}) },
		"tag to remove": func(v *violations, s string) { v.tagKeys([]string{s}) },
	} {
		var v violations
		check(&v, strings.Repeat("€", 1<<20))
		err := v.err()
		if err == nil {
			t.Errorf("%s: a long value passes", name)
			continue
		}
		if text := err.Error(); len(text) > 3*maxShown || !strings.Contains(text, "€...") {
			t.Errorf("%s: an error of %d bytes: %.200s", name, len(text), text)
		}
	}
}

func TestLongARNsCostNoTime(t *testing.T) {
	long := "arn:aws" + strings.Repeat(":kinesis:123456789012:stream/a/consumer/", 100_000)
	for name, kind := range map[string]text{"stream": streamARN, "consumer": consumerARN, "resource": resourceARN} {
		tried := false
		kind.matches = func(string) bool { tried = true; return false }
		var v violations
		if kind.check(&v, "arn", &long); tried || v.err() == nil {
			t.Errorf("%s: the pattern was tried: %v, the error is %.100v", name, tried, v.err())
		}
	}
}

func TestNoMoreViolationsAreToldThanTheServiceTells(t *testing.T) {
	var v violations
	for range maxViolations {
		v.required("a", true)
	}
	v.tags(map[string]string{"": strings.Repeat("v", maxTagValue+1)})
	if len(v) != maxViolations {
		t.Errorf("%d violations", len(v))
	}
}

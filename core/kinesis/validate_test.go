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

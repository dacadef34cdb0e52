package kinesis

import (
	"regexp"
	"testing"
)

func TestAStreamOfAnotherAccountOrRegionIsNotFound(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	for arn, account := range map[string]string{
		"arn:aws:kinesis:us-east-1:999999999999:stream/a":    "999999999999",
		"arn:aws:kinesis:eu-west-1:123456789012:stream/a":    "123456789012",
		"arn:aws-cn:kinesis:us-east-1:123456789012:stream/a": "123456789012",
	} {
		s.refused("DescribeStreamSummary", doc{"StreamARN": arn}, codeResourceNotFound, "Stream a under account "+account+" not found.")
	}
	must[any](s, "DescribeStreamSummary", doc{"StreamARN": s.streamARN("a"), "StreamName": "a"})
}

// FuzzForms compares the checks that are written by hand with the model's patterns.
func FuzzForms(f *testing.F) {
	f.Add("arn:aws:kinesis:us-east-1:123456789012:stream/orders")
	f.Add("arn:aws-us-gov:kinesis:us-gov-east-1:123456789012:stream/a.b-c_d")
	f.Add("arn:aws:kinesis::kinesis:x:123456789012:stream/a:123456789012:stream/b")
	f.Add("arn:aws:kinesis:us-east-1:12345678901:stream/a")
	f.Add("arn:aws:kinesis:us-east-1:123456789012:stream/")
	f.Add("orders_2.v-1")
	f.Add("\x00ä\n")
	name := regexp.MustCompile("^" + namePattern + "$")
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := isStreamARN(s), arnRegexp.MatchString(s); got != want {
			t.Errorf("isStreamARN(%q) is %v", s, got)
		}
		if got, want := isName(s), name.MatchString(s); got != want {
			t.Errorf("isName(%q) is %v", s, got)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	s := newServer(b, Config{})
	s.create("orders", 1)
	name, arn := "orders", s.streamARN("orders")
	for _, by := range []struct {
		kind      string
		name, arn *string
	}{{"name", &name, nil}, {"arn", nil, &arn}} {
		b.Run(by.kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v violations
				streamName.check(&v, "streamName", by.name)
				streamARN.check(&v, "streamARN", by.arn)
				k, err := s.find(by.name, by.arn)
				if err != nil || v.err() != nil || k.serving() != nil {
					b.Fatal(err, v)
				}
			}
		})
	}
}

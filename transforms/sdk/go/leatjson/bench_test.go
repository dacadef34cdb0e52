package leatjson

import (
	"encoding/json"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	data := []byte(benchEvent)
	var doc Doc
	doc.Field("level")
	b.Run("leatjson", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if err := doc.Parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Valid of encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("not valid")
			}
		}
	})
}

const benchEvent = `{"timestamp":"2026-11-23T05:41:07.000007Z","level":"info","service":"checkout","version":"1.42.7","host":"ip-10-0-12-34.eu-central-1.compute.internal",` +
	`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","message":"request completed: the cart was priced and the order was written","duration_ms":7.25,` +
	`"http":{"method":"POST","path":"/v1/carts/7/checkout?currency=EUR&lang=de","status":200,"bytes_in":512,"bytes_out":2048,"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36","remote":"203.0.113.77"},` +
	`"user":{"id":"u-7","email":"someone.7@example.com","plan":"business","roles":["buyer","admin"],"beta":true},` +
	`"order":{"id":1000007,"currency":"EUR","total":129.95,"items":[{"sku":"A-1000","qty":2,"price":49.98},{"sku":"B-2000","qty":1,"price":29.99}],"coupon":null},` +
	`"tags":["eu","web","retry=0"],"sampled":false}`

package jsonpath

import "testing"

func BenchmarkRun(b *testing.B) {
	const line = `{"time":"2026-11-23T10:11:12.345678Z","level":"error","status":503,"method":"GET","path":"/api/v1/users/12345/orders?limit=50","host":"web-17.eu-central.example.net","user":{"id":"u-8842","plan":"pro"},"duration_ms":182.4,"bytes":18231,"agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"}`
	data := []byte(line)
	set := NewSet(Path{Key("level")}, Path{Key("user"), Key("id")})
	var s Scan
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Run(set, data); !ok {
			b.Fatal("not JSON")
		}
	}
}

package jsonpath

import "testing"

const line = `{"time":"2026-11-23T10:11:12.345678Z","level":"error","status":503,"method":"GET","path":"/api/v1/users/12345/orders?limit=50","host":"web-17.eu-central.example.net","user":{"id":"u-8842","plan":"pro"},"duration_ms":182.4,"bytes":18231,"agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"}`

func BenchmarkRun(b *testing.B) {
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

func BenchmarkDecode(b *testing.B) {
	data := []byte(line)
	b.Run("jsonpath", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, ok := Decode(data, asNumber); !ok {
				b.Fatal("not JSON")
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := byJSON(data); !ok {
				b.Fatal("not JSON")
			}
		}
	})
}

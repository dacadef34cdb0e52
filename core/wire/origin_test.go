package wire_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/wire"
)

func TestHostsAndOrigins(t *testing.T) {
	c := client(t, h1, "")
	addr := serve(t, wire.Config{Hosts: []string{"leat"}, CORSOrigins: []string{"https://console.example.com"}})
	port := addr[strings.LastIndex(addr, ":"):]
	for host, ok := range map[string]bool{
		"localhost": true, "localhost.": true, "a.LocalHost:80": true, "127.0.0.1": true, "[::1]:4567": true, "192.168.0.7:1": true, "leat:4567": true,
		"leat.example.com": false, "notlocalhost": false, "127.0.0.1.example.com": false,
	} {
		r := post(t, "http://"+addr, "Greeter_1.Greet", strings.NewReader("{}"))
		r.Host = host
		if res, body := do(t, c, r); (res.StatusCode == 200) != ok {
			t.Errorf("as %s: %d %s", host, res.StatusCode, body)
		}
	}
	for origin, ok := range map[string]bool{
		"http://localhost:3000": true, "http://127.0.0.1": true, "http://[::1]:80": true, "https://console.example.com": true, "http://leat" + port: true,
		"https://console.example.com.evil.org": false, "null": false, "http://localhost.evil.org": false, "http://192.168.0.7": false,
	} {
		r := post(t, "http://"+addr, "", nil)
		r.Method, r.Host = http.MethodOptions, "leat"+port
		r.Header = http.Header{"Origin": {origin}, "Access-Control-Request-Headers": {"content-type,x-amz-target"}, "Access-Control-Request-Method": {"POST"}}
		res, body := do(t, c, r)
		h := res.Header
		if !ok {
			if res.StatusCode != 403 || h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d %v", origin, res.StatusCode, h)
			}
			continue
		}
		if res.StatusCode != 200 || body != "" || h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Max-Age") != "172800" ||
			h.Get("Access-Control-Allow-Headers") != "content-type,x-amz-target" || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("x-amz-id-2") != "" {
			t.Errorf("%s: %d %v %q", origin, res.StatusCode, h, body)
		}
		r = post(t, "http://"+addr, "Greeter_1.Greet", strings.NewReader("{}"))
		r.Host = "leat" + port
		r.Header.Set("Origin", origin)
		if res, _ := do(t, c, r); res.StatusCode != 200 || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "x-amzn-RequestId") {
			t.Errorf("%s: %d %v", origin, res.StatusCode, res.Header)
		}
	}
}

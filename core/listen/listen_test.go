package listen

import (
	"net"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
)

func TestOnlyThisMachineReachesAListener(t *testing.T) {
	for addr, code := range map[string]string{
		"127.0.0.1:0": "", "localhost:0": "", "127.9.9.9:0": "",
		":0": "listen.not_loopback", "0.0.0.0:0": "listen.not_loopback", "[::]:0": "listen.not_loopback",
		"192.0.2.1:0": "listen.not_loopback", "example.com:0": "listen.not_loopback",
		"4567": "listen.address", "": "listen.address", "127.0.0.1:http_": "listen.address", "127.0.0.1:99999": "listen.address",
	} {
		l, err := TCP(addr, Options{Flag: "--addr", Example: "127.0.0.1:4567"})
		if err == nil {
			_ = l.Close()
		} else if !strings.Contains(fault.HintOf(err), "--addr") {
			t.Errorf("%s: the hint %q does not name the option", addr, fault.HintOf(err))
		}
		if got := codeOf(err); got != code {
			t.Errorf("%s: %v, want the code %q", addr, err, code)
		}
	}
	l, err := TCP("0.0.0.0:0", Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestATakenPortIsSaid(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = TCP(first.Addr().String(), Options{Flag: "--addr"})
	if codeOf(err) != "listen.failed" || !strings.Contains(err.Error(), first.Addr().String()) || !strings.Contains(fault.HintOf(err), "--addr") {
		t.Errorf("%v", err)
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.CodeOf(err)
}

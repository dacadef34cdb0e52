// Package emulator runs AWS's own Lambda runtime interface emulator for tests.
package emulator

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// Start runs a function, which is a program, with the variables under the emulator, and returns the URL to ask it at. It ends with the test, which
// ends at once if there is no emulator.
func Start(t testing.TB, program string, env ...string) string {
	t.Helper()
	path := testenv.Program(t, "aws-lambda-rie", "it is part of the Python package aws-sam-cli: samcli/local/rapid/aws-lambda-rie-x86_64")
	var ports [2]int
	var listeners []net.Listener
	for i := range ports { // both are free before either is used
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	address := fmt.Sprint("127.0.0.1:", ports[0])
	cmd := exec.Command(path, "--runtime-interface-emulator-address", address, "--runtime-api-address", fmt.Sprint("127.0.0.1:", ports[1]), program)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("the emulator printed:\n%s", &printed)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	return "http://" + address + "/2015-03-31/functions/function/invocations"
}

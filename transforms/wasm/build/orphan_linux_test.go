package build

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A leat that is killed takes its compiler along.
func TestACompilerDiesWithLeat(t *testing.T) {
	if dir := os.Getenv("LEAT_TEST_BUILD"); dir != "" {
		_, err := Build(t.Context(), Config{Dir: dir, CacheDir: filepath.Join(filepath.Dir(dir), "cache")})
		t.Fatal(err)
	}
	dir, bin := folder(t, map[string]string{"main.go": upper}), t.TempDir()
	pidFile := filepath.Join(bin, "pid")
	script(t, bin, `if [ "$1" = env ]; then echo go1.26.0; exit; fi
echo $$ > `+pidFile+`
exec sleep 600`)
	leat := exec.Command(os.Args[0], "-test.run=^TestACompilerDiesWithLeat$")
	leat.Env = append(os.Environ(), "LEAT_TEST_BUILD="+dir, "PATH="+bin+":/usr/bin:/bin")
	if err := leat.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for end := time.Now().Add(time.Minute); pid == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(pidFile); err == nil {
			pid, _ = strconv.Atoi(strings.TrimSpace(string(b))) // 0 until all is written
		}
	}
	if err := errors.Join(leat.Process.Kill(), leat.Wait()); err == nil || pid == 0 {
		t.Fatalf("the compiler %d of a leat that ends with %v", pid, err)
	}
	for end := time.Now().Add(time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it is a sleep of this test
			t.Fatalf("the compiler %d runs on", pid)
		}
	}
}

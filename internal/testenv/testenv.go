// Package testenv lets tests say what they need and how hard they try.
package testenv

import (
	"os"
	"os/exec"
	"testing"
)

// Full reports whether LEAT_TEST_FULL=1, as .ci/run sets it: then the crash and fuzz-like tests run the counts that the
// project promises, not those that keep a newcomer's first go test short.
func Full() bool { return os.Getenv("LEAT_TEST_FULL") == "1" }

// Count returns how many rounds a randomized test should run.
func Count(quick, full int) int {
	if Full() {
		return full
	}
	return quick
}

// Missing ends a test that lacks a program or a device: it skips with the reason, or fails under LEAT_TEST_REQUIRE=1.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("LEAT_TEST_REQUIRE") == "1" {
		t.Fatalf("LEAT_TEST_REQUIRE=1, and "+format, args...)
	}
	t.Skipf(format, args...)
}

// Wanted ends a test that needs a network and minutes unless the variable is 1: it skips with the reason. Under
// LEAT_TEST_REQUIRE=1 it fails, unless the variable is "elsewhere", with which a script says that it runs the test apart.
func Wanted(t testing.TB, variable, why string) {
	t.Helper()
	switch set := os.Getenv(variable); {
	case set == "1":
	case set != "elsewhere" && os.Getenv("LEAT_TEST_REQUIRE") == "1":
		t.Fatalf("LEAT_TEST_REQUIRE=1 wants %s=1, which makes it %s; or %s=elsewhere if that is done apart", variable, why, variable)
	default:
		t.Skipf("%s=1 makes it %s", variable, why)
	}
}

// Program returns the path of a program on PATH; without it the test ends as with Missing.
func Program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "%s is not on PATH (%s)", name, install)
	}
	return path
}

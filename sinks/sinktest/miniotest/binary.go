package miniotest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// version is the MinIO that is built when there is none on PATH. It is run, never linked.
const version = "v0.0.0-20260212201848-7aac2a2c5b7c"

// binary is the path of a MinIO server, or an error that says why there is none. It is looked for once a process.
var binary = sync.OnceValues(func() (string, error) {
	if path, err := exec.LookPath("minio"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "leat", "bin")
	path := filepath.Join(dir, "minio@"+version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, build(dir, path)
})

// build builds MinIO into path, unless another process does so first.
func build(dir, path string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("minio is not on PATH, and without go on PATH it cannot be built")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "minio.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	temp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	fmt.Fprintf(os.Stderr, "miniotest: building MinIO into %s, once: about three minutes\n", path)
	cmd := exec.Command("go", "install", "github.com/minio/minio@"+version)
	cmd.Dir = temp // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+temp, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		return fmt.Errorf("minio is not on PATH, and building it failed: %w: %s", err, text[strings.LastIndexByte(text, '\n')+1:])
	}
	return os.Rename(filepath.Join(temp, "minio"), path)
}

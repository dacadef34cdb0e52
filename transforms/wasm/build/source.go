package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms"
)

// Limits of a folder of source: a wrong path, such as the home folder, is noticed before all of it has been read.
const (
	maxFiles = 10_000
	maxBytes = 256 << 20
)

const (
	sdkModule = "github.com/leatstream/leat"
	sdkFolder = "transforms"
)

// source is a folder of Go source.
type source struct {
	given     string // as the user wrote it
	dir       string // absolute, without symbolic links, as the compiler sees it
	hasModule bool
	// reachesOut means that there are folders elsewhere whose files are not part of digest: go.mod replaces modules by them, or
	// links lead to them.
	reachesOut bool
	files      []string // relative to dir, sorted
	digest     [sha256.Size]byte
}

// readSource finds and digests the files that a build depends on. All of them count, because source may embed any.
func readSource(given string) (*source, error) {
	dir, err := filepath.Abs(given)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fault.New(fault.Permanent, CodeNoFolder, "find the transform's source: %w", err).
			WithHint("relative paths are relative to the pipeline file")
	}
	s := &source{given: given, dir: dir}
	h, size, goFiles := sha256.New(), int64(0), 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := name != dir && strings.HasPrefix(d.Name(), "."); hidden && d.IsDir() {
			return fs.SkipDir
		} else if hidden || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		switch info, err := os.Stat(name); { // the go command follows links
		case err != nil:
			return nil // a link to nowhere, of which the go command says more
		case info.IsDir():
			s.reachesOut = s.reachesOut || !d.IsDir()
			return nil
		case !info.Mode().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if size += int64(len(b)); size > maxBytes || len(s.files) >= maxFiles {
			return fmt.Errorf("the folder has more than %d files or %d MiB", maxFiles, maxBytes>>20)
		}
		if strings.HasSuffix(rel, ".go") && !strings.Contains(rel, string(filepath.Separator)) {
			goFiles++
		}
		if rel == "go.mod" {
			s.hasModule, s.reachesOut = true, s.reachesOut || replacesByFolder(b)
		}
		s.files = append(s.files, rel)
		fmt.Fprintf(h, "%q %d\n", rel, len(b))
		h.Write(b)
		return nil
	})
	switch {
	case err != nil:
		return nil, fault.New(fault.Permanent, CodeNoFolder, "read the transform's source in %s: %w", given, err)
	case goFiles == 0:
		return nil, fault.New(fault.Permanent, CodeNoFolder, "there is no Go source in %s", given).
			WithHint("a module is a .wasm file or a folder with a Go program")
	}
	h.Sum(s.digest[:0])
	return s, nil
}

// replacesByFolder reports whether a go.mod has a replace directive whose target is a folder.
func replacesByFolder(goMod []byte) bool {
	for line := range strings.Lines(string(goMod)) {
		_, target, ok := strings.Cut(line, "=>")
		if target = strings.Trim(target, " \t\r\n\"`"); ok && (strings.HasPrefix(target, ".") || filepath.IsAbs(target)) {
			return true
		}
	}
	return false
}

func (s *source) has(name string) bool {
	for _, f := range s.files {
		if f == name {
			return true
		}
	}
	return false
}

// key names what comes out of a build of the source with tool.
func (s *source) key(tool goTool) string {
	h := sha256.New()
	fmt.Fprintf(h, "leat build 1\nsource %x\ngo %s\nflags %q\n", s.digest, tool.version, buildArgs)
	if !s.hasModule {
		fmt.Fprintf(h, "sdk %s\n", sdkDigest())
	} else { // such a build obeys the user's settings
		fmt.Fprintf(h, "GOFLAGS %q GOEXPERIMENT %q dir %q\n", os.Getenv("GOFLAGS"), os.Getenv("GOEXPERIMENT"), s.dir)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// generateModule writes what stands in for the go.mod that the folder does not have: an overlay, so that the user's folder stays as
// it is and the compiler's messages name the user's files.
func (s *source) generateModule(work, cacheDir string, tool goTool) (overlay string, err error) {
	sdk, err := extractSDK(cacheDir)
	if err != nil {
		return "", err
	}
	goMod := filepath.Join(work, "go.mod")
	text := fmt.Sprintf("module transform\n\ngo %s\n\nrequire %s v0.0.0\n\nreplace %s => %q\n", tool.language, sdkModule, sdkModule, sdk)
	goSum := filepath.Join(work, "go.sum")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(s.dir, "go.mod"): goMod,
		filepath.Join(s.dir, "go.sum"): goSum,
	}})
	overlay = filepath.Join(work, "overlay.json")
	err = errors.Join(err,
		os.WriteFile(goMod, []byte(text), 0o600),
		os.WriteFile(goSum, nil, 0o600),
		os.WriteFile(overlay, b, 0o600))
	if err != nil {
		return "", cacheError("write the generated go.mod", err)
	}
	return overlay, nil
}

// eachSDKFile calls fn for every file of the SDK but its tests.
func eachSDKFile(fn func(name string, b []byte) error) error {
	return fs.WalkDir(transforms.GoSDK, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := transforms.GoSDK.ReadFile(name)
		if err != nil {
			return err
		}
		return fn(name, b)
	})
}

var sdkDigest = sync.OnceValue(func() string {
	h := sha256.New()
	err := eachSDKFile(func(name string, b []byte) error {
		fmt.Fprintf(h, "%q %d\n", name, len(b))
		_, err := h.Write(b)
		return err
	})
	if err != nil {
		panic(err) // the files are part of this program
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
})

// extractSDK writes the SDK's source to the cache, unless it is there, and returns its folder.
func extractSDK(cacheDir string) (string, error) {
	dir := filepath.Join(cacheDir, "sdk-"+sdkDigest())
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(cacheDir, "sdk-new-")
	if err != nil {
		return "", cacheError("extract the Go SDK", err)
	}
	defer os.RemoveAll(tmp)
	write := func(name string, b []byte) error {
		to := filepath.Join(tmp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	}
	err = errors.Join(
		write("go.mod", []byte("module "+sdkModule+"\n\ngo 1.24\n")),
		eachSDKFile(func(name string, b []byte) error { return write(path.Join(sdkFolder, name), b) }),
	)
	if err != nil {
		return "", cacheError("extract the Go SDK", err)
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(dir); there != nil {
			return "", cacheError("extract the Go SDK", err)
		}
	}
	return dir, nil
}

// goTool is the go command.
type goTool struct {
	path     string
	version  string // as "go env GOVERSION" prints it: go1.26.8
	language string // for go.mod: 1.26
}

// findGo finds the go command and asks for its version. Modules with exports need Go 1.24.
func findGo(ctx context.Context) (goTool, error) {
	p, err := exec.LookPath("go")
	if err != nil {
		return goTool{}, fault.New(fault.Permanent, CodeNoToolchain, "a folder of Go source needs the go command, which is not on PATH").
			WithHint("install Go 1.24 or newer from https://go.dev/dl, or give the path of a built .wasm file")
	}
	cmd := exec.CommandContext(ctx, p, "env", "GOVERSION")
	cmd.Dir = os.TempDir() // not where a go.mod may ask for another toolchain
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return goTool{}, context.Cause(ctx)
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return goTool{}, fault.New(fault.Permanent, CodeNoToolchain, "ask %s for its version: %w", p, err)
	}
	t := goTool{path: p, version: strings.TrimSpace(string(out))}
	var major, minor int
	if _, err := fmt.Sscanf(t.version, "go%d.%d", &major, &minor); err != nil {
		if !strings.HasPrefix(t.version, "devel") {
			return goTool{}, fault.New(fault.Permanent, CodeNoToolchain, "%s says that its version is %q", p, t.version)
		}
		major, minor = 1, 24
	}
	if major == 1 && minor < 24 {
		return goTool{}, fault.New(fault.Permanent, CodeOldGo, "%s is %s; building a transform needs Go 1.24 or newer", p, t.version).
			WithHint("install a newer Go from https://go.dev/dl, or give the path of a built .wasm file")
	}
	t.language = fmt.Sprintf("%d.%d", major, minor)
	return t, nil
}

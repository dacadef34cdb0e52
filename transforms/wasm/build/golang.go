package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

const (
	sdkModule = "github.com/leatstream/leat"
	sdkFolder = "transforms"
)

// A folder of Go without go.mod needs no module of its own: it is built as if it had one that requires the SDK. A folder with go.mod is
// built as it is.
var golang = language{
	name:    "Go",
	source:  func(file string) bool { return inRoot(file, ".go") },
	example: "main.go",
	escapes: func(file string, text []byte) bool { return file == "go.mod" && replacesByFolder(text) },
	find:    findGo,
}

// goArgs returns the flags of go build. -trimpath keeps the user's paths out of the module, so that the same source gives the same
// module everywhere; -s -w leave out debug information, a third of the size.
func goArgs(program bool) []string {
	mode := "c-shared"
	if program {
		mode = "exe"
	}
	return []string{"build", "-buildmode=" + mode, "-trimpath", "-ldflags=-s -w"}
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

// goTool is the go command.
type goTool struct {
	path     string
	version  string // as "go env GOVERSION" prints it: go1.26.8
	language string // for go.mod: 1.26
	module   string // the folder of the go.mod that the source has; empty if it has none
	args     []string
}

// findGo finds the go command and asks for its version. Modules with exports need Go 1.24.
func findGo(ctx context.Context, s *source) (toolchain, error) {
	p, err := exec.LookPath("go")
	if err != nil {
		return nil, noToolchain("a folder of Go source needs the go command, which is not on PATH").
			WithHint("install Go 1.24 or newer from https://go.dev/dl, or give the path of a built .wasm file")
	}
	version, err := ask(ctx, p, "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	t := goTool{path: p, version: version, args: goArgs(s.program)}
	if s.has("go.mod") {
		t.module = s.dir
	}
	var major, minor int
	if _, err := fmt.Sscanf(t.version, "go%d.%d", &major, &minor); err != nil {
		if !strings.HasPrefix(t.version, "devel") {
			return nil, noToolchain("%s says that its version is %q", p, t.version)
		}
		major, minor = 1, 24
	}
	if major == 1 && minor < 24 {
		return nil, fault.New(fault.Permanent, CodeOldGo, "%s is %s; building a transform needs Go 1.24 or newer", p, t.version).
			WithHint("install a newer Go from https://go.dev/dl, or give the path of a built .wasm file")
	}
	t.language = fmt.Sprintf("%d.%d", major, minor)
	return t, nil
}

func (t goTool) key() string {
	key := fmt.Sprintf("%s\nflags %q\n", t.version, t.args)
	if t.module == "" {
		return key + "sdk " + goSDK.digest()
	}
	// Such a build obeys the user's settings.
	return key + fmt.Sprintf("GOFLAGS %q GOEXPERIMENT %q dir %q", os.Getenv("GOFLAGS"), os.Getenv("GOEXPERIMENT"), t.module)
}

func (t goTool) compile(ctx context.Context, j *job) error {
	args := append(append([]string{}, t.args...), "-o", j.module)
	env := []string{"GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "CGO_ENABLED=0"}
	if t.module == "" {
		overlay, err := t.generateModule(j)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay, "-mod=mod")
		// Nothing is downloaded, but the go command wants a module cache, and finds none where HOME is not set, as in services.
		env = append(env, "GOFLAGS=", "GOPROXY=off", "GOTOOLCHAIN=local", "GOMODCACHE="+filepath.Join(j.cacheDir, "mod"))
	}
	return j.run(ctx, command{path: t.path, args: append(args, "."), env: env, hint: goHint})
}

func goHint(printed string) string {
	switch {
	case strings.Contains(printed, "module lookup disabled by GOPROXY=off"), strings.Contains(printed, "no required module provides"):
		return "a folder without go.mod may import the standard library and the leat SDK; for more, give it a go.mod (go mod init)"
	case strings.Contains(printed, "function main is undeclared"):
		return "a transform is a program: add func main() {}"
	case strings.Contains(printed, "requires exactly one main package"):
		return "a transform is a program: begin its files with package main"
	}
	return ""
}

// generateModule writes what stands in for the go.mod that the folder does not have: an overlay, so that the user's folder stays as
// it is and the compiler's messages name the user's files. The folder is built as if it were the root of the SDK's own module: a module that
// required it would be replaced by a folder, whose path Go puts into what it builds.
func (t goTool) generateModule(j *job) (overlay string, err error) {
	sdk, err := goSDK.extract(j.cacheDir)
	if err != nil {
		return "", err
	}
	goMod := filepath.Join(j.work, "go.mod")
	replace := map[string]string{filepath.Join(j.dir, "go.mod"): goMod}
	err = goSDK.each(func(name string, _ []byte) error {
		name = filepath.FromSlash(name)
		replace[filepath.Join(j.dir, name)] = filepath.Join(sdk, name)
		return nil
	})
	b, encodeErr := json.Marshal(map[string]map[string]string{"Replace": replace})
	overlay = filepath.Join(j.work, "overlay.json")
	err = errors.Join(err, encodeErr,
		os.WriteFile(goMod, []byte(fmt.Sprintf("module %s\n\ngo %s\n", sdkModule, t.language)), 0o600),
		os.WriteFile(overlay, b, 0o600))
	if err != nil {
		return "", cacheError("write the generated go.mod", err)
	}
	return overlay, nil
}

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// A module in AssemblyScript begins with assembly/index.ts or index.ts. An asconfig.json beside it may add options, but its entries are
// leat's.
var assemblyScript = language{
	name:    "AssemblyScript",
	source:  func(file string) bool { return file == "assembly/index.ts" || file == "index.ts" },
	example: "assembly/index.ts",
	escapes: func(file string, text []byte) bool {
		return strings.HasSuffix(file, ".ts") && slices.ContainsFunc(tsImports.FindAllSubmatch(text, -1), func(m [][]byte) bool { return leaves(file, string(m[1])) })
	},
	skip: func(dir string) bool { return dir == "build" },
	find: findASC,
}

var tsImports = regexp.MustCompile(`(?:from|import)\s*["'](\.[^"'\n]*)["']`)

// ascArgs are the flags of asc. The runtime minimal collects garbage when the SDK says so, between records, and has no stack of its own to
// keep; abort would be an import that leat does not offer.
var ascArgs = []string{
	"--optimizeLevel", "3", "--shrinkLevel", "0", "--runtime", "minimal", "--exportStart", "_initialize", "--noColors",
	"--use", "abort=~lib/@leatstream/transform/index/leat_abort", "--use", "__new=~lib/@leatstream/transform/heap/leat_new",
}

const installASC = "in the folder, or in one above it: npm install --save-dev assemblyscript; or give the path of a built .wasm file"

// asc is the AssemblyScript compiler.
type asc struct {
	path    string
	version string
}

// findASC finds asc in node_modules of the folder or of those above it, else on PATH.
func findASC(ctx context.Context, s *source) (toolchain, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, noToolchain("a folder of AssemblyScript source needs Node.js, which is not on PATH").
			WithHint("install it from https://nodejs.org or, on Debian, by apt install nodejs npm; or give the path of a built .wasm file")
	}
	path := ""
	for dir := s.dir; path == ""; dir = filepath.Dir(dir) {
		if found, err := exec.LookPath(filepath.Join(dir, "node_modules", ".bin", "asc")); err == nil {
			path = found
		} else if dir == filepath.Dir(dir) {
			break
		}
	}
	if path == "" {
		found, err := exec.LookPath("asc")
		if err != nil {
			return nil, noToolchain("a folder of AssemblyScript source needs asc, which is neither in its node_modules nor on PATH").WithHint(installASC)
		}
		path = found
	}
	version, err := ascVersion(ctx, path)
	return asc{path, version}, err
}

// ascVersion reads the version of asc where npm has put it: to ask asc itself takes half a second.
func ascVersion(ctx context.Context, path string) (string, error) {
	if script, err := filepath.EvalSymlinks(path); err == nil {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(script)), "package.json")); err == nil {
			var p struct{ Name, Version string }
			if json.Unmarshal(b, &p) == nil && p.Name == "assemblyscript" && p.Version != "" {
				return p.Version, nil
			}
		}
	}
	return ask(ctx, path, "--version")
}

func (t asc) key() string {
	return fmt.Sprintf("asc %s\nflags %q\nsdk %s", t.version, ascArgs, assemblyScriptSDK.digest())
}

func (t asc) compile(ctx context.Context, j *job) error {
	sdk, err := assemblyScriptSDK.extract(j.cacheDir)
	if err != nil {
		return err
	}
	config, err := j.ascConfig()
	if err != nil {
		return err
	}
	entry := "index.ts"
	if j.has("assembly/index.ts") {
		entry = "assembly/index.ts"
	}
	entries := filepath.Join(sdk, "@leatstream", "transform")
	args := append([]string{entry, filepath.Join(entries, "exports.ts"), filepath.Join(entries, "count.ts"), "--path", sdk, "--config", config, "-o", j.module}, ascArgs...)
	return j.run(ctx, command{path: t.path, args: args, aliases: []string{"~lib/@leatstream", "@leatstream"}, hint: func(printed string) string {
		if strings.Contains(printed, "import { ") && strings.Contains(printed, "not found") {
			return "the SDK is imported from \"@leatstream/transform\""
		}
		return ""
	}})
}

// ascConfig writes the configuration for asc: the folder's, if there is one, without its entries.
func (j *job) ascConfig() (string, error) {
	path := filepath.Join(j.work, "asconfig.json")
	config := map[string]any{}
	b, err := os.ReadFile(filepath.Join(j.dir, "asconfig.json"))
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Permanent, CodeFailed, "read %s: %w", filepath.Join(j.given, "asconfig.json"), err)
	}
	delete(config, "entries")
	if b, err = json.Marshal(config); err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return "", cacheError("write the configuration of asc", err)
	}
	return path, nil
}

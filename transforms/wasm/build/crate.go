package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// crate is what a build by rustc alone needs to know of a crate.
type crate struct {
	// plain means that rustc alone can build it: its manifest asks for nothing but the SDK.
	plain   bool
	root    string // its first file, relative to the folder
	edition string
}

// readCrate reads Cargo.toml, as much of it as matters.
func readCrate(s *source) (crate, error) {
	c := crate{plain: true, root: "src/lib.rs", edition: "2021"}
	if !s.has("Cargo.toml") {
		if s.has("lib.rs") {
			c.root = "lib.rs"
		}
		return c, nil
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "Cargo.toml"))
	if err != nil {
		return c, fault.New(fault.Permanent, CodeNoFolder, "read the transform's source in %s: %w", s.given, err)
	}
	c.parse(string(b))
	c.plain = c.plain && !s.has("build.rs") && s.has(c.root)
	return c, nil
}

// parse takes what matters from the text of a manifest. What it does not know is not plain.
func (c *crate) parse(manifest string) {
	c.edition = "2015" // as for cargo, if the manifest does not say
	section := ""
	for line := range strings.Lines(manifest) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section, _, _ = strings.Cut(line[1:], "]")
			section = strings.TrimSpace(section)
			c.plain = c.plain && slices.Contains([]string{"package", "lib", "dependencies", "dev-dependencies"}, section)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case !ok: // the rest of a list
		case section == "package" && key == "edition":
			c.edition = value
		case section == "package" && (key == "build" || key == "links" || key == "workspace" || strings.Contains(key, ".")):
			c.plain = false
		case section == "lib" && key == "path":
			c.root = value
		case section == "lib" && key == "proc-macro":
			c.plain = false
		case section == "dependencies":
			c.plain = c.plain && key == "leat-transform" && !strings.Contains(value, "path") && !strings.Contains(value, "features")
		}
	}
	c.plain = c.plain && !strings.ContainsAny(c.edition+c.root, " \"'#")
}

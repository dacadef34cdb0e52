// Package rules holds the rules that the whole tree keeps: who imports whom, what users' builds may pull in, how long a
// file may be, and under which licences the modules stand that leat links. Its tests apply them to the tree; seeded
// violations show that each rule can fail.
package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/leatstream/leat"

// Package is what the rules need of the output of go list.
type Package struct {
	ImportPath string
	Name       string
	Dir        string
	Standard   bool
	Imports    []string
	CgoFiles   []string
	Module     *ModuleInfo
}

// ModuleInfo is where a package comes from.
type ModuleInfo struct {
	Path    string
	Version string
	Dir     string
	Main    bool
}

// local returns the package's path inside this module; ok is false for others.
func (p *Package) local() (path string, ok bool) { return local(p.ImportPath) }

func local(importPath string) (string, bool) {
	if importPath == Module {
		return "", true
	}
	return strings.CutPrefix(importPath, Module+"/")
}

// List runs go list -deps in dir for the patterns and returns the packages, dependencies first.
func List(dir string, patterns ...string) ([]Package, error) {
	args := append([]string{"list", "-deps", "-json=ImportPath,Name,Dir,Standard,Imports,CgoFiles,Module"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	var pkgs []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list's output: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

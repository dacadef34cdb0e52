package rules

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// MaxLines is the length of a Go file that is still one thing.
const MaxLines = 450

// CheckFiles returns the Go files below root that are longer than MaxLines.
func CheckFiles(root fs.FS) ([]string, error) {
	var broken []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "leat-data") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if os.IsNotExist(err) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		if n := bytes.Count(src, []byte("\n")); n > MaxLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines, more than %d: it does more than one thing", name, n, MaxLines))
		}
		return nil
	})
	return broken, err
}

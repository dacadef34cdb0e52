package build

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leatstream/leat/transforms"
)

// sdk is the source of an SDK, which is part of this program.
type sdk struct {
	files embed.FS
	// root is the folder of files that is extracted; the others are no part of it.
	root string
	// under is where root goes in the folder that extract makes.
	under  string
	digest func() string
}

func newSDK(files embed.FS, root, under string) *sdk {
	s := &sdk{files: files, root: root, under: under}
	s.digest = sync.OnceValue(func() string {
		h := sha256.New()
		err := s.each(func(name string, b []byte) error {
			fmt.Fprintf(h, "%q %d\n", name, len(b))
			_, err := h.Write(b)
			return err
		})
		if err != nil {
			panic(err) // the files are part of this program
		}
		return hex.EncodeToString(h.Sum(nil)[:16])
	})
	return s
}

// each calls fn for every file of the SDK, but for its tests, with its path in the extracted folder.
func (s *sdk) each(fn func(name string, b []byte) error) error {
	return fs.WalkDir(s.files, s.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		b, err := s.files.ReadFile(name)
		if err != nil {
			return err
		}
		return fn(path.Join(s.under, strings.TrimPrefix(name, s.root)), b)
	})
}

// extract writes the SDK to the cache, unless it is there, and returns its folder.
func (s *sdk) extract(cacheDir string) (string, error) {
	dir := filepath.Join(cacheDir, "sdk-"+s.digest())
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(cacheDir, "sdk-new-")
	if err != nil {
		return "", cacheError("extract the SDK", err)
	}
	defer os.RemoveAll(tmp)
	err = s.each(func(name string, b []byte) error {
		to := filepath.Join(tmp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	})
	if err != nil {
		return "", cacheError("extract the SDK", err)
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(dir); there != nil {
			return "", cacheError("extract the SDK", err)
		}
	}
	return dir, nil
}

// The SDKs of each language.
var (
	goSDK             = newSDK(transforms.GoSDK, ".", sdkFolder)
	cSDK              = newSDK(transforms.CSDK, "sdk/c", "")
	rustSDK           = newSDK(transforms.RustSDK, "sdk/rust", "")
	assemblyScriptSDK = newSDK(transforms.AssemblyScriptSDK, "sdk/assemblyscript", "@leatstream/transform")
)

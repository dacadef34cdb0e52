package build

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// language is one that leat builds folders of.
type language struct {
	name string
	// source reports whether a file of the folder, by its path in it, tells the language.
	source func(file string) bool
	// example is a file that does.
	example string
	// escapes reports whether a file refers to one outside the folder.
	escapes func(file string, text []byte) bool
	// skip reports whether a folder in the folder holds what tools have made; nil is none.
	skip func(dir string) bool
	// find finds the compiler on this machine.
	find func(ctx context.Context, s *source) (toolchain, error)
}

// toolchain is a compiler that was found.
type toolchain interface {
	// key is what a build depends on besides the source.
	key() string
	// compile makes j.module. Its errors are [*fault.Error], or that of the context.
	compile(ctx context.Context, j *job) error
}

var languages = []*language{&golang, &rust, &cFamily, &assemblyScript}

// detect finds the language of a folder by its files.
func detect(given string, files []string) (*language, error) {
	var found *language
	var because string
	for _, l := range languages {
		i := slices.IndexFunc(files, l.source)
		switch {
		case i < 0:
		case found == nil:
			found, because = l, files[i]
		default:
			return nil, fault.New(fault.Permanent, CodeAmbiguous, "%s holds source in %s (%s) and in %s (%s)", given, found.name, because, l.name, files[i]).
				WithHint("a module has a folder of its own, with source in one language")
		}
	}
	if found == nil {
		var examples []string
		for _, l := range languages {
			examples = append(examples, l.name+" ("+l.example+")")
		}
		return nil, fault.New(fault.Permanent, CodeNoFolder, "there is no source of a transform in %s", given).
			WithHint("a module is a .wasm file or a folder with source in %s or %s", strings.Join(examples[:len(examples)-1], ", "), examples[len(examples)-1])
	}
	return found, nil
}

// inRoot reports whether a file lies in the folder itself and has one of the extensions. Tests are no source.
func inRoot(file string, extensions ...string) bool {
	ext := path.Ext(file)
	return !strings.Contains(file, "/") && slices.Contains(extensions, ext) && !strings.HasSuffix(file, "_test"+ext)
}

// leaves reports whether a relative path, as a file refers to another by it, leads out of the folder.
func leaves(file, to string) bool {
	to = path.Join(path.Dir(file), to)
	return to == ".." || strings.HasPrefix(to, "../")
}

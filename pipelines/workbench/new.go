package workbench

import (
	"embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// templates has a folder for each language, and the files that all of them get. Every name ends in .txt, so that no tool takes
// them for source.
//
//go:embed templates
var templates embed.FS

// Languages are those that [New] knows, as it is told them.
var Languages = []string{"go", "rust", "c", "as"}

// folders are the templates of languages, by all names that they go by.
var folders = map[string]string{
	"go": "go", "golang": "go", "rust": "rust", "rs": "rust", "c": "c", "c++": "c", "cpp": "c", "as": "assemblyscript", "assemblyscript": "assemblyscript",
}

// names are those that a pipeline, a stage and a code of failures can have.
var names = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)

// New makes dir, whose last part is the transform's name, with source, a table of tests and a pipeline, and returns the files. If anything is there
// already it does nothing.
func New(dir, language string) (files []string, err error) {
	folder := folders[strings.ToLower(language)]
	if folder == "" {
		return nil, fault.New(fault.Permanent, CodeLanguage, "there is no SDK for the language %q", language).
			WithHint("the languages are %s", strings.Join(Languages, ", "))
	}
	if dir == "" { // nameOf would take the working directory's
		return nil, fault.New(fault.Permanent, CodeName, "a transform needs a name").WithHint("such as leat transform new drop-debug")
	}
	name := nameOf(dir)
	if !names.MatchString(name) || len(name) > 64 {
		return nil, fault.New(fault.Permanent, CodeName, "%q is no name for a transform", name).
			WithHint("a lower-case letter, then more and digits, in parts joined by - or _, such as drop-debug")
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil, fault.New(fault.Permanent, CodeExists, "%s is there already", dir).WithHint("choose another name, or remove it")
	}
	text := strings.NewReplacer("{{name}}", name, "{{code}}", strings.ReplaceAll(name, "-", "_"), "{{dir}}", ShellWord(filepath.ToSlash(dir)))
	for _, from := range []string{path.Join("templates", folder), "templates/all"} {
		err := fs.WalkDir(templates, from, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := templates.ReadFile(file)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(strings.TrimPrefix(file, from+"/"), ".txt")))
			files = append(files, to)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			return os.WriteFile(to, []byte(text.Replace(string(b))), 0o666)
		})
		if err != nil {
			return nil, fault.New(fault.Permanent, CodeFile, "make the transform: %w", err)
		}
	}
	return files, nil
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// ShellWord returns the text that a shell takes for s.
func ShellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package reference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

// codesIn returns the codes in the source of built-in transforms, by the transform's key: texts that begin with it and a dot. Those
// of settings, in calls that take the configuration's node, those of errors that are not about a record, in calls of fault.New, and those
// in Doc are left out. Under the empty key are the ends of codes that
// several transforms share: texts that begin with the dot.
func codesIn(t *testing.T, pattern string, keys []string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	found := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name != "Doc"
			case *ast.CallExpr:
				return (len(n.Args) == 0 || !isNode(n.Args[0])) && !isFault(n.Fun)
			case *ast.KeyValueExpr: // of the settings of another package
				id, ok := n.Key.(*ast.Ident)
				return !ok || id.Name != "Code"
			case *ast.BasicLit:
				text, err := strconv.Unquote(n.Value)
				key, _, ok := strings.Cut(text, ".")
				if n.Kind == token.STRING && err == nil && ok && (key == "" || slices.Contains(keys, key)) && isCode(text) && !slices.Contains(found[key], text) {
					found[key] = append(found[key], text)
				}
			}
			return true
		})
	}
	return found
}

// isNode reports whether an argument is &c.Node, or n, as the functions that take a node call it.
func isNode(arg ast.Expr) bool {
	if addr, ok := arg.(*ast.UnaryExpr); ok && addr.Op == token.AND {
		sel, ok := addr.X.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Node"
	}
	id, ok := arg.(*ast.Ident)
	return ok && id.Name == "n"
}

// isFault reports whether a function is fault.New.
func isFault(fun ast.Expr) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "New" {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "fault"
}

func isCode(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && r != '.' && (r < '0' || r > '9') }) &&
		strings.Count(text, ".") == 1 && !strings.HasSuffix(text, ".")
}

// compareCodes says how the codes that the pages list differ from those that the source has.
func compareCodes(listed, used map[string][]string) (wrong []string) {
	for _, key := range slices.Sorted(maps.Keys(listed)) {
		for _, code := range listed[key] {
			if !slices.Contains(used[key], code) && !slices.Contains(used[""], strings.TrimPrefix(code, key)) {
				wrong = append(wrong, "the page of "+key+" lists "+code+", which nothing fails with")
			}
		}
		for _, code := range used[key] {
			if !slices.Contains(listed[key], code) {
				wrong = append(wrong, "the page of "+key+" does not list "+code)
			}
		}
	}
	return wrong
}

func TestCodesOfFailuresAreThoseOfThePages(t *testing.T) {
	listed := map[string][]string{}
	total := 0
	for key, c := range spec.Builtins() {
		listed[key] = nil
		for _, code := range c.Doc().Codes {
			if code.Meaning == "" {
				t.Errorf("%s has no meaning", code.Name)
			}
			listed[key] = append(listed[key], code.Name)
			total++
		}
	}
	for _, wrong := range compareCodes(listed, codesIn(t, "../../transforms/builtin/*.go", slices.Sorted(maps.Keys(listed)))) {
		t.Error(wrong)
	}
	if total < 10 {
		t.Errorf("only %d codes", total)
	}
}

func TestCodesThatDifferAreNoticed(t *testing.T) {
	listed := map[string][]string{"seeded": {"seeded.one", "seeded.gone", "seeded.shared"}}
	got := compareCodes(listed, codesIn(t, "testdata/*.go.txt", []string{"seeded"}))
	want := []string{"the page of seeded lists seeded.gone, which nothing fails with", "the page of seeded does not list seeded.new"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Codes that packages have as constants are on a page, but for those that no record fails with.
func TestCodesOfEveryStageAreThoseOfThePages(t *testing.T) {
	for _, c := range []struct {
		source string
		page   []builtin.Code
		not    []string // codes that are of no record, or how the comments of such begin
	}{
		{"../../core/stage/*.go", stageCodes, []string{"stage.stopped", "stage.paused", "stage.too_many_failures"}},
		{"../../transforms/lambda/errors.go", hosted["lambda"].Codes, []string{"lambda.invalid_config", "lambda.no_command", "lambda.not_a_command"}},
		{"../../transforms/wasm/errors.go", hosted["wasm"].Codes, []string{"Open"}},
	} {
		want := constantsIn(t, c.source, c.not)
		var got []string
		for _, code := range c.page {
			got = append(got, code.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || len(want) < 4 {
			t.Errorf("%s: the page lists\n%q, the source has\n%q", c.source, got, want)
		}
	}
}

// constantsIn returns the codes that are constants named code…, sorted, without those that are in not, or whose comment begins so.
func constantsIn(t *testing.T, pattern string, not []string) (found []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 || !strings.HasPrefix(strings.ToLower(v.Names[0].Name), "code") {
				return true
			}
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			code, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			begins := func(with string) bool { return code == with || strings.HasPrefix(v.Comment.Text(), with) }
			if !slices.ContainsFunc(not, begins) {
				found = append(found, code)
			}
			return true
		})
	}
	slices.Sort(found)
	return found
}

func TestConstantsOfCodesAreFound(t *testing.T) {
	if got := constantsIn(t, "testdata/*.go.txt", []string{"Open"}); !slices.Equal(got, []string{".shared", "constant.one"}) {
		t.Errorf("got %q", got)
	}
}

package rules

import (
	"fmt"
	"slices"
	"strings"
)

// layers are the top-level folders in the order of imports: a folder imports those of lower layers, and itself.
var layers = map[string]int{"core": 0, "sinks": 1, "transforms": 1, "plugins": 1, "pipelines": 2, "cmd": 3}

// coreOrder is the order of imports inside core: a package imports only what stands before it. A package's own
// sub-packages stand where it stands.
var coreOrder = []string{
	"arn", "fault", "listen", "record", "setting", "jsonpath", "query", "s3client", "vfs", "shardlog", "shardlog/disk", "observe", "state", "stream", "codec", "stage", "delivery",
	"engine", "datadir", "wire", "kinesis",
}

// stdlibOnly lists packages, and folders that end with a slash, which import nothing but the standard library.
var stdlibOnly = []string{"core/record", "transforms/wasm/abi", "transforms/sdk/"}

// vague are package names that say nothing.
var vague = []string{"util", "utils", "common", "misc", "manager", "helper", "helpers", "shared", "base"}

// CheckImports returns what breaks the import rules among pkgs, one sentence each. Tests' imports are not looked at.
func CheckImports(pkgs []Package) []string {
	var broken []string
	report := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		from, ok := p.local()
		if !ok {
			continue
		}
		if len(p.CgoFiles) > 0 {
			report("%s uses cgo (%s): leat builds without a C compiler", from, strings.Join(p.CgoFiles, ", "))
		}
		if slices.Contains(vague, p.Name) {
			report("%s: the package name %s says nothing about what it holds", from, p.Name)
		}
		if from != "" && !testOnly(from) && !known(from) {
			report("%s: not one of the top-level folders", from)
		}
		if inCore, ok := strings.CutPrefix(from, "core/"); ok && corePlace(inCore) < 0 {
			report("%s has no place in the order of core packages (internal/rules)", from)
		}
		for _, imp := range p.Imports {
			if why := forbidden(from, imp); why != "" {
				report("%s imports %s: %s", from, imp, why)
			}
		}
	}
	return broken
}

func known(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	_, ok := layers[top]
	return ok
}

// testOnly reports whether a package is made for tests and must not be linked into leat.
func testOnly(path string) bool {
	return strings.HasPrefix(path, "internal/")
}

// forbidden says why the package from, a path in this module, may not import imp; empty if it may.
func forbidden(from, imp string) string {
	to, ours := local(imp)
	standard := !ours && !strings.Contains(strings.Split(imp, "/")[0], ".")
	if isStdlibOnly(from) && !standard && !(ours && forGuests(from) && forGuests(to)) {
		return "it may import the standard library only"
	}
	if !ours {
		return ""
	}
	if testOnly(to) && !testOnly(from) && !isSuite(from) {
		return "internal packages are for tests"
	}
	if isSuite(to) && !isSuite(from) && !testOnly(from) {
		return "test suites are for tests"
	}
	fromTop, fromRest, _ := strings.Cut(from, "/")
	toTop, toRest, _ := strings.Cut(to, "/")
	fromLayer, ok1 := layers[fromTop]
	toLayer, ok2 := layers[toTop]
	switch {
	case !ok1 || !ok2:
		return ""
	case fromLayer < toLayer:
		return fmt.Sprintf("%s is above %s", toTop, fromTop)
	case fromLayer == toLayer && fromTop != toTop:
		return fmt.Sprintf("%s and %s do not know each other", fromTop, toTop)
	case fromTop == "sinks" && toTop == "sinks" && !isSuite(to) && first(fromRest) != first(toRest):
		return "sinks do not import each other"
	case fromTop == "core": // and so is toTop
		a, b := corePlace(fromRest), corePlace(toRest)
		if a >= 0 && b >= 0 && a < b {
			return fmt.Sprintf("inside core, %s stands above %s", coreOrder[b], coreOrder[a])
		}
	}
	return ""
}

func isStdlibOnly(path string) bool {
	for _, rule := range stdlibOnly {
		if path == rule || strings.HasPrefix(path, strings.TrimSuffix(rule, "/")+"/") {
			return true
		}
	}
	return false
}

// forGuests reports whether a package is part of what is built into modules: SDKs and the ABI they share.
func forGuests(path string) bool { return strings.HasPrefix(path, "transforms/") && isStdlibOnly(path) }

// isSuite reports whether a package is a conformance suite or a test peer: shardlogtest, sinktest and the like.
func isSuite(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		return strings.HasSuffix(part, "test") && part != "pipetest"
	})
}

func first(path string) string {
	top, _, _ := strings.Cut(path, "/")
	return top
}

// corePlace returns the place in coreOrder of a path below core, that of the longest entry it lies in; -1 if none.
func corePlace(path string) int {
	place, longest := -1, 0
	for i, name := range coreOrder {
		if (path == name || strings.HasPrefix(path, name+"/")) && len(name) > longest {
			place, longest = i, len(name)
		}
	}
	return place
}

// testLibraries are modules that only tests use.
var testLibraries = []string{
	"testing", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal",
	"github.com/anishathalye/porcupine", "github.com/Shopify/toxiproxy",
}

// CheckLinked returns what the binary, whose dependencies are pkgs, should not contain: test libraries and cgo.
func CheckLinked(pkgs []Package) []string {
	var broken []string
	for _, p := range pkgs {
		for _, lib := range testLibraries {
			if p.ImportPath == lib || strings.HasPrefix(p.ImportPath, lib+"/") {
				broken = append(broken, fmt.Sprintf("leat links %s, which is for tests", p.ImportPath))
			}
		}
		if len(p.CgoFiles) > 0 && !p.Standard {
			broken = append(broken, fmt.Sprintf("leat links %s, which uses cgo", p.ImportPath))
		}
	}
	return broken
}

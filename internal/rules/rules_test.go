package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const root = "../.."

func list(t *testing.T, patterns ...string) []Package {
	t.Helper()
	pkgs, err := List(root, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func TestImportsGoOneWay(t *testing.T) {
	for _, problem := range CheckImports(list(t, "./...")) {
		t.Error(problem)
	}
}

func TestTheBinaryLinksNeitherTestLibrariesNorCgo(t *testing.T) {
	for _, problem := range CheckLinked(list(t, "./cmd/leat")) {
		t.Error(problem)
	}
}

func TestLinkedModulesHaveAllowedLicences(t *testing.T) {
	problems, err := CheckLicences(list(t, "./cmd/leat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}

func TestFilesStayShort(t *testing.T) {
	problems, err := CheckFiles(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}

func TestCheckImportsFindsViolations(t *testing.T) {
	pkg := func(path string, imports ...string) Package {
		p := Package{ImportPath: Module + "/" + path, Name: filepath.Base(path)}
		for _, imp := range imports {
			if strings.HasPrefix(imp, "./") {
				imp = Module + imp[1:]
			}
			p.Imports = append(p.Imports, imp)
		}
		return p
	}
	for _, c := range []struct {
		pkg  Package
		want string // part of the sentence; empty: allowed
	}{
		{pkg("cmd/leat", "./pipelines/build", "./core/fault", "github.com/alecthomas/kong"), ""},
		{pkg("pipelines/build", "./sinks/s3", "./sinks/file", "./transforms/wasm", "./core/engine"), ""},
		{pkg("sinks/s3", "./core/delivery", "./sinks/s3/part"), ""},
		{pkg("sinks/sinktest", "./internal/testenv", "./core/delivery", "testing"), ""},
		{pkg("core/delivery", "./core/delivery/internal/seams", "./core/state"), ""},
		{pkg("transforms/wasm", "./transforms/wasm/abi", "./core/stage"), ""},
		{pkg("transforms/sdk/go", "encoding/json", "./transforms/sdk/go/internal/frame", "./transforms/wasm/abi"), ""},
		{pkg("core/delivery", "./sinks/file"), "sinks is above core"},
		{pkg("core/engine", "./pipelines/spec"), "pipelines is above core"},
		{pkg("sinks/file", "./pipelines/spec"), "pipelines is above sinks"},
		{pkg("pipelines/serve", "./cmd/leat"), "cmd is above pipelines"},
		{pkg("sinks/s3", "./sinks/file"), "sinks do not import each other"},
		{pkg("sinks/s3", "./transforms/wasm"), "do not know each other"},
		{pkg("transforms/wasm", "./plugins/host"), "do not know each other"},
		{pkg("core/shardlog", "./core/shardlog/disk"), "shardlog/disk stands above shardlog"},
		{pkg("core/vfs", "./core/state"), "state stands above vfs"},
		{pkg("core/secondhand"), "no place in the order"},
		{pkg("core/record", "github.com/google/uuid"), "standard library only"},
		{pkg("core/record", "./core/fault"), "standard library only"},
		{pkg("transforms/wasm/abi", "./core/record"), "standard library only"},
		{pkg("transforms/sdk/go", "github.com/google/uuid"), "standard library only"},
		{pkg("core/state", "./internal/testenv"), "for tests"},
		{pkg("cmd/leat", "./sinks/sinktest"), "for tests"},
		{pkg("service/http"), "top-level folders"},
		{pkg("core/stream/utils"), "says nothing"},
		{func() Package { p := pkg("core/vfs"); p.CgoFiles = []string{"x.go"}; return p }(), "cgo"},
	} {
		t.Run(fmt.Sprint(c.pkg.ImportPath, c.pkg.Imports), func(t *testing.T) {
			wantProblem(t, CheckImports([]Package{c.pkg}), c.want)
		})
	}
}

func wantProblem(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" && len(got) > 0 {
		t.Errorf("reported: %q", got)
	}
	if want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("reported %q, want something with %q", got, want)
	}
}

func TestCheckLinkedFindsTestLibraries(t *testing.T) {
	wantProblem(t, CheckLinked([]Package{{ImportPath: "io"}}), "")
	wantProblem(t, CheckLinked([]Package{{ImportPath: "testing", Standard: true}}), "for tests")
	wantProblem(t, CheckLinked([]Package{{ImportPath: "pgregory.net/rapid"}}), "for tests")
	wantProblem(t, CheckLinked([]Package{{ImportPath: "example.com/sqlite", CgoFiles: []string{"x.go"}}}), "cgo")
}

func TestCheckFilesFindsALongFile(t *testing.T) {
	tree := fstest.MapFS{
		"core/a.go":          {Data: []byte(strings.Repeat("\n", MaxLines))},
		"core/testdata/b.go": {Data: []byte(strings.Repeat("\n", MaxLines+1))},
	}
	problems, err := CheckFiles(tree)
	if err != nil || len(problems) > 0 {
		t.Fatalf("reported %q, %v", problems, err)
	}
	tree["core/c.go"] = &fstest.MapFile{Data: []byte(strings.Repeat("\n", MaxLines+1))}
	if problems, _ = CheckFiles(tree); len(problems) != 1 {
		t.Errorf("reported %q, want core/c.go alone", problems)
	}
}

func TestCheckLicencesFindsBadOnes(t *testing.T) {
	const mit = "MIT License\n\nPermission is hereby granted, free of charge, to any person\n obtaining a copy of this software"
	for _, c := range []struct{ name, file, text, want string }{
		{"MIT", "LICENSE", mit, ""},
		{"MPL names the GPL", "LICENSE.md", "Mozilla Public License Version 2.0 … means either the GNU General Public License, Version 2.0, the GNU Lesser", ""},
		{"Apache", "LICENSE.txt", "Apache License\n   Version 2.0, January 2004", ""},
		{"BSD", "LICENCE", "Redistribution and use in source and binary forms, with or without", ""},
		{"SPDX", "COPYING", "SPDX-License-Identifier: MIT-0", ""},
		{"none", "README.md", mit, "no licence file"},
		{"unknown", "LICENSE", "Ask me nicely.", "nobody knows"},
		{"AGPL", "LICENSE", "GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007", "AGPL-3.0"},
		{"GPL", "COPYING", "GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991", "GPL-2.0"},
		{"another GNU", "COPYING", "Everyone is permitted to copy and distribute verbatim copies of this license document", "GNU"},
		{"BSL", "LICENSE", "Business Source License 1.1", "BUSL"},
		{"SSPL", "LICENSE", "Server Side Public License\nVERSION 1", "SSPL"},
		{"MIT with a clause", "LICENSE", "“Commons Clause” License Condition v1.0\n" + mit, "Commons-Clause"},
		{"SPDX of the GPL", "LICENSE", "SPDX-License-Identifier: GPL-3.0-only", "gpl-3.0-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			pkg := filepath.Join(dir, "sub")
			if err := os.Mkdir(pkg, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			problems, err := CheckLicences([]Package{{ImportPath: "example.com/m/sub", Dir: pkg, Module: &ModuleInfo{Path: "example.com/m", Dir: dir}}})
			if err != nil {
				t.Fatal(err)
			}
			wantProblem(t, problems, c.want)
		})
	}
}

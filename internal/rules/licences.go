package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Allowed are the licences, by SPDX name, under which a module may stand that leat links.
var Allowed = []string{"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "MPL-2.0", "Unlicense", "CC0-1.0", "Zlib"}

// marks are sentences that a licence, and no other, contains; in lower case, with single spaces.
var marks = []struct{ licence, sentence string }{
	{"MPL-2.0", "mozilla public license version 2.0"},
	{"AGPL-3.0", "gnu affero general public license version 3"},
	{"LGPL", "gnu lesser general public license version"},
	{"GPL-2.0", "gnu general public license version 2, june"},
	{"GPL-3.0", "gnu general public license version 3, 29 june"},
	{"GNU", "everyone is permitted to copy and distribute verbatim copies of this license document"},
	{"BUSL", "business source license"},
	{"SSPL-1.0", "server side public license"},
	{"Elastic", "elastic license"},
	{"Commons-Clause", "commons clause"},
	{"PolyForm", "polyform"},
	{"Apache-2.0", "apache license version 2.0, january 2004"},
	{"Apache-2.0", "licensed under the apache license, version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"},
	{"Unlicense", "this is free and unencumbered software released into the public domain"},
	{"CC0-1.0", "cc0 1.0 universal"},
	{"Zlib", "this software is provided 'as-is', without any express or implied warranty"},
}

// Classify returns the licences, by SPDX name or near it, whose text or notice stands in text; none if no licence is
// known by it. Texts with several parts under different licences give several names.
func Classify(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(text, "*", " ")), " "))
	var found []string
	add := func(licence string) {
		if !slices.Contains(found, licence) {
			found = append(found, licence)
		}
	}
	for _, m := range marks {
		if strings.Contains(text, m.sentence) {
			add(m.licence)
		}
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "endorse or promote products") {
			add("BSD-3-Clause")
		} else {
			add("BSD-2-Clause")
		}
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "spdx-license-identifier: ")
		if !ok {
			return found
		}
		name, tail, _ := strings.Cut(after, " ")
		rest = tail
		i := slices.IndexFunc(Allowed, func(a string) bool { return strings.EqualFold(a, name) })
		if i >= 0 {
			name = Allowed[i]
		}
		add(name)
	}
}

// CheckLicences returns which of the modules of pkgs have no licence, an unknown one or one that is not allowed. It reads
// the licence files in the folder of each package and in those above it, up to the module's root.
func CheckLicences(pkgs []Package) ([]string, error) {
	var broken []string
	checked := map[string]bool{}
	licensed := map[string]bool{} // module, by path
	modules := map[string]*ModuleInfo{}
	for _, p := range pkgs {
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		modules[p.Module.Path] = p.Module
		if p.Module.Dir == "" {
			return nil, fmt.Errorf("module %s is not downloaded (go mod download)", p.Module.Path)
		}
		for dir := p.Dir; !checked[dir]; dir = filepath.Dir(dir) {
			checked[dir] = true
			bad, any, err := checkFolder(p.Module.Path, dir)
			if err != nil {
				return nil, err
			}
			broken = append(broken, bad...)
			if any {
				licensed[p.Module.Path] = true
			}
			if dir == p.Module.Dir {
				break
			}
		}
	}
	for path, m := range modules {
		if !licensed[path] {
			broken = append(broken, fmt.Sprintf("module %s %s has no licence file", path, m.Version))
		}
	}
	slices.Sort(broken)
	return broken, nil
}

// checkFolder looks at the licence files of one folder.
func checkFolder(module, dir string) (broken []string, any bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || strings.HasSuffix(name, ".GO") ||
			!strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, false, err
		}
		any = true
		found := Classify(string(text))
		if len(found) == 0 {
			broken = append(broken, fmt.Sprintf("module %s: nobody knows the licence in %s", module, e.Name()))
		}
		for _, licence := range found {
			if !slices.Contains(Allowed, licence) {
				broken = append(broken, fmt.Sprintf("module %s: %s holds %s, which leat must not link", module, e.Name(), licence))
			}
		}
	}
	return broken, any, nil
}

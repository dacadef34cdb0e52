// Package reference writes the reference pages of the stages of pipeline files: one Markdown page for each kind of transform,
// and an index. A page is made of what the parser reads and the transform brings along (tags of the configuration, summary,
// failure codes, examples), so it cannot say something else than the code does. The pages are committed in docs/transforms:
//
//	go generate ./pipelines/reference
package reference

//go:generate go test -run TestPagesAreThoseOfTheCode -update .

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/transforms/builtin"
)

// generated heads every page.
const generated = "<!-- Made by go generate ./pipelines/reference: change the transform's tags, its Doc or its examples instead. -->\n\n"

// beginning is that of the pipeline files whose end the examples are. The sink adds nothing to the records.
const beginning = `version: 1
pipeline: example
source: { stream: records }
sinks: [ { name: out, stdout: {}, format: raw } ]
`

// kind is one kind of transform.
type kind struct {
	key     string
	doc     builtin.Doc
	setting spec.Setting
	native  bool
}

// stages returns all kinds of transforms by their keys: built-in ones first, each part in alphabetical order.
func stages() []kind {
	natives := spec.Builtins()
	var all []kind
	for _, s := range spec.Describe(reflect.TypeFor[spec.Transform]()) {
		if len(s.Group) == 0 {
			continue
		}
		st := kind{key: s.Key, setting: s}
		if c, ok := natives[s.Key]; ok {
			st.doc, st.native = c.Doc(), true
		} else {
			st.doc = hosted[s.Key]
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b kind) int {
		if a.native != b.native {
			if a.native {
				return -1
			}
			return 1
		}
		return strings.Compare(a.key, b.key)
	})
	return all
}

// Summary is a transform's name and what it does, in one sentence.
type Summary struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Summaries returns the transforms that a pipeline file knows: built-in ones first.
func Summaries() []Summary {
	var all []Summary
	for _, s := range stages() {
		all = append(all, Summary{s.key, s.doc.Summary})
	}
	return all
}

// Page returns the page of a transform in Markdown; ok is false if there is none of the name.
func Page(name string) (page string, ok bool) {
	for _, s := range stages() {
		if s.key == name {
			return s.page(), true
		}
	}
	return "", false
}

// Files returns all pages and the index, by the names of their files.
func Files() map[string]string {
	files := map[string]string{"README.md": index()}
	for _, s := range stages() {
		files[s.key+".md"] = s.page()
	}
	return files
}

func index() string {
	var b strings.Builder
	b.WriteString(generated)
	b.WriteString(indexText)
	table := func(native bool) {
		b.WriteString("| transform | what it does |\n|---|---|\n")
		for _, s := range stages() {
			if s.native == native {
				fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", s.key, s.key, cell(s.doc.Summary))
			}
		}
	}
	b.WriteString("## Built-in transforms\n\n")
	table(true)
	b.WriteString("\n## Code of your own\n\n")
	table(false)
	b.WriteString("\n## Every stage\n\nBesides the transform's own key a stage has these:\n\n")
	var common []spec.Setting
	for _, s := range spec.Describe(reflect.TypeFor[spec.Transform]()) {
		if len(s.Group) == 0 {
			common = append(common, s)
		}
	}
	settings(&b, common)
	b.WriteString("\nA record that fails has a code, which its dead letter and the metrics show. The page of a transform lists its own; these may come of any stage:\n\n")
	codes(&b, stageCodes)
	b.WriteString(stageText)
	return b.String()
}

func (s *kind) page() string {
	var b strings.Builder
	b.WriteString(generated)
	fmt.Fprintf(&b, "# %s\n\n%s\n", s.key, s.doc.Summary)
	if s.doc.Text != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(s.doc.Text))
	}
	b.WriteString("\n## Settings\n\n")
	if len(s.setting.Settings) == 0 {
		fmt.Fprintf(&b, "None: write `%s: {}`.\n", s.key)
	} else {
		settings(&b, s.setting.Settings)
	}
	if len(s.doc.Codes) > 0 {
		b.WriteString("\n## Failures\n\nA record that cannot be transformed goes the way of the stage's `on_error`, with one of these codes, or of " +
			"[those of every stage](README.md#every-stage):\n\n")
		codes(&b, s.doc.Codes)
	}
	if len(s.doc.Examples) > 0 {
		b.WriteString("\n## Examples\n\nEach is the end of a pipeline file, with a test that `leat test FILE` runs. The file begins with:\n\n```yaml\n" + beginning + "```\n")
	}
	for i := range s.doc.Examples {
		e := &s.doc.Examples[i]
		fmt.Fprintf(&b, "\n### %s\n\n", e.Title)
		for _, name := range slices.Sorted(maps.Keys(e.Files)) {
			fmt.Fprintf(&b, "`%s`:\n\n```text\n%s\n```\n\n", name, strings.TrimRight(e.Files[name], "\n"))
		}
		fmt.Fprintf(&b, "```yaml\n%s```\n", example(s.key, e))
		if len(e.Partition) > 0 {
			fmt.Fprintf(&b, "\nPartition values of the outputs, which prefixes name by `!{partitionKeyFromLambda:…}`: %s.\n", partitions(e.Partition))
		}
	}
	return b.String()
}

func codes(b *strings.Builder, list []builtin.Code) {
	b.WriteString("| code | meaning |\n|---|---|\n")
	for _, c := range list {
		fmt.Fprintf(b, "| `%s` | %s |\n", c.Name, cell(c.Meaning))
	}
}

// settings writes the table of settings; those of mappings and lists follow their own.
func settings(b *strings.Builder, list []spec.Setting) {
	b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	rows(b, "", list)
}

func rows(b *strings.Builder, under string, list []spec.Setting) {
	for _, s := range list {
		without := ""
		switch {
		case s.Required:
			without = "required"
		case s.Default != "":
			without = "`" + strings.ReplaceAll(visible(s.Default), "|", `\|`) + "`"
		case len(s.Group) > 0:
			without = choice(&s)
		}
		doc := s.Doc
		if s.Text {
			doc += " May be written alone, in place of the mapping."
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", under, s.Key, cell(s.Takes), cell(without), cell(doc))
		next := under + s.Key + "."
		if s.List {
			next = under + s.Key + "[]."
		}
		rows(b, next, s.Settings)
	}
}

// choice says that one key of a group is given.
func choice(s *spec.Setting) string {
	if len(s.Group) == 1 {
		return ""
	}
	how := "exactly one of "
	if s.AtMostOne {
		how = "at most one of "
	}
	return how + strings.Join(s.Group, ", ")
}

// cell escapes what would end the cell of a table and, outside of code, what Markdown takes for HTML.
func cell(s string) string {
	var b strings.Builder
	code := false
	for i, r := range strings.TrimSpace(s) {
		switch {
		case r == '\n':
			r = ' '
		case r == '`':
			code = !code
		case r == '|' && (i == 0 || s[i-1] != '\\'), r == '<' && !code:
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// visible writes control characters as YAML and JSON do.
func visible(s string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
}

package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

// Table is a file of tests for one transform: the tests of a pipeline file, without the pipeline around them.
//
//	config: { drop: [debug] }   # what a pipeline file would say under config
//	tests:
//	  - name: debug is dropped
//	    input: [ '{"level":"debug"}', { json: { level: info } } ]
//	    output: [ { json: { level: info } } ]
//	    dropped: 1
type Table struct {
	Node
	Config Value       `yaml:"config" doc:"Handed to the transform as JSON."`
	Tests  []TableTest `yaml:"tests,required" items:"1..10000" doc:"The tests."`
}

// TableTest is one test of a table: a [Test] whose output is a list, because there is one place it goes to.
type TableTest struct {
	Node
	Name      string       `yaml:"name,required" doc:"What should happen, in words."`
	Config    *Value       `yaml:"config" doc:"In place of the table's config."`
	Clock     time.Time    `yaml:"clock" default:"2000-01-01T00:00:00Z" doc:"When the input arrives."`
	Input     []TestRecord `yaml:"input,required" items:"1..10000" doc:"Records as they enter the transform."`
	Output    []TestRecord `yaml:"output" items:"0..10000" doc:"The records it should make, in order. Default: not checked."`
	Unchanged *int         `yaml:"unchanged" range:"0..10000" doc:"How many input records it passes on as they came. Default: not checked."`
	Dropped   *int         `yaml:"dropped" range:"0..10000" doc:"How many input records it drops. Default: not checked."`
	Dead      []TestDead   `yaml:"dead" items:"0..10000" doc:"The records it should fail, in order. Default: none."`
	MaxFuel   *int         `yaml:"max_fuel" range:"1..100000000000" doc:"The most fuel it may spend for each byte of the frames that it gets. Default: not checked."`
}

// tableOutput is the name of the one sink of a table's pipelines.
const tableOutput = "output"

// LoadTable reads a table and returns a pipeline for each test, with that test alone, whose only stage runs the module. name
// is the pipelines' and the stage's. The error is an [*Errors] that holds every error found.
func LoadTable(file, name, module string, opts Options) ([]*Pipeline, error) {
	l := &loader{opts: opts, errs: &Errors{}}
	src, err := readFile(file)
	if err != nil {
		l.errs.add(fault.New(fault.Permanent, "spec.io", "reading the table of tests: %w", err))
		return nil, l.errs
	}
	l.read(file, src)
	for _, e := range l.errs.List {
		if e.Code == "spec.empty" {
			e.Message, e.Hint = file+" holds no tests", "a table begins with tests:"
		}
	}
	env := opts.Env
	if env == nil {
		env = os.LookupEnv
	}
	var tables []*Table
	for _, doc := range l.docs {
		substitute(doc.root, env, l.errs)
		t := new(Table)
		d := &decoder{dir: filepath.Dir(file), env: env, errs: l.errs}
		d.value(doc.root, reflect.ValueOf(t).Elem(), &field{key: "a table of tests"})
		l.checkNames(t)
		tables = append(tables, t)
	}
	slices.SortStableFunc(l.errs.List, byPlace)
	if err := l.errs.orNil(); err != nil {
		return nil, err
	}
	var out []*Pipeline
	for _, t := range tables {
		for i := range t.Tests {
			out = append(out, t.pipeline(&t.Tests[i], file, name, module))
		}
	}
	return out, nil
}

func (l *loader) checkNames(t *Table) {
	seen := map[string]string{}
	for i := range t.Tests {
		name := t.Tests[i].Name
		if first, ok := seen[name]; ok && name != "" {
			l.errs.add(fault.New(fault.Permanent, "spec.duplicate_name", "the test %q is there twice; the other is at %s", name, first).
				At(t.Tests[i].PlaceOf("name")))
		}
		seen[name] = t.Tests[i].PlaceOf("name")
	}
}

// bench is what stands around a test. Its defaults are those of pipeline files.
const bench = `version: 1
pipeline: p
source: { stream: s }
transforms: [ { name: t, wasm: { module: m } } ]
sinks: [ { name: ` + tableOutput + `, stdout: {}, format: raw } ]
`

func (t *Table) pipeline(test *TableTest, file, name, module string) *Pipeline {
	ps, err := Parse("", []byte(bench), Options{})
	if err != nil {
		panic(fmt.Sprintf("spec: the pipeline around a test: %v", err))
	}
	p := ps[0]
	p.Name, p.File, p.Dir = name, file, filepath.Dir(file)
	stage := &p.Transforms[0]
	config, place := t.Config, t.PlaceOf("config")
	if test.Config != nil {
		config, place = *test.Config, test.PlaceOf("config")
	}
	stage.Node = setting.At(test.Place(), map[string]string{"config": place})
	stage.Wasm.Node = setting.At(test.Place(), nil)
	stage.Name, stage.Config, stage.Wasm.Module, stage.Wasm.Pool = name, config, module, 1
	p.Tests = []Test{{
		Node: test.Node, Name: test.Name, Clock: test.Clock, Input: test.Input, Dropped: test.Dropped, Unchanged: test.Unchanged, Dead: test.Dead,
	}}
	if test.Output != nil {
		p.Tests[0].Output = TestOutputs{{Node: setting.At(test.PlaceOf("output"), nil), Sink: tableOutput, Records: test.Output}}
	}
	if test.MaxFuel != nil {
		p.Tests[0].MaxFuel = []TestFuel{{Node: setting.At(test.PlaceOf("max_fuel"), nil), Stage: name, PerByte: *test.MaxFuel}}
	}
	return p
}

// Bytes is the record's data.
func (r *TestRecord) Bytes() []byte {
	switch {
	case r.Data != nil:
		return []byte(*r.Data)
	case r.Base64 != nil:
		return *r.Base64
	default:
		return r.JSON
	}
}

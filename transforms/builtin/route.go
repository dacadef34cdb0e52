package builtin

import (
	"context"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Route names the routes that records take, by conditions. Sinks say which routes they take.
type Route struct {
	setting.Node
	Cases     []RouteCase `yaml:"cases,required" items:"1..100" doc:"Routes and their conditions, in the order in which they are tried."`
	Match     string      `yaml:"match" default:"first" enum:"first|all" doc:"first takes the first route whose condition is met; all takes each of them."`
	Otherwise string      `yaml:"otherwise" default:"other" match:"name" doc:"The route of records that meet no condition."`
}

// RouteCase is a route and its condition.
type RouteCase struct {
	setting.Node
	Name string `yaml:"name,required" match:"name" doc:"Name of the route."`
	When string `yaml:"when,required" doc:"The condition that a record must meet to take it."`
}

// routeName is the name of the attribute, and of the partition value, that says which route a record takes.
const routeName = "route"

// Routes returns the names of the routes that a record may get.
func (c *Route) Routes() []string {
	var names []string
	for i := range c.Cases {
		names = append(names, c.Cases[i].Name)
	}
	return append(names, c.Otherwise)
}

// Open implements Config.
func (c *Route) Open(context.Context, Env) (stage.Transform, error) {
	t := &route{all: c.Match == "all", otherwise: namedRoute(c.Otherwise)}
	seen := map[string]bool{}
	for i := range c.Cases {
		one := &c.Cases[i]
		if seen[one.Name] {
			return nil, invalid(&one.Node, "name", "route.duplicate_name", "the route %q is there twice", one.Name).
				WithHint("join the conditions with or")
		}
		seen[one.Name] = true
		if err := t.when.add(&one.Node, "when", "route.bad_condition", one.When); err != nil {
			return nil, err
		}
		t.routes = append(t.routes, namedRoute(one.Name))
	}
	return eachWith(newEvaluation, t.apply), nil
}

// named is a route. The records that take it share its lists, which nobody changes.
type named struct {
	name      string
	attrs     record.Attrs // of a record that has no others
	partition record.Attrs
}

func namedRoute(name string) named {
	list := record.Attrs{{Name: routeName, Value: name}}
	return named{name, list, list}
}

type route struct {
	all       bool
	when      conditions
	routes    []named
	otherwise named
}

func (t *route) apply(e *evaluation, r *record.Record, w *writer) {
	e.load(&t.when, r)
	var first *named
	var names string // if it is more than one
	for i := range t.routes {
		holds, code, reason := e.holds(&t.when, i, r)
		if code != "" {
			w.fail(routeName+code, "case %s: %s", t.routes[i].name, reason)
			return
		}
		if !holds {
			continue
		}
		if first == nil {
			first = &t.routes[i]
			names = first.name
		} else {
			names += "," + t.routes[i].name
		}
		if !t.all {
			break
		}
	}
	if first == nil {
		first, names = &t.otherwise, t.otherwise.name
	}
	out := stage.Out{Key: r.Key, Data: r.Data, Attrs: first.attrs, Partition: first.partition}
	if len(r.Attrs) > 0 || names != first.name {
		out.Attrs = slices.Clone(r.Attrs)
		out.Attrs.Set(routeName, names)
	}
	w.emit(out)
}

// TakesRoute reports whether a sink that takes routes takes a record with these attributes.
func TakesRoute(routes []string, attrs record.Attrs) bool {
	taken, _ := attrs.Get(routeName)
	for name := range strings.SplitSeq(taken, ",") {
		if slices.Contains(routes, name) {
			return true
		}
	}
	return false
}

// OnlyRoutes is the last stage before a sink that takes some routes only: it drops what takes none of them.
func OnlyRoutes(routes []string) stage.Transform {
	return each(func(r *record.Record, w *writer) {
		if TakesRoute(routes, r.Attrs) {
			w.keep()
			return
		}
		w.drop()
	})
}

// Doc implements Config.
func (c *Route) Doc() Doc {
	return Doc{
		Summary: "Names the route that each record takes, by conditions, so that sinks can take some routes only.",
		Text: "A sink with `routes: [ errors ]` gets the records that take one of its routes, each once; for that sink the others count as dropped. A sink without `routes` gets all.\n\n" +
			"The name of the route is the record's attribute `route` and the partition value `route`, which prefixes use as `!{partitionKeyFromLambda:route}`. With `match: all` the attribute has all names, with commas between them, " +
			"and the partition value is the first.\n\n" + conditionText,
		Codes: conditionCodes(routeName),
		Examples: []Example{
			{
				Title:     "Errors, slow requests and others",
				Config:    "cases:\n  - { name: errors, when: 'status >= 500' }\n  - { name: slow, when: 'duration_ms > 1000' }",
				Input:     []string{`{"status":503,"duration_ms":2000}`, `{"status":200,"duration_ms":2000}`, `{"status":200,"duration_ms":2}`, `{}`},
				Output:    []string{`{"status":503,"duration_ms":2000}`, `{"status":200,"duration_ms":2000}`, `{"status":200,"duration_ms":2}`},
				Partition: []map[string]string{{"route": "errors"}, {"route": "slow"}, {"route": "other"}}, Failed: []string{"route.failed"},
			},
			{
				Title:     "By the form of the data",
				Config:    "cases:\n  - { name: json, when: '_data startsWith \"{\"' }\notherwise: text",
				Input:     []string{`{"a":1}`, `a=1`},
				Output:    []string{`{"a":1}`, `a=1`},
				Partition: []map[string]string{{"route": "json"}, {"route": "text"}},
			},
		},
	}
}

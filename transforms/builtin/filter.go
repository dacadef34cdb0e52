package builtin

import (
	"context"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Filter keeps the records that meet a condition.
type Filter struct {
	setting.Node
	When string `yaml:"when,required" doc:"The condition that a record must meet to go on."`
}

// Open implements Config.
func (c *Filter) Open(context.Context, Env) (stage.Transform, error) {
	when := &conditions{}
	if err := when.add(&c.Node, "when", "filter.bad_condition", c.When); err != nil {
		return nil, err
	}
	return eachWith(newEvaluation, func(e *evaluation, r *record.Record, w *writer) {
		e.load(when, r)
		holds, code, reason := e.holds(when, 0, r)
		switch {
		case code != "":
			w.fail("filter"+code, "%s", reason)
		case holds:
			w.keep()
		default:
			w.drop()
		}
	}), nil
}

// Doc implements Config.
func (c *Filter) Doc() Doc {
	return Doc{
		Summary: "Keeps the records that meet a condition, and drops the others.",
		Text:    conditionText,
		Codes:   conditionCodes("filter"),
		Examples: []Example{
			{
				Title: "Errors of the server", Config: `{ when: 'level == "error" && status >= 500' }`,
				Input:  []string{`{"level":"error","status":503}`, `{"level":"info","status":200}`, `{"level":"error"}`, `{"level":"warn"}`},
				Output: []string{`{"level":"error","status":503}`}, Dropped: 2, Failed: []string{"filter.failed"},
			},
			{
				Title: "Missing fields, lists and text", Config: `{ when: 'user.plan in ["pro", "team"] && any(tags ?? [], # startsWith "eu-")' }`,
				Input:  []string{`{"user":{"plan":"pro"},"tags":["eu-1"]}`, `{"user":{"plan":"pro"}}`, `{}`},
				Output: []string{`{"user":{"plan":"pro"},"tags":["eu-1"]}`}, Dropped: 2,
			},
			{Title: "Records that are not JSON", Config: `{ when: '_data contains "ERROR" || _size > 1000' }`, Input: []string{"ERROR disk full", "INFO ok"}, Output: []string{"ERROR disk full"}, Dropped: 1},
		},
	}
}

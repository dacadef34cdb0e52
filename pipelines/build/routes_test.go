package build

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
)

const routedFile = `version: 1
pipeline: p
source: { stream: s }
transforms:
  - { name: kinds, route: { cases: [ { name: errors, when: 'level == "error"' }, { name: slow, when: 'ms > 10' } ], match: all } }
sinks:
  - { name: all, stdout: {} }
  - { name: errors, routes: [ errors ], stdout: {} }
  - { name: bad, routes: [ errors, slow ], prefix: "!{partitionKeyFromLambda:route}/", stdout: {} }
`

func parsed(t *testing.T, text string) *spec.Pipeline {
	t.Helper()
	p, err := spec.Parse("p.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(spec.Render(err, false))
	}
	return p[0]
}

// passed is the data of what a sink's chain makes of records, and how many it drops.
func passed(t *testing.T, c *stage.Chain, data ...string) (outs []string, dropped int) {
	t.Helper()
	in := record.NewBatch()
	defer in.Release()
	for i, d := range data {
		in.Add(record.Record{Seq: uint64(i) + 1, Key: "k", Data: []byte(d)})
	}
	f := new(stage.Final)
	defer f.Release()
	if err := c.Run(t.Context(), in, f); err != nil {
		t.Fatal(err)
	}
	for i := range f.Roots {
		if f.Roots[i].N == 0 && f.Roots[i].Fail == nil {
			dropped++
		}
	}
	for i := range f.Outs {
		outs = append(outs, string(f.Outs[i].Data))
	}
	return outs, dropped
}

func TestSinksGetTheRoutesThatTheyTake(t *testing.T) {
	p := parsed(t, routedFile)
	b := &builder{ctx: t.Context(), spec: p}
	defer b.close(t.Context())
	links, err := b.links()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"errors slow rest/0", "errors/2", "errors slow/1"} {
		c, err := b.chainOf(i, links)
		if err != nil {
			t.Fatal(err)
		}
		outs, dropped := passed(t, c, `{"level":"error","ms":1}`, `{"level":"info","ms":20}`, `{"level":"info","ms":1}`)
		names := strings.NewReplacer(`{"level":"error","ms":1}`, "errors", `{"level":"info","ms":20}`, "slow", `{"level":"info","ms":1}`, "rest").Replace(strings.Join(outs, " "))
		if got := fmt.Sprintf("%s/%d", names, dropped); got != want {
			t.Errorf("sink %d gets %s, want %s", i, got, want)
		}
	}
}

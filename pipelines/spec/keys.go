package spec

import (
	"time"

	"github.com/leatstream/leat/pipelines/spec/jq"
	"github.com/leatstream/leat/pipelines/spec/prefix"
)

// Names returns the names of the partition keys.
func (p Partition) Names() []string {
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].Name
	}
	return names
}

// Compile compiles the queries.
func (p Partition) Compile() (*jq.Partitioner, error) {
	queries := make([]jq.Query, len(p))
	for i := range p {
		queries[i] = jq.Query{Name: p[i].Name, Text: p[i].Query}
	}
	return jq.Compile(queries)
}

// CompilePrefix compiles the prefix of the sink's objects.
func (s *Sink) CompilePrefix() (*prefix.Template, error) {
	return prefix.Compile(s.Prefix, prefix.Options{Zone: zone(s.TimeZone), QueryKeys: s.Partition.Names()})
}

// CompilePrefix compiles the prefix of the dead letters' objects.
func (d *DeadLetters) CompilePrefix() (*prefix.Template, error) {
	return prefix.Compile(d.Prefix, prefix.Options{Zone: zone(d.TimeZone), DeadLetters: true})
}

// zone returns a time zone that the check of the file has found to exist; UTC if it has not.
func zone(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return l
}

package main

import (
	"encoding/json"
	"strconv"
	"text/tabwriter"

	"github.com/leatstream/leat/pipelines/spec"
)

// printJSON writes one JSON document, indented for people who look at it.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table aligns the columns of a result for people.
func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0) }

// plural is a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string { return spec.Bytes(n).About() }

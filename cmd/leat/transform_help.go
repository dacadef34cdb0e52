package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/leatstream/leat/pipelines/reference"
	"github.com/leatstream/leat/pipelines/spec"
)

type transformHelpCmd struct {
	Name string `arg:"" optional:"" help:"The transform, by its key in the pipeline file. Without it all are listed."`
	jsonFlag
}

// Help is shown by leat transform help --help.
func (transformHelpCmd) Help() string {
	return `Prints the reference page of a kind of transform in Markdown: its settings, the codes of records that it fails, and examples; or the list of all.

Exit codes: 0 printed, 2 there is none of that name.

Examples:

  leat transform help
  leat transform help redact | less`
}

// Run prints a page of the reference.
func (c *transformHelpCmd) Run(a *app) error {
	summaries := reference.Summaries()
	if c.Name == "" {
		if c.JSON {
			return a.printJSON(summaries)
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		for _, s := range summaries {
			fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Text)
		}
		return w.Flush()
	}
	page, ok := reference.Page(c.Name)
	if !ok {
		names := make([]string, len(summaries))
		for i, s := range summaries {
			names[i] = s.Name
		}
		return wrong("there is no transform %q; %s", c.Name, spec.Suggest(c.Name, names))
	}
	if c.JSON {
		return a.printJSON(map[string]string{"name": c.Name, "page": page})
	}
	_, page, _ = strings.Cut(page, "-->\n\n") // a note for whoever would edit the file
	_, err := fmt.Fprint(a.stdout, page)
	return err
}

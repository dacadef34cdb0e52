package main

import (
	"fmt"

	"github.com/leatstream/leat/pipelines/spec"
)

type schemaCmd struct{}

// Help is shown by leat schema --help.
func (schemaCmd) Help() string {
	return `Editors that know YAML complete and check pipeline files with it.

Exit codes: 0.

Example:

  leat schema > leat-pipeline.schema.json`
}

// Run prints the schema.
func (c *schemaCmd) Run(a *app) error {
	_, err := fmt.Fprintf(a.stdout, "%s\n", spec.Schema())
	return err
}

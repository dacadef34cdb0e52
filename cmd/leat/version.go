package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	jsonFlag
}

// Help is shown by leat version --help.
func (versionCmd) Help() string {
	return `Exit codes: 0.

Example:

  leat version --json`
}

// Run prints what the binary was built from.
func (c *versionCmd) Run(a *app) error {
	v := struct {
		Version  string `json:"version"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
		Revision string `json:"revision,omitempty"`
		Time     string `json:"time,omitempty"`
		Modified bool   `json:"modified,omitempty"`
	}{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if c.JSON {
		return a.printJSON(v)
	}
	fmt.Fprintf(a.stdout, "leat %s\n%s %s\n", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		changed := ""
		if v.Modified {
			changed = ", with changes"
		}
		fmt.Fprintf(a.stdout, "revision %s (%s%s)\n", v.Revision, v.Time, changed)
	}
	return nil
}

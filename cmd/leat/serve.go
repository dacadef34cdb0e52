package main

import (
	"errors"
	"log/slog"

	"github.com/leatstream/leat/pipelines/serve"
	"github.com/leatstream/leat/pipelines/spec"
)

type serveCmd struct {
	Pipelines string        `help:"Folder whose *.yaml and *.yml files are run." default:"./pipelines"`
	Poll      spec.Duration `help:"Time between two looks at the folder." default:"2s"`
	hostFlags `set:"metrics=127.0.0.1:4568"`
}

// Help is shown by leat serve --help.
func (serveCmd) Help() string {
	return `A file that is added or changed takes effect at the second look after it, without a restart; a pipeline whose file is removed stops. A file with errors changes nothing: what ran before goes on, and the errors are in the log and in /healthz. A pipeline that cannot go on rests until its file changes; the others do not notice. The answer of /healthz is 200 while a version of every pipeline runs, with the status degraded if a newer one does not, and 503 when a pipeline does not run.

Logs go to standard error: by default one line for each event that matters. SIGINT and SIGTERM stop as in leat run. What is not in a sealed object yet is read from the stream again by the next process; so one that dies again and again, before a buffer is full or as old as its interval, delivers nothing meanwhile. The stream holds everything.

Exit codes: 0 stopped as told, 1 failed, 2 wrong use, 3 the data directory is in use, 130 and 143 told twice by SIGINT and SIGTERM.

Example:

  leat serve --pipelines /etc/leat/pipelines --data /var/lib/leat`
}

// Run runs the pipelines of a folder.
func (c *serveCmd) Run(a *app) (err error) {
	h, err := c.host(a, true, slog.LevelInfo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	server, err := serve.New(serve.Options{Dir: c.Pipelines, Poll: c.Poll.Std(), Health: h.health, Build: h.options})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	server.Run(h.ctx)
	return nil
}

package main

import (
	"errors"
	"log/slog"

	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/serve"
	"github.com/leatstream/leat/pipelines/spec"
)

type serveCmd struct {
	Pipelines     string        `help:"Folder whose *.yaml and *.yml files are run." default:"./pipelines"`
	Poll          spec.Duration `help:"Time between two looks at the folder." default:"2s"`
	MetricsListen string        `help:"Serve /metrics and /healthz at this address; empty for nowhere." default:"127.0.0.1:4568"`
	Insecure      bool          `help:"Allow an address that other machines reach. There is no authentication."`
	Removed       string        `help:"What to do with sealed objects of sinks that a file does not have any more: ${enum}. With abandon these sinks are forgotten altogether; else one that comes back goes on from its checkpoint." enum:"refuse,finish,abandon" default:"refuse"`
	dataFlag
	logFlags
}

// Help is shown by leat serve --help.
func (serveCmd) Help() string {
	return `A file that is added or changed takes effect at the second look after it, without a restart; a pipeline whose file is removed stops. A file with errors changes nothing: what ran before goes on, and the errors are in the log and in /healthz. A pipeline that cannot go on rests until its file changes; the others do not notice. The answer of /healthz is 200 while a version of every pipeline runs, with the status degraded if a newer one does not, and 503 when a pipeline does not run.

Logs go to standard error: by default one line for each event that matters. SIGINT and SIGTERM stop as in leat run.

Exit codes: 0 stopped as told, 1 failed, 2 wrong use, 3 the data directory is in use, 130 and 143 told twice by SIGINT and SIGTERM.

Example:

  leat serve --pipelines /etc/leat/pipelines --data /var/lib/leat`
}

// Run runs the pipelines of a folder.
func (c *serveCmd) Run(a *app) (err error) {
	status := newStatusLine(a.stderr, true)
	logger := c.logger(status, slog.LevelInfo)
	ctx, _ := untilSignal(a.ctx, status, endsPuts)
	metrics, health, stop, err := serveMetrics(c.MetricsListen, c.Insecure, logger)
	if err != nil {
		return err
	}
	defer stop()
	dir, err := c.open(logger, metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	server, err := serve.New(serve.Options{
		Dir: c.Pipelines, Poll: c.Poll.Std(), Health: health,
		Build: build.Options{Data: dir, Logger: logger, Metrics: metrics, Stdout: a.stdout, Removed: removedChoice(c.Removed)},
	})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	server.Run(ctx)
	return nil
}

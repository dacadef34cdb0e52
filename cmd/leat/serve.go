package main

import (
	"cmp"
	"errors"
	"log/slog"
	"sync"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/pipelines/serve"
	"github.com/leatstream/leat/pipelines/spec"
)

type serveCmd struct {
	Pipelines string        `help:"Folder whose *.yaml and *.yml files are run; by default ./pipelines, which need not be there." placeholder:"DIR"`
	Poll      spec.Duration `help:"Time between two looks at the folder." default:"2s"`
	Watch     bool          `help:"Also follow the modules, scripts and folders of source that transforms are made of."`
	apiFlags
	hostFlags `set:"metrics=127.0.0.1:4568"`
}

// Help is shown by leat serve --help.
func (serveCmd) Help() string {
	return `AWS clients of Kinesis Data Streams work when their endpoint is http://127.0.0.1:4567, with any credentials: signatures are read but not verified. The Kinesis Producer Library and others that speak TLS alone use --tls-self-signed or --tls-cert, and https://127.0.0.1:4569. Streams that pipelines make are there too, and pipelines read those that clients make.

A pipeline file that is added or changed takes effect at the second look after it, without a restart; a pipeline whose file is removed stops. What has changed is made ready, its modules are built and its new destinations are asked, while the version before runs on. A file with errors, or a version that cannot be made ready, changes nothing; the errors are in the log and, until they are mended, in /healthz. A pipeline that cannot go on rests until its file changes, and one that never ran and whose destination refuses is tried again; the others do not notice. With --watch, a change of what a pipeline's transforms are made of takes effect too, and a new version must pass the tests in its file. The answer of /healthz is 200 while the API is answered and a version of every pipeline runs, with the status degraded if a newer one does not, and 503 when one of them does not.

Logs go to standard error: by default one line for each event that matters. On SIGINT and SIGTERM requests under way are answered, subscriptions end, and pipelines stop as in leat run. What is not in a sealed object yet is read from the stream again by the next process; so one that dies again and again, before a buffer is full or as old as its interval, delivers nothing meanwhile. The stream holds everything.

Exit codes: 0 stopped as told, 1 failed (a port is in use), 2 wrong use, 3 the data directory is in use, 130 and 143 told twice by SIGINT and SIGTERM.

Examples:

  leat serve
  leat serve --limits off --pipelines /etc/leat/pipelines --data /var/lib/leat
  leat serve --tls-self-signed --transition 500ms --account 123456789012`
}

// Run answers the API and runs the pipelines of a folder.
func (c *serveCmd) Run(a *app) (err error) {
	h, err := c.begin(a, true, slog.LevelInfo)
	if err != nil {
		return err
	}
	api, err := c.listen(h, &c.hostFlags)
	if err != nil {
		h.endMetrics()
		return err
	}
	if err := h.open(&c.hostFlags); err != nil {
		return errors.Join(err, api.Stop())
	}
	defer func() { err = errors.Join(err, h.close()) }()
	h.options.Owner = arn.Owner{Account: c.Account, Region: c.Region}
	pipelines, err := serve.New(serve.Options{
		Dir: cmp.Or(c.Pipelines, defaultPipelines), Optional: c.Pipelines == "", Poll: c.Poll.Std(), Health: h.health, Build: h.options,
		Control: h.control, Watch: c.Watch,
	})
	if err != nil {
		return errors.Join(&exitError{exitUsage, err}, api.Stop())
	}
	if err := api.Start(h.options.Data); err != nil {
		return err
	}
	c.greet(h, api, c.LogFormat)
	var stopped sync.WaitGroup
	stopped.Go(func() {
		<-h.ctx.Done()
		if e := api.Stop(); e != nil {
			h.options.Logger.Warn("requests under way were cut", "error", e)
		}
	})
	pipelines.Run(h.ctx)
	stopped.Wait()
	return nil
}

// defaultPipelines is the folder of pipeline files.
const defaultPipelines = "./pipelines"

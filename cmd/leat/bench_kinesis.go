package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/benchkinesis"
	"github.com/leatstream/leat/pipelines/spec"
)

type benchKinesisCmd struct {
	Endpoint string        `help:"Measure the API at this URL, in place of a leat that is started for it." placeholder:"URL"`
	Compare  bool          `help:"With --endpoint: measure the bare program on this machine too."`
	Peer     []string      `help:"Measure this too: kinesalite (3.3.3, installed with npm into the user's cache)." placeholder:"NAME"`
	Only     []string      `help:"Measure these figures alone: put-records, put-record, get-records, subscribe." placeholder:"NAME"`
	Time     spec.Duration `help:"How long each side of a figure runs in a round, up to 2m." default:"2s"`
	Shards   int           `help:"Shards of the stream." default:"64"`
	Stream   string        `help:"Name of the stream, which is made for the benchmark and deleted." default:"leat-bench" placeholder:"NAME"`
	Region   string        `help:"Region that requests are signed for." default:"us-east-1"`
	NoVerify bool          `name:"no-verify-ssl" help:"Take any certificate of an https endpoint."`
	benchFlags
}

// Help is shown by leat bench kinesis --help.
func (benchKinesisCmd) Help() string {
	return `Figures, with records of 1 KiB: put-records (500 a request, 8 connections), put-record (64 connections), get-records (all shards from their beginning, 4 connections) and subscribe (10 consumers of a shard that a record is put into every 10 ms; its latency is from the ack to the event). After each round everything is read back and compared with what was acked.

Requests are signed with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and those of puts before the clock starts. An endpoint of AWS costs money.

Without --endpoint leat and the bare program are started, each as a process of its own, with their data below --dir; leat runs with limits and metrics off, and does not verify signatures. The bare program is a Go HTTP server that reads the same bodies, hashes them with SHA-256, decodes them and group-commits the records with fdatasync, and does nothing else; take the ratios (OF BARE).

Exit codes: 0 measured, 1 failed or something was lost, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat bench kinesis
  leat bench kinesis --peer kinesalite --json
  leat bench kinesis --endpoint http://127.0.0.1:4567 --compare --shards 4
  leat bench kinesis --endpoint https://kinesis.eu-west-1.amazonaws.com --region eu-west-1 --shards 2 --only put-record --rounds 1`
}

// Run measures an API.
func (c *benchKinesisCmd) Run(a *app) error {
	var rows []benchkinesis.Row
	err := c.measure(a, func(j *job) (err error) {
		rows, err = benchkinesis.Run(j.ctx, benchkinesis.Options{
			Endpoint: c.Endpoint, Compare: c.Compare, Peers: c.Peer, Region: c.Region, NoVerify: c.NoVerify, Stream: c.Stream, Shards: c.Shards,
			Credentials: benchkinesis.Credentials{
				AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), Session: os.Getenv("AWS_SESSION_TOKEN"),
			},
			Time: c.Time.Std(), Rounds: c.Rounds, Only: c.Only, Dir: c.Dir, Progress: j.doing,
		})
		return err
	})
	switch fault.CodeOf(err) {
	case "bench.options", "bench.endpoint":
		return &exitError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "FIGURE\tPROGRAM\tRECORDS/S\tMB/S\tOF BARE\tP50\tP99\tP99.9\tTHROTTLED")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%s\t%s\t%s\t%s\t%d\n", r.Figure, r.Program, r.Records, r.MB, orDash(r.OfBare, "%.2f"),
			timeText(r.P50), timeText(r.P99), timeText(r.P999), r.Throttled)
	}
	return w.Flush()
}

// benchKinesisBareCmd is what leat bench kinesis starts to compare with.
type benchKinesisBareCmd struct {
	Addr string `required:""`
	Dir  string `required:""`
}

// Run serves until it is told to stop.
func (c *benchKinesisBareCmd) Run(a *app) error {
	ctx, cancel := signal.NotifyContext(a.ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	return benchkinesis.ServeBare(ctx, l, c.Dir)
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/apis"
	"github.com/leatstream/leat/pipelines/spec"
)

type streamCmd struct {
	Create   streamCreateCmd   `cmd:"" help:"Create a stream."`
	List     streamListCmd     `cmd:"" help:"List the streams."`
	Describe streamDescribeCmd `cmd:"" help:"Describe a stream and its shards."`
	Put      streamPutCmd      `cmd:"" help:"Put lines or one record into a stream."`
	Get      streamGetCmd      `cmd:"" help:"Read records."`
	Split    streamSplitCmd    `cmd:"" help:"Split a shard into two."`
	Merge    streamMergeCmd    `cmd:"" help:"Merge two adjacent shards into one."`
	Delete   streamDeleteCmd   `cmd:"" help:"Delete a stream and all its records."`
}

// Help is shown by leat stream --help.
func (streamCmd) Help() string {
	return `These commands open the data directory alone: while leat run or leat serve uses it, they end with exit code 3, and the Kinesis API of leat serve does what they do.

Examples:

  leat stream create orders --shards 4
  leat stream put orders --key customer-7 '{"total": 12}'
  leat stream get orders --json`
}

// withStream opens the data directory and a stream in it for the time of a call.
func (f *dataFlag) withStream(a *app, name string, use func(*stream.Stream) error) error {
	return f.withStreams(a, func(streams *stream.Streams) error {
		s, err := streams.Get(name)
		if err != nil {
			return err
		}
		return use(s)
	})
}

func (f *dataFlag) withStreams(a *app, use func(*stream.Streams) error) (err error) {
	dir, err := f.open(observe.Logger(a.stderr, observe.Text, slog.LevelWarn), nil)
	var locked *fault.Error
	if errors.Is(err, vfs.ErrLocked) && errors.As(err, &locked) {
		return locked.WithHint("%s; a leat serve can be asked by its Kinesis API, by default at http://%s", locked.Hint, apis.DefaultAddr)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return use(dir.Streams)
}

type streamCreateCmd struct {
	Name      string        `arg:"" help:"Name of the stream."`
	Shards    int           `help:"Number of shards." default:"1"`
	OnDemand  bool          `help:"Use the on-demand capacity mode, which starts with 4 shards."`
	Retention spec.Duration `help:"How long records are kept, 1d to 365d." default:"1d"`
	Limits    string        `help:"Limits of its shards: ${enum}." enum:"aws,off" default:"off"`
	Hold      spec.Bytes    `help:"Keep what a pipeline still needs, whatever its age, up to this size; then refuse writes." placeholder:"SIZE"`
	dataFlag
	jsonFlag
}

// Help is shown by leat stream create --help.
func (streamCreateCmd) Help() string {
	return `Exit codes: 0 created, 1 failed (it exists already), 2 wrong use, 3 the data directory is in use.

Example:

  leat stream create orders --shards 4 --retention 7d`
}

// Run creates a stream.
func (c *streamCreateCmd) Run(a *app) error {
	cfg := stream.Config{Shards: c.Shards, Retention: shardlog.Retention{Age: c.Retention.Std(), Hold: int64(c.Hold)}}
	if c.Limits == spec.LimitsAWS {
		cfg.WriteLimit = stream.KinesisWriteLimit
	}
	if c.OnDemand {
		cfg.Mode, cfg.Shards = stream.OnDemand, 0
	}
	if err := stream.CheckName(c.Name); err != nil {
		return &exitError{exitUsage, err}
	}
	if err := cfg.Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	return c.withStreams(a, func(streams *stream.Streams) error {
		s, err := streams.Create(a.ctx, c.Name, cfg)
		if err != nil {
			return err
		}
		if c.JSON {
			return describeStream(a, s)
		}
		fmt.Fprintf(a.stdout, "created %s with %s\n", s.Name(), plural(s.OpenShards(), "shard"))
		return nil
	})
}

type streamListCmd struct {
	dataFlag
	jsonFlag
}

// Help is shown by leat stream list --help.
func (streamListCmd) Help() string {
	return `Exit codes: 0, 1 failed, 3 the data directory is in use.

Example:

  leat stream list --data ./leat-data`
}

// Run lists the streams.
func (c *streamListCmd) Run(a *app) error {
	type entry struct {
		Name    string    `json:"name"`
		Shards  int       `json:"open_shards"`
		Created time.Time `json:"created"`
		Bytes   int64     `json:"bytes"`
		Error   string    `json:"error,omitempty"`
	}
	return c.withStreams(a, func(streams *stream.Streams) error {
		list := []entry{}
		for _, name := range streams.List() {
			e := entry{Name: name}
			if s, err := streams.Get(name); err != nil {
				e.Error = err.Error()
			} else {
				e.Shards, e.Created, e.Bytes = s.OpenShards(), s.Created(), s.Log().Size()
			}
			list = append(list, e)
		}
		if c.JSON {
			return a.printJSON(list)
		}
		w := a.table()
		fmt.Fprintln(w, "STREAM\tSHARDS\tON DISK\tCREATED")
		for _, e := range list {
			if e.Error != "" {
				fmt.Fprintf(w, "%s\tcannot be opened: %s\n", e.Name, e.Error)
				continue
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", e.Name, e.Shards, sizeText(e.Bytes), e.Created.UTC().Format(time.RFC3339))
		}
		return w.Flush()
	})
}

type streamDescribeCmd struct {
	Name string `arg:"" help:"Name of the stream."`
	dataFlag
	jsonFlag
}

// Help is shown by leat stream describe --help.
func (streamDescribeCmd) Help() string {
	return `Exit codes: 0, 1 failed (no such stream), 3 the data directory is in use.

Example:

  leat stream describe orders --json`
}

// Run describes a stream.
func (c *streamDescribeCmd) Run(a *app) error {
	return c.withStream(a, c.Name, func(s *stream.Stream) error {
		if c.JSON {
			return describeStream(a, s)
		}
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		cfg := s.Config()
		fmt.Fprintf(a.stdout, "stream       %s\nincarnation  %s\ncreated      %s\nmode         %s\nretention    %s\n", s.Name(), s.Incarnation(),
			s.Created().UTC().Format(time.RFC3339), cfg.Mode, retentionText(cfg.Retention))
		fmt.Fprintf(a.stdout, "on disk      %s\n\n", sizeText(s.Log().Size()))
		w := a.table()
		fmt.Fprintln(w, "SHARD\tSTATE\tRECORDS\tFIRST HASH KEY\tLAST HASH KEY\tPARENTS")
		for _, sh := range shards {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", sh.ID, shardState(&sh), sh.Next-sh.TrimHorizon, sh.Hash.Start, sh.Hash.End, idList(sh.Parents))
		}
		return w.Flush()
	})
}

func retentionText(r shardlog.Retention) string {
	text := "for ever"
	if r.Age > 0 {
		text = spec.Duration(r.Age).String()
	}
	if r.Hold > 0 {
		text += ", what a pipeline needs up to " + spec.Bytes(r.Hold).String()
	}
	return text
}

func shardState(sh *stream.Shard) string {
	if sh.Closed.IsZero() {
		return "open"
	}
	return "closed"
}

func idList(ids []record.ShardID) string {
	if len(ids) == 0 {
		return "-"
	}
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ","
		}
		text += id.String()
	}
	return text
}

type shardJSON struct {
	Shard       string     `json:"shard"`
	First       string     `json:"first_hash_key"`
	Last        string     `json:"last_hash_key"`
	Parents     []string   `json:"parents"`
	Opened      time.Time  `json:"opened"`
	Closed      *time.Time `json:"closed"`
	TrimHorizon uint64     `json:"trim_horizon"`
	Next        uint64     `json:"next"`
}

// describeStream prints a stream as JSON.
func describeStream(a *app, s *stream.Stream) error {
	shards, err := s.Shards()
	if err != nil {
		return err
	}
	cfg := s.Config()
	out := struct {
		Name        string      `json:"name"`
		Incarnation string      `json:"incarnation"`
		Created     time.Time   `json:"created"`
		Mode        stream.Mode `json:"mode"`
		Retention   float64     `json:"retention_hours"`
		Hold        int64       `json:"hold_bytes"`
		Bytes       int64       `json:"bytes"`
		Shards      []shardJSON `json:"shards"`
	}{s.Name(), s.Incarnation().String(), s.Created(), cfg.Mode, cfg.Retention.Age.Hours(), cfg.Retention.Hold, s.Log().Size(), []shardJSON{}}
	for _, sh := range shards {
		j := shardJSON{
			Shard: sh.ID.String(), First: sh.Hash.Start.String(), Last: sh.Hash.End.String(), Parents: []string{},
			Opened: sh.Opened.UTC(), TrimHorizon: sh.TrimHorizon, Next: sh.Next,
		}
		for _, p := range sh.Parents {
			j.Parents = append(j.Parents, p.String())
		}
		if !sh.Closed.IsZero() {
			at := sh.Closed.UTC()
			j.Closed = &at
		}
		out.Shards = append(out.Shards, j)
	}
	return a.printJSON(out)
}

type streamDeleteCmd struct {
	Name string `arg:"" help:"Name of the stream."`
	dataFlag
}

// Help is shown by leat stream delete --help.
func (streamDeleteCmd) Help() string {
	return `Records that are not delivered yet are gone too. A pipeline that uses the stream makes it anew, and reads its files from their beginning.

Exit codes: 0 deleted, 1 failed, 2 wrong use, 3 the data directory is in use.

Example:

  leat stream delete orders`
}

// Run deletes a stream, one that cannot be opened included.
func (c *streamDeleteCmd) Run(a *app) error {
	return c.withStreams(a, func(streams *stream.Streams) error {
		if err := streams.Delete(a.ctx, c.Name); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "deleted %s\n", c.Name)
		return nil
	})
}

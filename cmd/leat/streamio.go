package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"github.com/leatstream/leat/core/codec/kpl"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

const (
	// putEntries and putBytes bound one put of lines from standard input.
	putEntries = 500
	putBytes   = 4 << 20
)

type streamPutCmd struct {
	Name    string   `arg:"" help:"Name of the stream."`
	Record  bytesArg `arg:"" optional:"" help:"One record. Without it, each line of standard input is one."`
	Key     string   `help:"Partition key of every record; a random one for each if absent."`
	HashKey string   `help:"Explicit hash key, a decimal number, in place of the key's MD5." placeholder:"NUMBER"`
	dataFlag
	jsonFlag
}

// bytesArg is an argument taken as it is. For a string kong would replace what is not UTF-8.
type bytesArg string

// Decode implements kong.MapperValue.
func (b *bytesArg) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("record")
	if err != nil {
		return err
	}
	*b = bytesArg(token.String())
	return nil
}

// Help is shown by leat stream put --help.
func (streamPutCmd) Help() string {
	return `The records are on the disk when the command ends with 0. With --json, each record's shard and sequence number is printed when it is stored, one JSON object a line. What a shard's write limit refuses is put again until the limit allows it.

Exit codes: 0 stored, 1 failed, 2 wrong use, 3 the data directory is in use.

Examples:

  leat stream put orders --key customer-7 '{"total": 12}'
  leat stream put orders < lines.txt`
}

// Run puts records.
func (c *streamPutCmd) Run(a *app) error {
	return c.withStream(a, c.Name, func(s *stream.Stream) error {
		stored := 0
		var err error
		if c.Record != "" {
			stored, err = c.put(a, s, []stream.Entry{c.entry([]byte(c.Record))})
		} else {
			stored, err = c.lines(a, s)
		}
		if !c.JSON && (err == nil || stored > 0) {
			fmt.Fprintf(a.stdout, "put %s into %s\n", plural(stored, "record"), s.Name())
		}
		return err
	})
}

func (c *streamPutCmd) entry(data []byte) stream.Entry {
	e := stream.Entry{Key: c.Key, ExplicitHashKey: c.HashKey, Data: data}
	if e.Key == "" {
		e.Key = uuid.NewString()
	}
	return e
}

// lines puts the lines of standard input.
func (c *streamPutCmd) lines(a *app, s *stream.Stream) (stored int, err error) {
	in := bufio.NewScanner(a.stdin)
	in.Buffer(make([]byte, 0, 64<<10), stream.MaxRecordSize+1)
	var entries []stream.Entry
	size := 0
	flush := func() error {
		n, err := c.put(a, s, entries)
		stored += n
		entries, size = entries[:0], 0
		return err
	}
	for in.Scan() {
		line := append([]byte(nil), in.Bytes()...)
		if len(entries) == putEntries || size+len(line) > putBytes && len(entries) > 0 {
			if err := flush(); err != nil {
				return stored, err
			}
		}
		entries, size = append(entries, c.entry(line)), size+len(line)
	}
	if err := flush(); err != nil {
		return stored, err
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return stored, fmt.Errorf("line %d of standard input is longer than a record may be (%s)", stored+1, sizeText(stream.MaxRecordSize))
	}
	return stored, in.Err()
}

// limitPause is the time after which what a shard's write limit has refused is put again: a tenth of its burst.
const limitPause = 100 * time.Millisecond

// put stores entries, as fast as the limits of shards allow, and returns how many are stored.
func (c *streamPutCmd) put(a *app, s *stream.Stream, entries []stream.Entry) (stored int, err error) {
	for len(entries) > 0 {
		results, failed := s.Put(a.ctx, entries)
		if failed != nil {
			return stored, failed
		}
		again := entries[:0]
		for i := range results {
			switch r := &results[i]; {
			case fault.ClassOf(r.Err) == fault.Throttled:
				again = append(again, entries[i])
			case r.Err != nil:
				err = r.Err // of the log, and the same for all that it refuses
			default:
				stored++
				if c.JSON {
					fmt.Fprintf(a.stdout, "{\"shard\":%q,\"sequence_number\":%q}\n", r.Shard, r.SequenceNumber())
				}
			}
		}
		if entries = again; err != nil || len(entries) == 0 {
			return stored, err
		}
		time.Sleep(limitPause)
	}
	return stored, nil
}

type streamGetCmd struct {
	Name  string `arg:"" help:"Name of the stream."`
	Shard string `help:"Only this shard: its name or its number." placeholder:"SHARD"`
	From  string `help:"Where to start: trim_horizon, a time in RFC 3339, or, with --shard, a sequence number." default:"trim_horizon"`
	Limit int    `help:"Most records to read from each shard; 0 for all." default:"0"`

	Deaggregate bool `help:"Print the records inside those that the Kinesis Producer Library has aggregated."`
	dataFlag
	jsonFlag
}

// Help is shown by leat stream get --help.
func (streamGetCmd) Help() string {
	return `Prints the data of each record as a line; with --json, one JSON object a line with its shard, position, sequence number, arrival, key and data. Data that is not UTF-8 is in the field "base64". Shards are read one after the other. With --deaggregate, the field "sub" numbers the records inside an aggregated one.

Exit codes: 0, 1 failed, 2 wrong use, 3 the data directory is in use.

Examples:

  leat stream get orders --limit 10
  leat stream get orders --shard 2 --from 2026-11-01T00:00:00Z --json
  leat stream get clicks --deaggregate`
}

// Run reads records.
func (c *streamGetCmd) Run(a *app) error {
	from, err := c.start()
	if err != nil {
		return err
	}
	return c.withStream(a, c.Name, func(s *stream.Stream) error {
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		if c.Shard != "" {
			id, err := record.ParseShardID(c.Shard)
			if err != nil {
				return wrong("--shard %s: %w", c.Shard, err)
			}
			one, err := s.Shard(id)
			if err != nil {
				return err
			}
			shards = []stream.Shard{one}
		}
		out := bufio.NewWriter(a.stdout)
		for i := range shards {
			if err := c.shard(a, s, shards[i].ID, from, out); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	})
}

func (c *streamGetCmd) start() (stream.StartingPosition, error) {
	if strings.EqualFold(c.From, "trim_horizon") {
		return stream.StartingPosition{Type: stream.TrimHorizon}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, c.From); err == nil {
		return stream.StartingPosition{Type: stream.AtTimestamp, Timestamp: at}, nil
	}
	n, err := stream.ParseSequenceNumber(c.From)
	if err != nil {
		return stream.StartingPosition{}, wrong("--from %s: want trim_horizon, a time such as 2026-11-01T00:00:00Z, or a sequence number", c.From)
	}
	if c.Shard == "" {
		return stream.StartingPosition{}, wrong("--from with a sequence number needs --shard: the number belongs to one shard")
	}
	return stream.StartingPosition{Type: stream.AtSequenceNumber, SequenceNumber: n}, nil
}

// shard prints one shard up to what is its end now.
func (c *streamGetCmd) shard(a *app, s *stream.Stream, id record.ShardID, from stream.StartingPosition, out io.Writer) error {
	at, err := s.Iterator(a.ctx, id, from)
	if err != nil {
		return err
	}
	batch := record.NewBatch()
	defer batch.Release()
	for left := c.Limit; c.Limit == 0 || left > 0; left -= batch.Len() {
		batch.Reset()
		max := shardlog.ReadLimit{Records: 1000, Bytes: 1 << 20}
		if c.Limit > 0 {
			max.Records = min(max.Records, left)
		}
		res, err := s.Read(a.ctx, at, max, batch)
		if err != nil {
			return err
		}
		for i := range batch.Records {
			if err := c.print(s, &batch.Records[i], out); err != nil {
				return err
			}
		}
		if batch.Len() == 0 {
			return nil
		}
		at = res.Next
	}
	return nil
}

// print prints a record, or those that are aggregated in it.
func (c *streamGetCmd) print(s *stream.Stream, r *record.Record, out io.Writer) error {
	if c.Deaggregate {
		if members, ok := kpl.Decode(nil, r.Data); ok {
			for i, m := range members {
				inside := *r
				inside.Key, inside.Data = m.Key, m.Data
				if err := c.printOne(s, &inside, &i, out); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return c.printOne(s, r, nil, out)
}

// printOne prints a record; sub is its index in an aggregated one, or nil.
func (c *streamGetCmd) printOne(s *stream.Stream, r *record.Record, sub *int, out io.Writer) error {
	if !c.JSON {
		_, err := fmt.Fprintf(out, "%s\n", r.Data)
		return err
	}
	n, err := s.SequenceNumber(r)
	if err != nil {
		return err
	}
	line := struct {
		Shard          string    `json:"shard"`
		Position       uint64    `json:"position"`
		SequenceNumber string    `json:"sequence_number"`
		Sub            *int      `json:"sub,omitempty"`
		Arrived        time.Time `json:"arrived"`
		Key            string    `json:"key"`
		Data           *string   `json:"data,omitempty"`
		Base64         string    `json:"base64,omitempty"`
	}{Shard: r.Shard.String(), Position: r.Seq, SequenceNumber: n.String(), Sub: sub, Arrived: r.ArrivedAt(), Key: r.Key}
	if utf8.Valid(r.Data) {
		text := string(r.Data)
		line.Data = &text
	} else {
		line.Base64 = base64.StdEncoding.EncodeToString(r.Data)
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(line)
}

package main

import (
	"fmt"
	"math/bits"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

type streamSplitCmd struct {
	Name  string `arg:"" help:"Name of the stream."`
	Shard string `arg:"" help:"The shard: its name or its number."`
	At    string `help:"First hash key of the second half; the middle if absent." placeholder:"NUMBER"`
	dataFlag
	jsonFlag
}

// Help is shown by leat stream split --help.
func (streamSplitCmd) Help() string {
	return `The shard takes no more records and stays readable until they expire.

Exit codes: 0 split, 1 failed, 2 wrong use, 3 the data directory is in use.

Example:

  leat stream split orders 0`
}

// Run splits a shard.
func (c *streamSplitCmd) Run(a *app) error {
	id, err := record.ParseShardID(c.Shard)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return c.withStream(a, c.Name, func(s *stream.Stream) error {
		sh, err := s.Shard(id)
		if err != nil {
			return err
		}
		at := middle(sh.Hash)
		if c.At != "" {
			if at, err = stream.ParseHashKey(c.At); err != nil {
				return &exitError{exitUsage, err}
			}
		}
		children, err := s.Split(a.ctx, id, at)
		if err != nil {
			return err
		}
		if c.JSON {
			return describeStream(a, s)
		}
		fmt.Fprintf(a.stdout, "split %s at %s into %s and %s\n", id, at, children[0], children[1])
		return nil
	})
}

// middle is the hash key at which a shard's upper half begins.
func middle(r stream.HashRange) stream.HashKey {
	lo, carry := bits.Add64(r.Start.Lo, r.End.Lo, 1) // 1, for the end is included
	hi, over := bits.Add64(r.Start.Hi, r.End.Hi, carry)
	return stream.HashKey{Hi: hi>>1 | over<<63, Lo: lo>>1 | hi<<63}
}

type streamMergeCmd struct {
	Name   string `arg:"" help:"Name of the stream."`
	First  string `arg:"" help:"The shard with the lower hash keys: its name or its number."`
	Second string `arg:"" help:"The shard that begins where the first one ends."`
	dataFlag
	jsonFlag
}

// Help is shown by leat stream merge --help.
func (streamMergeCmd) Help() string {
	return `Both shards take no more records and stay readable until they expire.

Exit codes: 0 merged, 1 failed, 2 wrong use, 3 the data directory is in use.

Example:

  leat stream merge orders 1 2`
}

// Run merges two shards.
func (c *streamMergeCmd) Run(a *app) error {
	first, err := record.ParseShardID(c.First)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	second, err := record.ParseShardID(c.Second)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return c.withStream(a, c.Name, func(s *stream.Stream) error {
		child, err := s.Merge(a.ctx, first, second)
		if err != nil {
			return err
		}
		if c.JSON {
			return describeStream(a, s)
		}
		fmt.Fprintf(a.stdout, "merged %s and %s into %s\n", first, second, child)
		return nil
	})
}

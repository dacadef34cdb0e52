package feeder

import (
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/spec/jq"
)

// Bounds and defaults. Sizes are in bytes.
const (
	// DefaultMaxLine is the longest line that becomes a record unless an input says otherwise.
	DefaultMaxLine = 1 << 20
	// MaxMaxLine is the largest that an input may say.
	MaxMaxLine = 10 << 20
	// DefaultPoll is how often the files are looked at.
	DefaultPoll = 250 * time.Millisecond
	// DefaultSettle is how long a file must rest before a last line without a newline counts as complete.
	DefaultSettle = 5 * time.Second
	// DefaultRotateWait is how long a file that was renamed away or deleted is watched for late lines.
	DefaultRotateWait = 30 * time.Second
	// DefaultParallel is how many files are read at once.
	DefaultParallel = 4
	// DefaultMaxOpen is how many files are held open between reads.
	DefaultMaxOpen = 1024
	// DefaultBatchBytes is what is read, and put into the stream, at a time.
	DefaultBatchBytes = 1 << 20

	maxParallel   = 64      // far below slotGap, see slots
	maxName       = 200     // leaves room for a slot number in the 255 bytes of a producer's name
	maxFiles      = 100_000 // about 50 MB of memory
	maxBatch      = 64 << 20
	maxRecords    = 16 << 10 // records of one put; 80 bytes of bookkeeping each
	maxKeyRunes   = 256      // as the Kinesis API
	maxCSVColumn  = 10_000
	quantum       = 64 << 20 // bytes of one file before the others get their turn
	scanShare     = 19       // pauses between looks are at least this many times as long as the look
	retryFile     = 5 * time.Second
	stopGrace     = 5 * time.Second // for a put under way when Run is told to stop
	maxRetired    = 1000            // marks kept of files that were let go
	firstPause    = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	putComplaints = 30 * time.Second // how often a put that keeps failing is logged
)

// Config says what to feed and how.
type Config struct {
	// Name tells this feeder's marks apart from those of others that feed the same stream: 1 to 200 bytes, by custom the
	// pipeline's name. Another name finds no marks, so every file is read from its beginning.
	Name string
	// Others are the names of feeders that may have fed the same stream before. Files that one of them has fed are fed again, and there
	// is a warning of that: Name may be new.
	Others []string
	// Inputs are the files to read. A file that several inputs match belongs to the first of them.
	Inputs []Input
	// UntilIdle makes Run return when all files have been read to their end, instead of waiting for more.
	UntilIdle bool

	// Poll is how often files are looked at; DefaultPoll if 0. With very many files the pauses grow by themselves, so
	// that looking takes at most a twentieth of one core.
	Poll time.Duration
	// Settle is how long a file must be unchanged before a last line without a newline is taken; DefaultSettle if 0.
	Settle time.Duration
	// RotateWait is how long a file that no input matches any more (renamed, deleted) must be unchanged before it is let
	// go; DefaultRotateWait if 0.
	RotateWait time.Duration
	// Parallel is how many files are read at once, 1 to 64; DefaultParallel if 0. Each takes two buffers of BatchBytes or
	// of the longest line, whichever is more.
	Parallel int
	// MaxOpen is how many files are held open between reads; DefaultMaxOpen if 0. A file held open is read to its end
	// even if it is renamed to where no pattern matches, or deleted.
	MaxOpen int
	// MaxRecord is the largest record, key and data together in bytes, that the stream takes: 1 to 10 MiB;
	// stream.MinRecordSize if 0. A line that exceeds it counts as too long.
	MaxRecord int
	// BatchBytes is how much is read and put at a time, 4 KiB to 64 MiB; DefaultBatchBytes if 0.
	BatchBytes int
}

// Input is a set of files that are read alike.
type Input struct {
	// Paths are absolute paths or patterns in the notation of [filepath.Match].
	Paths []string
	// SkipLines is how many lines at the beginning of each file are not records (a CSV header). A file that starts
	// anew, by rotation or truncation, has them again.
	SkipLines int
	// Key says where partition keys come from.
	Key Key
	// MaxLine is the longest line in bytes, without its line end, that becomes a record: up to MaxMaxLine; DefaultMaxLine
	// if 0. A longer line is passed over, counted and logged.
	MaxLine int
}

// Key says where a line's partition key comes from. The zero Key is random: a new key every few lines, so that the lines
// of a file spread over all shards and keep no order between them. At most one field is set.
type Key struct {
	// CSVColumn is the column of a comma-separated line that holds the key; the first is 1.
	CSVColumn int
	// JSON is the path of the key in a JSON line, a plain one of package jq: .user.id, .tags[0] or ."user name"
	JSON string
	// Constant is the key of every line, so that all go to one shard, in order.
	Constant string
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, "feeder.invalid_config", format, args...)
}

// resolve returns c with its defaults filled in, or why it cannot work.
func (c Config) resolve() (Config, error) {
	if c.Name == "" || len(c.Name) > maxName {
		return c, invalid("feeder name %q: want 1 to %d bytes", c.Name, maxName)
	}
	if len(c.Inputs) == 0 {
		return c, invalid("feeder %s has no files to read", c.Name)
	}
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{{"poll interval", &c.Poll, DefaultPoll}, {"settle time", &c.Settle, DefaultSettle}, {"rotate wait", &c.RotateWait, DefaultRotateWait}} {
		if *d.v < 0 {
			return c, invalid("feeder %s: %s %v is negative", c.Name, d.name, *d.v)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, n := range []struct {
		name         string
		v            *int
		def, lo, top int
	}{
		{"files read at once", &c.Parallel, DefaultParallel, 1, maxParallel},
		{"files held open", &c.MaxOpen, DefaultMaxOpen, 1, maxFiles},
		{"largest record", &c.MaxRecord, stream.MinRecordSize, 1, stream.MaxRecordSize},
		{"batch size", &c.BatchBytes, DefaultBatchBytes, 4 << 10, maxBatch},
	} {
		if *n.v == 0 {
			*n.v = n.def
		}
		if *n.v < n.lo || *n.v > n.top {
			return c, invalid("feeder %s: %s is %d: want %d to %d", c.Name, n.name, *n.v, n.lo, n.top)
		}
	}
	c.Inputs = append([]Input(nil), c.Inputs...)
	for i := range c.Inputs {
		if err := c.Inputs[i].resolve(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (in *Input) resolve() error {
	if len(in.Paths) == 0 {
		return invalid("an input has no path")
	}
	for _, p := range in.Paths {
		if !filepath.IsAbs(p) {
			return invalid("path %q is not absolute", p)
		}
		if _, err := filepath.Match(p, ""); err != nil {
			return invalid("path %q: %w", p, err).WithHint("a [ that is part of a name is written \\[")
		}
		if strings.Contains(p, "**") {
			return invalid("path %q: ** is not understood", p).WithHint("list each depth of folders with a * of its own")
		}
	}
	if in.SkipLines < 0 {
		return invalid("%s: cannot skip %d lines", in.Paths[0], in.SkipLines)
	}
	if in.MaxLine == 0 {
		in.MaxLine = DefaultMaxLine
	}
	if in.MaxLine < 1 || in.MaxLine > MaxMaxLine {
		return invalid("%s: longest line %d: want 1 to %d bytes", in.Paths[0], in.MaxLine, MaxMaxLine)
	}
	k, set := in.Key, 0
	for _, given := range []bool{k.CSVColumn != 0, k.JSON != "", k.Constant != ""} {
		if given {
			set++
		}
	}
	switch {
	case set > 1:
		return invalid("%s: more than one source of keys", in.Paths[0])
	case k.CSVColumn < 0 || k.CSVColumn > maxCSVColumn:
		return invalid("%s: key column %d: want 1 to %d", in.Paths[0], k.CSVColumn, maxCSVColumn)
	case !utf8.ValidString(k.Constant) || utf8.RuneCountInString(k.Constant) > maxKeyRunes:
		return invalid("%s: constant key: want valid UTF-8 of at most %d characters", in.Paths[0], maxKeyRunes)
	}
	if k.JSON != "" {
		if _, err := jq.ParsePath(k.JSON); err != nil {
			return invalid("%s: key %q: %w", in.Paths[0], k.JSON, err)
		}
	}
	return nil
}

// longest is the longest line of any input in bytes.
func (c *Config) longest() int {
	n := 0
	for i := range c.Inputs {
		n = max(n, c.Inputs[i].MaxLine)
	}
	return n
}

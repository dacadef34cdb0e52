package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Decompress unpacks records.
type Decompress struct {
	setting.Node
	Format         string          `yaml:"format" default:"auto" enum:"auto|gzip|zstd" doc:"How records are compressed; auto tells it by their first bytes."`
	Plain          string          `yaml:"plain" default:"fail" enum:"fail|keep" doc:"What becomes of a record that is not compressed."`
	Layers         int             `yaml:"layers" default:"1" range:"1..4" doc:"How often a record may be compressed: 2 also unpacks one that a producer has compressed again."`
	MaxSize        setting.Bytes   `yaml:"max_size" default:"10MiB" range:"1KiB..64MiB" doc:"Most bytes of an unpacked record; more fails it."`
	CloudWatchLogs *CloudWatchLogs `yaml:"cloudwatch_logs" doc:"The records are what CloudWatch Logs sends to its subscribers."`
}

// maxWindow is how much of what it has unpacked, in bytes, a record may have the decoder remember: what zstd takes by default.
const maxWindow = 8 << 20

// Open implements Config.
func (c *Decompress) Open(context.Context, Env) (stage.Transform, error) {
	d := &decompress{format: c.Format, keep: c.Plain == "keep", layers: c.Layers, most: int(c.MaxSize)}
	if c.CloudWatchLogs != nil {
		var err error
		if d.logs, err = c.CloudWatchLogs.open(); err != nil {
			return nil, err
		}
	}
	return eachWith(func() *unpacker { return &unpacker{} }, d.apply), nil
}

type decompress struct {
	format       string
	keep         bool
	layers, most int
	logs         *cloudWatchLogs // nil: the records are anything
}

func (d *decompress) apply(u *unpacker, r *record.Record, w *writer) {
	data, layers := r.Data, 0
	for layers < d.layers {
		format := magic(data)
		if format == "" || d.format != "auto" && d.format != format {
			break
		}
		out, err := u.unpack(format, data, layers, d.most)
		if errors.Is(err, errUnpackedTooLarge) {
			w.fail("decompress.too_large", "the record has more than %d bytes when it is unpacked", d.most)
			return
		}
		if layers++; err != nil {
			w.fail("decompress.damaged", "layer %d begins as %s and cannot be unpacked: %v", layers, format, err)
			return
		}
		data = out
	}
	switch {
	case layers == 0 && !d.keep:
		w.fail("decompress.not_compressed", "the record does not begin as a compressed one: %s", excerpt(data))
	case d.logs != nil:
		d.logs.apply(&u.logs, r, data, w)
	case layers == 0:
		w.keep()
	default:
		w.data(r, data)
	}
}

// magic returns the format that data begins with; empty for none.
func magic(data []byte) string {
	switch {
	case len(data) >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8:
		return "gzip"
	case len(data) >= 4 && data[1] == 0xb5 && data[2] == 0x2f && data[3] == 0xfd && data[0] == 0x28:
		return "zstd"
	case len(data) >= 4 && data[0]&0xf0 == 0x50 && data[1] == 0x2a && data[2] == 0x4d && data[3] == 0x18: // a frame to skip
		return "zstd"
	}
	return ""
}

var errUnpackedTooLarge = errors.New("too large")

// unpacker is the memory of one goroutine that unpacks records.
type unpacker struct {
	gzip *gzip.Reader
	zstd *zstd.Decoder
	in   bytes.Reader
	bufs [2][]byte // of odd and even layers
	logs logsState
}

// unpack returns what data is, unpacked, in memory that the layer after the next uses again. All members or frames of data are unpacked.
func (u *unpacker) unpack(format string, data []byte, layer, most int) (out []byte, err error) {
	u.in.Reset(data)
	defer u.in.Reset(nil)
	var from io.Reader
	switch format {
	case "gzip":
		if u.gzip == nil {
			u.gzip = new(gzip.Reader)
		}
		if err := u.gzip.Reset(&u.in); err != nil {
			return nil, err
		}
		from = u.gzip
	default:
		if u.zstd == nil {
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
		}
		if err := u.zstd.Reset(&u.in); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, u.zstd.Reset(nil)) }()
		from = u.zstd
	}
	buf := &u.bufs[layer%2]
	out, err = readAtMost((*buf)[:0], from, most)
	if *buf = out; cap(out) > keepScratch {
		*buf = nil
	}
	return out, err
}

// readAtMost appends what r has to dst: errUnpackedTooLarge if that is more than most bytes.
func readAtMost(dst []byte, r io.Reader, most int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, max(4<<10, min(len(dst), most+1-len(dst))))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), most+1)])
		if dst = dst[:len(dst)+n]; len(dst) > most {
			return dst, errUnpackedTooLarge
		}
		switch {
		case err == io.EOF:
			return dst, nil
		case err == io.ErrUnexpectedEOF:
			return dst, fmt.Errorf("it ends too early")
		case err != nil:
			return dst, err
		}
	}
}

// Doc implements Config.
func (c *Decompress) Doc() Doc {
	return Doc{
		Summary: "Unpacks records that are compressed with gzip or zstd, and the envelopes of CloudWatch Logs.",
		Text: "All members of a gzip file, and all frames of zstd, are unpacked one after the other.\n\n" +
			"With `cloudwatch_logs` a record is what CloudWatch Logs sends to its subscribers: `{\"messageType\": …, \"owner\": …, \"logGroup\": …, \"logStream\": …, \"subscriptionFilters\": […], \"logEvents\": [{\"id\": …, \"timestamp\": …, \"message\": …}, …]}`. " +
			"Its control messages are dropped. Each log event can become a record of its own, which keeps the partition key. " +
			"If a later stage fails one of them the envelope is dead as a whole: its dead letter, sent in again, makes each event once.",
		Codes: []Code{
			{"decompress.not_compressed", "The record does not begin with the first bytes of gzip or zstd."},
			{"decompress.damaged", "The record cannot be unpacked."},
			{"decompress.too_large", "The record has more than `max_size` bytes when it is unpacked, or more than 100,000 log events."},
			cloudWatchCode,
		},
		Examples: []Example{
			{
				Title: "gzip and zstd", Config: `{}`, Base64: true,
				Input:  []string{"H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==", "KLUv/QRYKQAAaGVsbG+jbZ+I", "aGVsbG8="},
				Output: []string{"aGVsbG8=", "aGVsbG8="}, Failed: []string{"decompress.not_compressed"},
			},
			{
				Title: "Log events of CloudWatch Logs that nobody has compressed", Config: `{ plain: keep, cloudwatch_logs: { extract: event, keep: [ logGroup ] } }`,
				Input: []string{
					`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`,
					`{"messageType":"DATA_MESSAGE","owner":"111111111111","logGroup":"web","logStream":"a","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1432826855000,"message":"one"},{"id":"2","timestamp":1432826855001,"message":"two"}]}`,
				},
				Output:  []string{`{"id":"1","timestamp":1432826855000,"message":"one","logGroup":"web"}`, `{"id":"2","timestamp":1432826855001,"message":"two","logGroup":"web"}`},
				Dropped: 1,
			},
		},
	}
}

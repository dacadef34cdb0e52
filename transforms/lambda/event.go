package lambda

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"time"

	asm "github.com/segmentio/asm/base64"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// event is one invocation's request, and what is needed to find the records of the response. It is used again and again.
type event struct {
	// text is the request: JSON on one line, with its newline.
	text []byte
	// ids are the records' ids, one after the other, and ends where each ends.
	ids  []byte
	ends []int
	// response is the memory that the response is read into.
	response []byte
	// decoding is the memory of the response's decoding.
	decoding decoding
}

// id is the recordId of the i-th record.
func (e *event) id(i int) []byte {
	if i == 0 {
		return e.ids[:e.ends[0]]
	}
	return e.ids[e.ends[i-1]:e.ends[i]]
}

// read reads all of r, which is one response, into e.response.
func (e *event) read(r io.Reader) error {
	e.response = e.response[:0]
	for {
		if len(e.response) == cap(e.response) {
			e.response = append(e.response, make([]byte, max(64<<10, len(e.response)))...)[:len(e.response)]
		}
		n, err := r.Read(e.response[len(e.response):cap(e.response)])
		e.response = e.response[:len(e.response)+n]
		switch {
		case tooLarge(e.response):
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// tooLarge reports whether a response, without the newline of a program, is larger than MaxPayload.
func tooLarge(response []byte) bool {
	return len(response) > MaxPayload && len(bytes.TrimSuffix(response, []byte{'\n'})) > MaxPayload
}

// writer writes events as Firehose sends them to Lambda functions. What is the same in all of them is written once.
type writer struct {
	prefix   []byte // up to the invocation's id
	suffix   []byte // from behind it to the first record
	sequence func(*record.Record) string
}

// source: spec/firehose-facts.md section 6, and aws-lambda-go's events.KinesisFirehoseEvent for the types of the fields.
func newWriter(env *Env) *writer {
	w := &writer{prefix: []byte(`{"invocationId":"`), sequence: env.SequenceNumber}
	w.suffix = leatjson.AppendString([]byte(`","deliveryStreamArn":`), env.Owner.DeliveryStream(env.Pipeline))
	if env.Stream != "" {
		w.suffix = leatjson.AppendString(append(w.suffix, `,"sourceKinesisStreamArn":`...), env.Owner.Stream(env.Stream))
	}
	w.suffix = leatjson.AppendString(append(w.suffix, `,"region":`...), env.Owner.OrDefault().Region)
	w.suffix = append(w.suffix, `,"records":[`...)
	return w
}

// tail ends an event.
const tail = "]}\n"

// write makes e the event of the first n of recs that fit: their data within limit bytes, unless there is only one, and the event
// within MaxPayload. It returns 0 if not even the first fits.
func (w *writer) write(e *event, recs []record.Record, limit int) (n int) {
	e.ids, e.ends = e.ids[:0], e.ends[:0]
	e.text = append(e.text[:0], w.prefix...)
	e.text = append(e.text, uuid.NewString()...)
	e.text = append(e.text, w.suffix...)
	size := 0
	for n < len(recs) {
		r := &recs[n]
		if size += len(r.Data); n > 0 && size > limit {
			break
		}
		// Checked before it is written: a record may be larger than what an event may ever be.
		if len(e.text)+base64.StdEncoding.EncodedLen(len(r.Data))+len(tail) > MaxPayload {
			break
		}
		before, ids := len(e.text), len(e.ids)
		w.record(e, r, n > 0)
		if len(e.text)+len(tail) > MaxPayload {
			e.text, e.ids, e.ends = e.text[:before], e.ids[:ids], e.ends[:n]
			break
		}
		n++
	}
	e.text = append(e.text, tail...)
	return n
}

// record appends one record.
func (w *writer) record(e *event, r *record.Record, more bool) {
	number := ""
	if w.sequence != nil {
		number = w.sequence(r)
	}
	from := len(e.ids)
	if number == "" {
		// Outside a stream, as in a test: shard and position tell records apart.
		e.ids = appendPadded(e.ids, uint64(r.Shard), 12)
		e.ids = appendPadded(e.ids, r.Seq, 20)
	} else {
		e.ids = append(e.ids, number...)
	}
	ofNumber := len(e.ids)
	e.ids = appendPadded(e.ids, uint64(r.Sub), 6) // Firehose's ids are sequence numbers with some digits more, too
	e.ends = append(e.ends, len(e.ids))

	b := e.text
	if more {
		b = append(b, ',')
	}
	b = append(b, `{"recordId":"`...)
	b = append(b, e.ids[from:]...)
	b = append(b, `","approximateArrivalTimestamp":`...)
	arrived := r.Arrived / int64(time.Millisecond)
	b = strconv.AppendInt(b, arrived, 10)
	b = append(b, `,"data":"`...)
	b = appendBase64(b, r.Data)
	b = append(b, `","kinesisRecordMetadata":{"sequenceNumber":"`...)
	b = append(b, e.ids[from:ofNumber]...)
	b = append(b, `","subsequenceNumber":`...)
	b = strconv.AppendUint(b, uint64(r.Sub), 10)
	b = append(b, `,"partitionKey":`...)
	b = leatjson.AppendString(b, r.Key)
	b = append(b, `,"shardId":"shardId-`...)
	b = appendPadded(b, uint64(r.Shard), 12)
	b = append(b, `","approximateArrivalTimestamp":`...)
	b = strconv.AppendInt(b, arrived, 10)
	e.text = append(b, `}}`...)
}

func appendBase64(dst, data []byte) []byte {
	from, n := len(dst), base64.StdEncoding.EncodedLen(len(data))
	dst = append(dst, make([]byte, n)...)
	asm.StdEncoding.Encode(dst[from:], data)
	return dst
}

// appendPadded appends n in decimal, with zeros up to the width.
func appendPadded(dst []byte, n uint64, width int) []byte {
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], n, 10)
	for i := len(d); i < width; i++ {
		dst = append(dst, '0')
	}
	return append(dst, d...)
}

package lambda

import (
	"encoding/base64"
	"slices"

	asm "github.com/segmentio/asm/base64"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// decode makes results of a response to the event e of recs, which are the records from base on of the batch. An error is
// about the event as a whole, and out is then as it was.
func (e *event) decode(response []byte, recs []record.Record, base int, out *stage.Output) error {
	d := &e.decoding
	if err := d.parse(response, len(recs)); err != nil {
		return err
	}
	if err := d.match(e, len(recs)); err != nil {
		return err
	}
	out.Results, out.Outs = slices.Grow(out.Results, len(recs)), slices.Grow(out.Outs, len(recs))
	for i := range recs {
		res := stage.Result{}
		switch {
		case d.twice[i]:
			res = failed(CodeIDDuplicate, "the response has the recordId "+string(e.id(i))+" more than once")
		case d.first[i] == 0:
			res = d.absent(e, i)
		default:
			res = d.answers[d.first[i]-1].outcome(&recs[i], base+i, out)
		}
		out.Results = append(out.Results, res)
	}
	return nil
}

// match finds the answer of each of n records. Handlers mostly answer in the order of the event.
func (d *decoding) match(e *event, n int) error {
	d.first = append(d.first[:0], make([]int32, n)...)
	d.twice = append(d.twice[:0], make([]bool, n)...)
	indexed, strays, found := false, 0, 0
	for k := range d.answers {
		a := &d.answers[k]
		if a.kind != identified {
			strays++
			continue
		}
		i := k
		if k >= n || string(a.id) != string(e.id(k)) {
			if !indexed {
				d.index(e, n)
				indexed = true
			}
			at, known := d.byID[string(a.id)]
			if !known {
				strays++
				continue
			}
			i = int(at)
		}
		if d.first[i] != 0 {
			d.twice[i] = true
			continue
		}
		d.first[i] = int32(k + 1)
		found++
	}
	// What answers no record stands for one that has no answer, as long as there are such. Beyond that it would be lost: asked
	// one by one, the records show whose it is.
	if strays > n-found {
		return fault.New(fault.Permanent, CodeIDUnknown, "the response has more records than were asked for: %d that nobody did, beside the answers to %d%s", strays, found, d.stray()).
			WithHint(onlyIDs)
	}
	return nil
}

// stray names one recordId that nobody asked for.
func (d *decoding) stray() string {
	for k := range d.answers {
		if a := &d.answers[k]; a.kind == identified {
			if _, known := d.byID[string(a.id)]; !known {
				return ", such as recordId " + excerpt(a.id)
			}
		}
	}
	return ""
}

func (d *decoding) index(e *event, n int) {
	if d.byID == nil {
		d.byID = make(map[string]int32, n)
	}
	clear(d.byID)
	for i := range n {
		d.byID[string(e.id(i))] = int32(i)
	}
}

// absent is the result of a record that has no answer. If there is something else in its place, that is the reason.
func (d *decoding) absent(e *event, i int) stage.Result {
	if i < len(d.answers) {
		switch a := &d.answers[i]; {
		case a.kind == null:
			return failed(CodeRecordNull, "the response has null in the record's place")
		case a.kind == anonymous:
			return failed(CodeIDMissing, "the response has something without recordId, or with one that is not text, in the record's place")
		case !d.answered(a.id):
			return failed(CodeIDUnknown, "the response has the recordId "+excerpt(a.id)+" in the record's place, which was not asked for")
		}
	}
	return failed(CodeRecordMissing, "the response has no record with the recordId "+string(e.id(i)))
}

// answered reports whether id is that of a record of the event. match has made the index if any id was out of its place.
func (d *decoding) answered(id []byte) bool {
	_, known := d.byID[string(id)]
	return known
}

// outcome makes a result for r of its answer.
func (a *answer) outcome(r *record.Record, parent int, out *stage.Output) stage.Result {
	switch string(a.result) {
	case "Ok":
	case "Dropped":
		return stage.Result{Status: stage.Dropped}
	case "ProcessingFailed":
		return failed(CodeProcessingFailed, "the handler says ProcessingFailed")
	default:
		got := "not text"
		if a.result != nil {
			got = excerpt(a.result)
		}
		return failed(CodeUnknownResult, "result is "+got+"; it must be Ok, Dropped or ProcessingFailed")
	}
	switch {
	case a.wrong:
		return failed(CodeDataNotBase64, "data is not text in base64")
	case !a.has:
		return failed(CodeDataMissing, "result is Ok, and there is no data")
	case a.code == CodePartitionKeysNotText:
		return failed(a.code, "metadata.partitionKeys must be an object whose values are text")
	case a.code == CodeTooManyPartitionKeys:
		return failed(a.code, "metadata.partitionKeys has more than 50 keys")
	case a.code == CodePartitionKeyTooLong:
		return failed(a.code, "metadata.partitionKeys has a name of more than 128 bytes or a value of more than 1024")
	}
	if len(a.data)%4 != 0 {
		return failed(CodeDataNotBase64, "data is not base64 with padding")
	}
	data := out.Arena.Alloc(base64.StdEncoding.DecodedLen(len(a.data)))
	n, err := asm.StdEncoding.Decode(data, a.data)
	if err != nil {
		return failed(CodeDataNotBase64, "data is not base64 with padding: "+err.Error())
	}
	res := stage.Result{Status: stage.OK, First: len(out.Outs), N: 1}
	out.Outs = append(out.Outs, stage.Out{Parent: parent, Key: r.Key, Data: data[:n:n], Attrs: r.Attrs, Partition: a.keys})
	return res
}

func failed(code, reason string) stage.Result {
	return stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: code, Reason: reason}
}

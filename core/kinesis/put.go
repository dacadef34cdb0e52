package kinesis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
)

// Limits of puts, from the API reference.
const (
	maxPutRecords = 500
	maxPutBytes   = 10 << 20 // keys and data of one PutRecords
)

var partitionKey = text{least: 1, most: stream.MaxKeyChars}

func (in *PutRecordInput) validate(v *violations) {
	sequenceNumber.check(v, "sequenceNumberForOrdering", in.SequenceNumberForOrdering)
	partitionKey.check(v, "partitionKey", in.PartitionKey)
	hashKey.check(v, "explicitHashKey", in.ExplicitHashKey)
	v.required("data", in.Data == nil)
	v.data("data", in.Data, stream.MaxRecordSize)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

// data notes that a blob is too long. The service, which is written in Java, shows the buffer and not the data.
func (v *violations) data(path string, data []byte, most int) {
	if len(data) > most {
		v.add(fmt.Sprintf("java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]", len(data), len(data)), path,
			fmt.Sprintf("have length less than or equal to %d", most))
	}
}

func (in *PutRecordsInput) validate(v *violations) {
	v.required("records", in.Records == nil)
	switch n := len(in.Records); {
	case in.Records != nil && n == 0:
		v.add("[]", "records", "have length greater than or equal to 1")
	case n > maxPutRecords:
		v.add(fmt.Sprintf("[%d records]", n), "records", fmt.Sprintf("have length less than or equal to %d", maxPutRecords))
	default:
		for i := range in.Records {
			in.Records[i].validate(v, i)
		}
	}
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (r *PutRecordsRequestEntry) validate(v *violations, i int) {
	if r.Data != nil && len(r.Data) <= stream.MinRecordSize && r.ExplicitHashKey == nil &&
		(r.PartitionKey == nil || *r.PartitionKey != "" && len(*r.PartitionKey) <= stream.MaxKeyChars) {
		return // as nearly all are: no paths are made
	}
	at := memberPath(i)
	partitionKey.check(v, at+"partitionKey", r.PartitionKey)
	hashKey.check(v, at+"explicitHashKey", r.ExplicitHashKey)
	v.required(at+"data", r.Data == nil)
	v.data(at+"data", r.Data, stream.MaxRecordSize)
}

// memberPath is how paths of violations name the members of the i-th record.
func memberPath(i int) string { return fmt.Sprintf("records.%d.member.", i+1) }

func (a *API) putRecord(ctx context.Context, in *PutRecordInput) (_ *putRecordAnswer, err error) {
	k, err := a.findForWriting(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer k.measurePutRecord(time.Now(), putSize(in.Data, in.PartitionKey), &err)
	record := PutRecordsRequestEntry{Data: in.Data, ExplicitHashKey: in.ExplicitHashKey, PartitionKey: in.PartitionKey}
	m := in.memory
	m.records = append(m.records[:0], record)
	if err := k.fill(m, m.records, func(int) string { return "" }); err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if err := k.checkOrdering(*in.SequenceNumberForOrdering); err != nil {
			return nil, err
		}
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, errDryRun
	}
	if err := k.store(ctx, m); err != nil {
		return nil, err
	}
	out := &putRecordAnswer{result: m.results[0]}
	m.release()
	if err := out.result.Err; fault.ClassOf(err) == fault.Throttled {
		return nil, k.rateExceeded(out.result.Shard)
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *API) putRecords(ctx context.Context, in *PutRecordsInput) (_ *putRecordsAnswer, err error) {
	k, err := a.findForWriting(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer k.measurePutRecords(time.Now(), in, &err)
	size := 0
	for i := range in.Records {
		size += putSize(in.Records[i].Data, in.Records[i].PartitionKey)
	}
	if size > maxPutBytes {
		return nil, fail(codeInvalidArgument, "Records size exceeds %d MB limit", maxPutBytes>>20)
	}
	if err := k.fill(in.memory, in.Records, memberPath); err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, errDryRun
	}
	if err := k.store(ctx, in.memory); err != nil {
		return nil, err
	}
	out := &putRecordsAnswer{memory: in.memory, refusal: k.refusal}
	var lost error // the last, for one line in the log
	for i := range in.memory.results {
		if err := in.memory.results[i].Err; err != nil {
			out.failed++
			if fault.ClassOf(err) != fault.Throttled {
				lost = err
			}
		}
	}
	if lost != nil {
		a.cfg.Logger.Error("records of PutRecords were not stored", "stream", k.Name(), "failed", out.failed, "error", lost)
	}
	return out, nil
}

// findForWriting returns a stream that takes records.
func (a *API) findForWriting(name, arn *string) (*known, error) {
	k, err := a.find(name, arn)
	if err != nil {
		return nil, err
	}
	return k, k.serving()
}

// fill makes entries of records that are valid for this stream: these checks depend on its configuration.
func (k *known) fill(m *putMemory, records []PutRecordsRequestEntry, path func(i int) string) error {
	var v violations
	most, spread := k.Config().MaxRecordSize, k.spreads()
	m.entries = slices.Grow(m.entries[:0], len(records))
	for i := range records {
		r := &records[i]
		e := stream.Entry{Data: r.Data}
		if !spread {
			if r.PartitionKey == nil {
				v.required(path(i)+"partitionKey", true)
				continue
			}
			e.Key = *r.PartitionKey
			if r.ExplicitHashKey != nil {
				e.ExplicitHashKey = *r.ExplicitHashKey
			}
		}
		if len(r.Data) > most {
			v.data(path(i)+"data", r.Data, most)
		}
		m.entries = append(m.entries, e)
	}
	if err := v.err(); err != nil {
		return err
	}
	for i := range m.entries {
		e := &m.entries[i]
		if e.ExplicitHashKey != "" {
			if _, err := stream.ParseHashKey(e.ExplicitHashKey); err != nil {
				return fail(codeInvalidArgument, "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", e.ExplicitHashKey)
			}
		}
		if size := len(e.Key) + len(e.Data); size > most {
			return fail(codeInvalidArgument, "Record of %d bytes, partition key included, exceeds the limit of %d bytes of stream %s under account %s.",
				size, most, k.Name(), k.api.cfg.Account)
		}
	}
	return nil
}

// store puts the entries.
func (k *known) store(ctx context.Context, m *putMemory) (err error) {
	m.results, err = k.PutWith(ctx, m.entries, stream.PutOptions{
		Unlimited: !k.api.cfg.Limits, Spread: k.spreads(), Results: m.results,
	})
	return err
}

// refusal words why a record of PutRecords was not stored.
func (k *known) refusal(r *stream.PutResult) (code, message string) {
	if fault.ClassOf(r.Err) == fault.Throttled {
		e := k.rateExceeded(r.Shard)
		return e.Code, e.Message
	}
	return codeInternalFailure, "Internal service failure."
}

// checkOrdering checks a SequenceNumberForOrdering. The next number of a shard is greater than all that it gave before, so
// there is nothing else to do; numbers that it has yet to give are refused, and so are those from the future. As in the
// service, any other number that reads as one passes, whatever stream it came from.
func (k *known) checkOrdering(text string) error {
	n, err := stream.ParseSequenceNumber(text)
	if err == nil && n.Second <= k.api.cfg.Now().Unix() {
		next, _ := k.SequenceNumber(&record.Record{Shard: n.Shard, Arrived: n.Second * int64(time.Second)})
		st, ok := k.Log().State(n.Shard)
		ours := ok && next.Created == n.Created
		if !ours || n.Position < st.Next || n.Position == stream.EndPosition && !st.Closed.IsZero() {
			return nil
		}
	}
	return fail(codeInvalidArgument, "ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
		text, k.Name(), k.api.cfg.Account)
}

package kinesis

import (
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/wire"
)

// What single calls do to a stream's metrics. Requests that do not get as far as to a stream are counted by whoever serves
// the API. They are deferred with a pointer to the error that the call ends with; by then the memory of a PutRecord may be
// another request's.

func (k *known) measurePutRecord(started time.Time, size int, err *error) {
	k.metrics.PutRecord(time.Since(started), size, *err == nil)
}

// putSize is what a record counts for, in bytes of its key and data.
func putSize(data []byte, key *string) int {
	if key == nil {
		return len(data)
	}
	return len(*key) + len(data)
}

func (k *known) measurePutRecords(started time.Time, in *PutRecordsInput, err *error) {
	took, records := time.Since(started), len(in.Records)
	if *err != nil {
		k.metrics.PutRecords(took, records, records, 0, 0)
		return
	}
	failed, throttled, size := 0, 0, 0
	for i := range in.memory.results {
		switch err := in.memory.results[i].Err; {
		case err == nil:
			size += len(in.memory.entries[i].Key) + len(in.memory.entries[i].Data)
		case fault.ClassOf(err) == fault.Throttled:
			throttled++
		default:
			failed++
		}
	}
	k.metrics.PutRecords(took, records, failed, throttled, size)
}

func (k *known) measureRefusedRead(started time.Time, shard record.ShardID, err *error) {
	if *err != nil {
		told, _ := (*err).(*wire.Error)
		k.metrics.GetRecordsFailed(time.Since(started), shard, told != nil && told.Code == codeThroughput)
	}
}

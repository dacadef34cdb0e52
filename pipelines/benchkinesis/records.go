package benchkinesis

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
)

// recordSize is the size of a record's data in bytes.
const recordSize = 1 << 10

// recordData appends the data of a record: its number, and bytes that do not compress and follow from it, so that whoever
// reads a record can tell whether it is whole.
func recordData(dst []byte, n uint32) []byte {
	x := uint64(n)
	for i := range recordSize / 8 {
		v := uint64(n)
		if i > 0 { // splitmix64
			x += 0x9E3779B97F4A7C15
			v = x
			v = (v ^ v>>30) * 0xBF58476D1CE4E5B9
			v = (v ^ v>>27) * 0x94D049BB133111EB
			v ^= v >> 31
		}
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

// recordKey appends the partition key of a record.
func recordKey(dst []byte, n uint32) []byte {
	return strconv.AppendUint(append(dst, "key-"...), uint64(n), 10)
}

// checkRecord returns the number of the record that data and key are.
func checkRecord(data, key, scratch []byte) (uint32, error) {
	if len(data) != recordSize {
		return 0, fmt.Errorf("a record of %d bytes, of which none was put", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n >= 1<<32 || !bytes.Equal(recordData(scratch[:0], uint32(n)), data) {
		return 0, fmt.Errorf("a record with bytes that were not put: %x …", data[:16])
	}
	if want := recordKey(scratch[:0], uint32(n)); !bytes.Equal(want, key) {
		return 0, fmt.Errorf("record %d has the partition key %q, was put with %q", n, key, want)
	}
	return uint32(n), nil
}

// prepared is a request that was encoded and signed before any clock was started.
type prepared struct {
	bytes []byte
	first uint32 // number of its first record
	count int
}

// prepareRecords makes a request of PutRecords with count records from first on.
func (e *endpoint) prepareRecords(stream string, first uint32, count int, now time.Time) prepared {
	body := fmt.Appendf(nil, `{"StreamName":%q,"Records":[`, stream)
	for i := range count {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(appendEntry(append(body, '{'), first+uint32(i)), '}')
	}
	return prepared{e.request("PutRecords", append(body, "]}"...), now), first, count}
}

// prepareRecord makes a request of PutRecord. explicit is a hash key; empty: none.
func (e *endpoint) prepareRecord(stream, explicit string, n uint32, now time.Time) prepared {
	body := fmt.Appendf(nil, `{"StreamName":%q,`, stream)
	if explicit != "" {
		body = fmt.Appendf(body, `"ExplicitHashKey":%q,`, explicit)
	}
	return prepared{e.request("PutRecord", append(appendEntry(body, n), '}'), now), n, 1}
}

func appendEntry(body []byte, n uint32) []byte {
	body = base64.StdEncoding.AppendEncode(append(body, `"Data":"`...), recordData(nil, n))
	body = recordKey(append(body, `","PartitionKey":"`...), n)
	return append(body, '"')
}

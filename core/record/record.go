// Package record holds the unit of data that travels through leat and the batch that carries it.
//
// A [Record] is one record of one shard. A [Batch] owns the memory behind the records it holds: Key, Data and Attrs of
// its records point into the batch's arena and are valid until the batch is released. Whoever keeps any of them longer
// copies them first.
//
// This package imports the standard library only.
package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ShardID is the index of a shard within its stream. Indices only grow; the first shard of a stream is 0.
type ShardID uint32

// String returns the name of the shard as the Kinesis API shows it, for example shardId-000000000012.
func (s ShardID) String() string { return fmt.Sprintf("shardId-%012d", uint32(s)) }

// ParseShardID is the inverse of [ShardID.String]. It also takes the bare index ("12").
func ParseShardID(name string) (ShardID, error) {
	digits := strings.TrimPrefix(name, "shardId-")
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("shard id %q: want shardId- and twelve digits, or an index", name)
	}
	return ShardID(n), nil
}

// Record is one record of a shard, or one output that a transform made from it.
type Record struct {
	Shard ShardID
	// Seq is the gap-free position in the shard; the first record of a shard has 1.
	Seq uint64
	// Sub tells apart the outputs of a one-to-many transform and the members of an aggregated record; 0 otherwise.
	Sub uint32
	// Arrived is the server's clock when the record was appended, in nanoseconds since the Unix epoch. It never goes
	// backwards within a shard.
	Arrived int64
	// Key is the partition key, at most 256 Unicode characters.
	Key string
	// Data is the record's payload.
	Data []byte
	// Attrs are small named values that travel with the record.
	Attrs Attrs
}

// ArrivedAt returns Arrived as a time in UTC.
func (r *Record) ArrivedAt() time.Time { return time.Unix(0, r.Arrived).UTC() }

// Size is what the record counts towards limits: the bytes of its key and its data.
func (r *Record) Size() int { return len(r.Key) + len(r.Data) }

// Attr is one named value.
type Attr struct{ Name, Value string }

// Attrs is an ordered list of named values. It is short, so a list beats a map.
type Attrs []Attr

// Get returns the value of name and whether it is there.
func (a Attrs) Get(name string) (string, bool) {
	for i := range a {
		if a[i].Name == name {
			return a[i].Value, true
		}
	}
	return "", false
}

// Set replaces the value of name or appends it.
func (a *Attrs) Set(name, value string) {
	for i := range *a {
		if (*a)[i].Name == name {
			(*a)[i].Value = value
			return
		}
	}
	*a = append(*a, Attr{name, value})
}

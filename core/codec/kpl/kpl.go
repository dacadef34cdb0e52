// Package kpl takes the records apart that the Kinesis Producer Library has aggregated into one. Streams keep such a record as
// it is; who reads it, takes it apart.
//
// The form, from the library's "KPL Aggregated Record Format":
//
//	F3 89 9A C2 | AggregatedRecord, a protobuf message | MD5 of the message, 16 bytes
//
//	AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2; repeated Record records = 3; }
//	Record           { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2; required bytes data = 3; … }
package kpl

import (
	"crypto/md5"

	"google.golang.org/protobuf/encoding/protowire"
)

const magic = "\xF3\x89\x9A\xC2"

// Record is a record inside an aggregated one. Its sub-sequence number is its index, from 0.
type Record struct {
	Key             string
	ExplicitHashKey string // empty: none
	Data            []byte // shares the memory of the aggregated record
}

// Decode appends the records inside data to dst. It returns false, and dst as it was, if data is not an aggregated record: it
// does not begin with the magic number, its sum is wrong, or the message cannot be read. Consumers then take it for an
// ordinary record, whose bytes just happen to look so.
func Decode(dst []Record, data []byte) ([]Record, bool) {
	if len(data) < len(magic)+md5.Size || string(data[:len(magic)]) != magic {
		return dst, false
	}
	message, sum := data[len(magic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if md5.Sum(message) != [md5.Size]byte(sum) {
		return dst, false
	}
	var keys, hashKeys []string
	var records [][]byte
	ok := walk(message, func(f field) bool {
		switch {
		case f.number > 3:
			return true // of a later version
		case f.kind != protowire.BytesType:
			return false
		}
		switch f.number {
		case 1:
			keys = append(keys, string(f.bytes))
		case 2:
			hashKeys = append(hashKeys, string(f.bytes))
		case 3:
			records = append(records, f.bytes)
		}
		return true
	})
	if !ok {
		return dst, false
	}
	all := dst
	for _, p := range records {
		r, ok := decodeRecord(p, keys, hashKeys)
		if !ok {
			return dst, false
		}
		all = append(all, r)
	}
	return all, true
}

func decodeRecord(p []byte, keys, hashKeys []string) (r Record, ok bool) {
	var key, data bool
	ok = walk(p, func(f field) bool {
		switch {
		case f.number == 1 && f.kind == protowire.VarintType && f.varint < uint64(len(keys)):
			r.Key, key = keys[f.varint], true
		case f.number == 2 && f.kind == protowire.VarintType && f.varint < uint64(len(hashKeys)):
			r.ExplicitHashKey = hashKeys[f.varint]
		case f.number == 3 && f.kind == protowire.BytesType:
			r.Data, data = f.bytes[:len(f.bytes):len(f.bytes)], true
		case f.number <= 3:
			return false
		}
		return true
	})
	return r, ok && key && data
}

// field is a field of a message; bytes or varint is set by its kind, neither for the kinds that these messages do not use.
type field struct {
	number protowire.Number
	kind   protowire.Type
	bytes  []byte
	varint uint64
}

// walk calls visit for each field and returns false if the message cannot be read or visit does not like it.
func walk(message []byte, visit func(field) bool) bool {
	for len(message) > 0 {
		f := field{}
		var n, m int
		if f.number, f.kind, n = protowire.ConsumeTag(message); n < 0 {
			return false
		}
		message = message[n:]
		switch f.kind {
		case protowire.BytesType:
			f.bytes, m = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			f.varint, m = protowire.ConsumeVarint(message)
		default:
			m = protowire.ConsumeFieldValue(f.number, f.kind, message)
		}
		if m < 0 || !visit(f) {
			return false
		}
		message = message[m:]
	}
	return true
}

package kinesis

import (
	"strconv"
	"sync"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// The bodies of PutRecord and PutRecords are where leat spends its time, so they are read by hand: without reflection, and
// what is read points into the body. A [hotBody] reads what all SDKs write, each known member at most once. Everything
// else (unknown members, repeated ones, values of other types, errors) makes it odd, and the body goes to the generic
// decoder of core/wire from its beginning, whose outcome the hand-written one never differs from.

// hotBody reads a body. After it met something odd, which fail notes, its results mean nothing.
type hotBody interface {
	// enter reads the head of a list or a structure; more tells whether the innermost one that is open has another element
	// or member, or reads its end; name reads the name of a member.
	enter(list bool)
	more() bool
	name() []byte
	// null reads a null if there is one.
	null() bool
	flag() bool
	text() string
	blob() []byte
	fail()
	// end tells whether the whole body has been read and nothing was odd.
	end() bool
}

// hotDepth is how deep lists and structures nest: a request has records, which have members.
const hotDepth = 3

// keepPut is the largest number of records that a putMemory is kept for: more than a valid request has.
const keepPut = 1000

// putMemory is what a put needs beside its body; it is used again.
type putMemory struct {
	records []PutRecordsRequestEntry
	texts   []string
	entries []stream.Entry
	results []stream.PutResult
}

var putMemories = sync.Pool{New: func() any { return new(putMemory) }}

// release gives the memory back, without the bodies that it points into.
func (m *putMemory) release() {
	if cap(m.records) > keepPut {
		return
	}
	clear(m.records)
	clear(m.texts)
	clear(m.entries)
	clear(m.results)
	m.records, m.texts, m.entries, m.results = m.records[:0], m.texts[:0], m.entries[:0], m.results[:0]
	putMemories.Put(m)
}

// text reads a text or null.
func (m *putMemory) text(b hotBody) *string {
	if b.null() {
		return nil
	}
	m.texts = append(m.texts, b.text())
	return &m.texts[len(m.texts)-1]
}

// once fails if a member comes a second time.
func once(b hotBody, seen *uint, member uint) {
	if *seen&member != 0 {
		b.fail()
	}
	*seen |= member
}

// newHotBody begins a body. blobs is nil unless blobs have still to be decoded.
func newHotBody(f wire.Format, body []byte) (b hotBody, blobs *jsonBody) {
	if f == wire.CBOR {
		return &cborBody{body: body}, nil
	}
	blobs = newJSONBody(body)
	return blobs, blobs
}

// DecodeWire implements wire.Decoder. What it reads points into body, and it decodes blobs there.
func (in *PutRecordsInput) DecodeWire(f wire.Format, body []byte) error {
	b, blobs := newHotBody(f, body)
	in.memory = putMemories.Get().(*putMemory)
	if !in.read(b) {
		type plain PutRecordsInput
		*in = PutRecordsInput{memory: in.memory}
		return wire.Unmarshal(f, body, (*plain)(in))
	}
	if blobs == nil {
		return nil
	}
	for i := range in.Records {
		r := &in.Records[i]
		if r.Data == nil {
			continue
		}
		var err error
		if r.Data, err = blobs.decodeBlob(r.Data); err != nil {
			return err
		}
	}
	return nil
}

func (in *PutRecordsInput) read(b hotBody) bool {
	seen := uint(0)
	for b.enter(false); b.more(); {
		switch string(b.name()) {
		case "Records":
			once(b, &seen, 1)
			if !b.null() {
				in.Records = in.memory.readRecords(b)
			}
		case "StreamName":
			once(b, &seen, 2)
			in.StreamName = in.memory.text(b)
		case "StreamARN":
			once(b, &seen, 4)
			in.StreamARN = in.memory.text(b)
		case "StreamId":
			once(b, &seen, 8)
			in.StreamId = in.memory.text(b)
		case "DryRun":
			once(b, &seen, 16)
			if !b.null() {
				in.DryRun = new(b.flag())
			}
		default:
			b.fail()
		}
	}
	return b.end()
}

func (m *putMemory) readRecords(b hotBody) []PutRecordsRequestEntry {
	if m.records == nil {
		m.records = make([]PutRecordsRequestEntry, 0, 16) // an empty list is not nil
	}
	for b.enter(true); b.more(); {
		if len(m.records) == keepPut {
			b.fail() // the generic decoder has a limit
			break
		}
		m.records = append(m.records, PutRecordsRequestEntry{})
		r := &m.records[len(m.records)-1]
		seen := uint(0)
		for b.enter(false); b.more(); {
			switch string(b.name()) {
			case "Data":
				once(b, &seen, 1)
				if !b.null() {
					r.Data = b.blob()
				}
			case "PartitionKey":
				once(b, &seen, 2)
				r.PartitionKey = m.text(b)
			case "ExplicitHashKey":
				once(b, &seen, 4)
				r.ExplicitHashKey = m.text(b)
			default:
				b.fail()
			}
		}
	}
	return m.records
}

// DecodeWire implements wire.Decoder. What it reads points into body, and it decodes the blob there.
func (in *PutRecordInput) DecodeWire(f wire.Format, body []byte) (err error) {
	b, blobs := newHotBody(f, body)
	in.memory = putMemories.Get().(*putMemory)
	if !in.read(b) {
		type plain PutRecordInput
		*in = PutRecordInput{memory: in.memory}
		return wire.Unmarshal(f, body, (*plain)(in))
	}
	if blobs != nil && in.Data != nil {
		in.Data, err = blobs.decodeBlob(in.Data)
	}
	return err
}

func (in *PutRecordInput) read(b hotBody) bool {
	seen := uint(0)
	for b.enter(false); b.more(); {
		switch string(b.name()) {
		case "Data":
			once(b, &seen, 1)
			if !b.null() {
				in.Data = b.blob()
			}
		case "PartitionKey":
			once(b, &seen, 2)
			in.PartitionKey = in.memory.text(b)
		case "StreamName":
			once(b, &seen, 4)
			in.StreamName = in.memory.text(b)
		case "StreamARN":
			once(b, &seen, 8)
			in.StreamARN = in.memory.text(b)
		case "ExplicitHashKey":
			once(b, &seen, 16)
			in.ExplicitHashKey = in.memory.text(b)
		case "SequenceNumberForOrdering":
			once(b, &seen, 32)
			in.SequenceNumberForOrdering = in.memory.text(b)
		case "StreamId":
			once(b, &seen, 64)
			in.StreamId = in.memory.text(b)
		case "DryRun":
			once(b, &seen, 128)
			if !b.null() {
				in.DryRun = new(b.flag())
			}
		default:
			b.fail()
		}
	}
	return b.end()
}

// Sizes of what answers have for each record, in bytes, with room to spare.
const (
	sequenceDigits = 56
	shardIDLength  = 20
	putResultSize  = 160
)

// putRecordAnswer writes itself as a [PutRecordOutput].
type putRecordAnswer struct{ result stream.PutResult }

// AppendWire implements wire.Appender.
func (a *putRecordAnswer) AppendWire(f wire.Format, dst []byte) []byte {
	n := a.result.SequenceNumber()
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborMap>>5, 2)
	}
	dst = appendMember(f, dst, '{', "SequenceNumber")
	dst = appendSequenceNumber(f, dst, &n)
	dst = appendMember(f, dst, ',', "ShardId")
	dst = appendShardID(f, dst, a.result.Shard)
	return appendEnd(f, dst, '}')
}

// putRecordsAnswer writes itself as a [PutRecordsOutput], once: then its memory is used again.
type putRecordsAnswer struct {
	memory *putMemory
	failed int
	// refusal words why a record was not stored.
	refusal func(*stream.PutResult) (code, message string)
}

// SizeWire is about how many bytes AppendWire appends; there are more only if records were refused.
func (a *putRecordsAnswer) SizeWire(wire.Format) int { return 64 + len(a.memory.results)*putResultSize }

// AppendWire implements wire.Appender.
func (a *putRecordsAnswer) AppendWire(f wire.Format, dst []byte) []byte {
	results := a.memory.results
	dst = growBy(dst, a.SizeWire(f))
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborMap>>5, 2)
	}
	dst = appendMember(f, dst, '{', "Records")
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborArray>>5, uint64(len(results)))
	} else {
		dst = append(dst, '[')
	}
	for i := range results {
		if f == wire.CBOR {
			dst = wire.AppendHead(dst, cborMap>>5, 2)
		} else if i > 0 {
			dst = append(dst, ',')
		}
		r := &results[i]
		if r.Err != nil {
			code, message := a.refusal(r)
			dst = wire.AppendText(f, appendMember(f, dst, '{', "ErrorCode"), code)
			dst = wire.AppendText(f, appendMember(f, dst, ',', "ErrorMessage"), message)
		} else {
			n := r.SequenceNumber()
			dst = appendSequenceNumber(f, appendMember(f, dst, '{', "SequenceNumber"), &n)
			dst = appendShardID(f, appendMember(f, dst, ',', "ShardId"), r.Shard)
		}
		dst = appendEnd(f, dst, '}')
	}
	dst = appendEnd(f, dst, ']')
	dst = wire.AppendInt(f, appendMember(f, dst, ',', "FailedRecordCount"), int64(a.failed))
	a.memory.release()
	a.memory = nil
	return appendEnd(f, dst, '}')
}

// appendMember appends the name of a member. before is '{' for the first one in JSON, else ','.
func appendMember(f wire.Format, dst []byte, before byte, name string) []byte {
	if f == wire.CBOR {
		return append(wire.AppendHead(dst, cborText>>5, uint64(len(name))), name...)
	}
	dst = append(dst, before, '"')
	return append(append(dst, name...), '"', ':')
}

// appendEnd ends a list or structure.
func appendEnd(f wire.Format, dst []byte, end byte) []byte {
	if f == wire.CBOR {
		return dst
	}
	return append(dst, end)
}

func appendSequenceNumber(f wire.Format, dst []byte, n *stream.SequenceNumber) []byte {
	if f == wire.CBOR {
		return n.Append(wire.AppendHead(dst, cborText>>5, sequenceDigits))
	}
	return append(n.Append(append(dst, '"')), '"')
}

func appendShardID(f wire.Format, dst []byte, id record.ShardID) []byte {
	if f == wire.CBOR {
		dst = wire.AppendHead(dst, cborText>>5, shardIDLength)
	} else {
		dst = append(dst, '"')
	}
	var digits [10]byte
	n := strconv.AppendUint(digits[:0], uint64(id), 10)
	dst = append(dst, "shardId-000000000000"...)
	copy(dst[len(dst)-len(n):], n)
	return appendEnd(f, dst, '"')
}

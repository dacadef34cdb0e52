package kinesis

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// shardOperations are the operations that list and change shards.
func (a *API) shardOperations(ops map[string]wire.Handler) {
	ops["ListShards"] = operation(a.listShards)
	ops["SplitShard"] = operation(a.splitShard)
	ops["MergeShards"] = operation(a.mergeShards)
	ops["UpdateShardCount"] = operation(a.updateShardCount)
}

// Limits of ListShards in the service.
const (
	// shardPage is how many shards one answer lists at most, also if more are asked for.
	shardPage = 1000
	// nextTokenLife is how long a next-token can be used.
	nextTokenLife = 300 * time.Second
)

// Types of shard filters.
const (
	afterShardID    = "AFTER_SHARD_ID"
	atTrimHorizon   = "AT_TRIM_HORIZON"
	fromTrimHorizon = "FROM_TRIM_HORIZON"
	atLatest        = "AT_LATEST"
	atTimestamp     = "AT_TIMESTAMP"
	fromTimestamp   = "FROM_TIMESTAMP"
)

// filterTypes are in the model's order; a next-token holds an index into them.
var filterTypes = []string{afterShardID, atTrimHorizon, fromTrimHorizon, atLatest, atTimestamp, fromTimestamp}

func (in *ListShardsInput) validate(v *violations) {
	shardID.check(v, "exclusiveStartShardId", in.ExclusiveStartShardId)
	within(v, "maxResults", in.MaxResults, 1, 10_000)
	nextToken.check(v, "nextToken", in.NextToken)
	if f := in.ShardFilter; f != nil {
		v.required("shardFilter.type", f.Type == nil)
		v.enum("shardFilter.type", f.Type, filterTypes...)
		shardID.check(v, "shardFilter.shardId", f.ShardId)
	}
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

// listShards answers with the shards that still have records or can get some, by id.
func (a *API) listShards(_ context.Context, in *ListShardsInput) (*ListShardsOutput, error) {
	var k *known
	var l shardListing
	var err error
	if in.NextToken != nil {
		k, l, err = a.continueListing(in)
	} else {
		k, l, err = a.beginListing(in)
	}
	if err != nil {
		return nil, err
	}
	if s := k.status(); s == statusCreating || s == statusDeleting {
		return nil, k.notActive(s)
	}
	shards, err := k.Shards()
	if err != nil {
		return nil, err
	}
	page := shardPage
	if in.MaxResults != nil {
		page = min(page, int(*in.MaxResults))
	}
	listed := l.choose(shards)
	out := &ListShardsOutput{Shards: make([]Shard, 0, min(page, len(listed)))}
	if len(listed) > page {
		listed = listed[:page]
		l.next = uint64(listed[page-1].ID) + 1
		out.NextToken = a.tokens.seal(tokenShards, l.encode(k.Name()))
	}
	for i := range listed {
		out.Shards = append(out.Shards, shardShape(&listed[i]))
	}
	return out, nil
}

// beginListing reads what to list from a request without a next-token. Members that its filter does not need are ignored.
func (a *API) beginListing(in *ListShardsInput) (*known, shardListing, error) {
	if in.StreamName == nil && in.StreamARN == nil {
		return nil, shardListing{}, fail(codeInvalidArgument, "Either NextToken or StreamName should be provided.")
	}
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, shardListing{}, err
	}
	if err := k.createdAt(in.StreamCreationTimestamp); err != nil {
		return nil, shardListing{}, err
	}
	l := shardListing{incarnation: k.Incarnation(), filter: fromTrimHorizon}
	var after []string
	if in.ExclusiveStartShardId != nil {
		after = append(after, *in.ExclusiveStartShardId)
	}
	if f := in.ShardFilter; f != nil {
		l.filter = *f.Type
		switch l.filter {
		case afterShardID:
			if f.ShardId == nil {
				return nil, l, fail(codeInvalidArgument, "ShardId must be provided for ShardFilter type %s.", l.filter)
			}
			after = append(after, *f.ShardId)
		case atTimestamp, fromTimestamp:
			if f.Timestamp == nil {
				return nil, l, fail(codeInvalidArgument, "Timestamp must be provided for ShardFilter type %s.", l.filter)
			}
			l.at = f.Timestamp.UnixMilli()
		}
	}
	for _, name := range after {
		id, err := a.shardOf(name, k.Name())
		if err != nil {
			return nil, l, err
		}
		l.next = max(l.next, uint64(id)+1)
	}
	return k, l, nil
}

// continueListing reads what to list from a next-token, which says it all. The texts are the service's.
func (a *API) continueListing(in *ListShardsInput) (*known, shardListing, error) {
	for _, excluded := range []struct {
		name  string
		given bool
	}{
		{"StreamName", in.StreamName != nil},
		{"StreamARN", in.StreamARN != nil},
		{"StreamCreationTimestamp", in.StreamCreationTimestamp != nil},
		{"ExclusiveStartShardId", in.ExclusiveStartShardId != nil},
		{"ShardFilter", in.ShardFilter != nil},
	} {
		if excluded.given {
			return nil, shardListing{}, fail(codeInvalidArgument, "NextToken and %s cannot be provided together.", excluded.name)
		}
	}
	payload, err := a.openNextToken(tokenShards, *in.NextToken)
	if err != nil {
		return nil, shardListing{}, err
	}
	l, name := decodeListing(payload)
	k, err := a.known(name)
	if err != nil {
		return nil, l, err
	}
	if k.Incarnation() != l.incarnation {
		return nil, l, a.noStream(name)
	}
	return k, l, nil
}

// openNextToken opens a token of a list, which is valid for 300 seconds. The texts are leat's own: those of the service are
// not on record.
func (a *API) openNextToken(kind tokenKind, token string) ([]byte, error) {
	payload, age, err := a.tokens.open(kind, token)
	if err != nil {
		return nil, fail(codeInvalidArgument, "NextToken is invalid.")
	}
	if age > nextTokenLife {
		return nil, fail(codeExpiredNextToken, "NextToken has expired.")
	}
	return payload, nil
}

// shardListing is what a ListShards lists, over all its pages.
type shardListing struct {
	incarnation uuid.UUID
	filter      string
	at          int64  // for the filters by time, in milliseconds since the Unix epoch
	next        uint64 // the lowest shard that may come
}

// choose returns those of a stream's shards, which are sorted by id, that are listed from next on.
//
// The trim horizon is where the oldest shards that are still there begin, so that all lists, and the children that reads
// return, agree about which shards there are. Shards that were closed together also expire together: those open at the
// horizon, or at any time after it, always divide the whole hash space.
func (l *shardListing) choose(shards []stream.Shard) []stream.Shard {
	there := func(id record.ShardID) bool {
		_, found := slices.BinarySearchFunc(shards, id, func(s stream.Shard, id record.ShardID) int { return int(s.ID) - int(id) })
		return found
	}
	atHorizon := func(s *stream.Shard) bool { return !slices.ContainsFunc(s.Parents, there) }
	at := time.UnixMilli(l.at)
	var chosen []stream.Shard
	for i := range shards {
		s := &shards[i]
		open := s.Closed.IsZero()
		listed := true
		switch l.filter {
		case atTrimHorizon:
			listed = atHorizon(s)
		case atLatest:
			listed = open
		case atTimestamp: // children begin when their parents end: at that time, only they are open
			listed = (atHorizon(s) || !s.Opened.After(at)) && (open || s.Closed.After(at))
		case fromTimestamp:
			listed = open || !s.Closed.Before(at)
		}
		if listed && uint64(s.ID) >= l.next {
			chosen = append(chosen, *s)
		}
	}
	return chosen
}

// encode makes the payload of a next-token: incarnation, filter, time, next shard, name of the stream.
func (l *shardListing) encode(name string) []byte {
	p := append(l.incarnation[:], byte(slices.Index(filterTypes, l.filter)))
	p = binary.BigEndian.AppendUint64(p, uint64(l.at))
	p = binary.BigEndian.AppendUint64(p, l.next)
	return append(p, name...)
}

// decodeListing reads what encode has written: a token that was opened is one that this service has sealed.
func decodeListing(p []byte) (l shardListing, name string) {
	l.incarnation = uuid.UUID(p[:16])
	l.filter = filterTypes[p[16]]
	l.at = int64(binary.BigEndian.Uint64(p[17:]))
	l.next = binary.BigEndian.Uint64(p[25:])
	return l, string(p[33:])
}

// shardShape describes a shard. Its parents are named also when they have expired.
func shardShape(s *stream.Shard) Shard {
	out := Shard{
		ShardId:             s.ID.String(),
		HashKeyRange:        hashKeyRange(s.Hash),
		SequenceNumberRange: &SequenceNumberRange{StartingSequenceNumber: s.Start.String()},
	}
	if !s.Closed.IsZero() {
		out.SequenceNumberRange.EndingSequenceNumber = s.End.String()
	}
	if len(s.Parents) > 0 {
		out.ParentShardId = s.Parents[0].String()
	}
	if len(s.Parents) > 1 {
		out.AdjacentParentShardId = s.Parents[1].String()
	}
	return out
}

// childShapes describes the shards that a reader goes on with at the end of their parent.
func childShapes(children []stream.Shard) []ChildShard {
	out := make([]ChildShard, len(children))
	for i := range children {
		c := &children[i]
		out[i] = ChildShard{ShardId: c.ID.String(), HashKeyRange: hashKeyRange(c.Hash), ParentShards: make([]string, len(c.Parents))}
		for j, parent := range c.Parents {
			out[i].ParentShards[j] = parent.String()
		}
	}
	return out
}

func hashKeyRange(r stream.HashRange) *HashKeyRange {
	return &HashKeyRange{StartingHashKey: r.Start.String(), EndingHashKey: r.End.String()}
}

// shardOf returns the shard that a request names. As in the service, only the number counts: 7, shard-7 and
// shardId-000000000007 are the same.
func (a *API) shardOf(name, stream string) (record.ShardID, error) {
	digits := name
	if parts := strings.Split(name, "-"); len(parts) > 1 && parts[1] != "" {
		digits = parts[1]
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, a.noShard(name, stream)
	}
	return record.ShardID(n), nil
}

// noShard is the service's answer for a shard that does not exist.
func (a *API) noShard(shard, stream string) error {
	return fail(codeResourceNotFound, "Could not find shard %s in stream %s under account %s.", shard, stream, a.cfg.Account)
}

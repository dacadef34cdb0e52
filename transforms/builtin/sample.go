package builtin

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Sample keeps a part of the records.
type Sample struct {
	setting.Node
	Rate    setting.Share `yaml:"rate" oneof:"size" doc:"The part of the records that is kept: 10% is one in ten."`
	OneIn   int           `yaml:"one_in" oneof:"size" range:"1..1000000000" doc:"Keep one record in so many."`
	By      []string      `yaml:"by" items:"0..16" doc:"Keep all records with a key or none: paths such as .user.id, _key, _attrs.name, _data or _shard; of several, all together. Default: each record for itself."`
	Missing string        `yaml:"missing" default:"keep" enum:"keep|drop|fail" doc:"What becomes of a record that lacks a part of the key."`
	Always  string        `yaml:"always" doc:"A condition, as for filter: records that meet it are kept in any case."`
	Seed    string        `yaml:"seed" doc:"Another seed keeps other records. Stages with the same seed, also of different pipelines, choose the same keys."`
}

// Open implements Config.
func (c *Sample) Open(context.Context, Env) (stage.Transform, error) {
	rate := float64(c.Rate)
	if c.OneIn > 0 {
		rate = 1 / float64(c.OneIn)
	}
	s := &sample{all: rate >= 1, below: uint64(math.Ldexp(rate, 64)), missing: c.Missing, seed: xxhash.Sum64String(c.Seed)}
	if len(c.By) > 0 {
		by, err := selectorAt(&c.Node, "by", "sample.bad_key", c.By)
		if err != nil {
			return nil, err
		}
		s.by = by
	}
	if c.Always != "" {
		s.always = &conditions{}
		if err := s.always.add(&c.Node, "always", "sample.bad_condition", c.Always); err != nil {
			return nil, err
		}
	}
	return eachWith(func() *sampling { return &sampling{evaluation: newEvaluation()} }, s.apply), nil
}

type sample struct {
	all     bool
	below   uint64 // the hashes that are kept
	by      *selector
	missing string
	always  *conditions
	seed    uint64
}

type sampling struct {
	selected
	*evaluation
}

func (s *sample) apply(mem *sampling, r *record.Record, w *writer) {
	if s.always != nil {
		mem.load(s.always, r)
		holds, code, reason := mem.holds(s.always, 0, r)
		switch {
		case code != "":
			w.fail("sample"+code, "%s", reason)
			return
		case holds:
			w.keep()
			return
		}
	}
	var hash uint64
	if s.by != nil {
		key, missing, fail := mem.of(s.by, r)
		switch {
		case fail.code != "":
			w.fail("sample"+fail.code, "%s", fail.reason)
			return
		case missing != "":
			w.missing(s.missing, "sample.no_key", missing)
			return
		}
		hash = xxhash.Sum64(key)
	} else {
		var id [16]byte
		binary.LittleEndian.PutUint64(id[:], r.Seq)
		binary.LittleEndian.PutUint32(id[8:], uint32(r.Shard))
		binary.LittleEndian.PutUint32(id[12:], r.Sub)
		hash = xxhash.Sum64(id[:])
	}
	if s.all || mix(hash^s.seed) < s.below {
		w.keep()
		return
	}
	w.drop()
}

// mix spreads the bits of x (the finalizer of MurmurHash3), so that what two seeds keep has nothing to do with each other.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Doc implements Config.
func (c *Sample) Doc() Doc {
	return Doc{
		Summary: "Keeps a part of the records, the same ones every time.",
		Text: "What is kept depends on a record's place in the stream or, with `by`, on its key alone: records that are read again, by another sink or in a replay, meet the same fate, " +
			"and a user whose records are kept has all of them. " + selectorText + "\n\n`always` is a condition as for [filter](filter.md).",
		Codes: append([]Code{{"sample.no_key", "With `missing: fail`: the record lacks a part of the key."}}, conditionCodes("sample")...),
		Examples: []Example{
			{
				Title: "All records of one user in three", Config: `{ one_in: 3, by: .user }`,
				Input:  []string{`{"user":"ann","n":1}`, `{"user":"bob","n":1}`, `{"user":"eve","n":1}`, `{"user":"bob","n":2}`},
				Output: []string{`{"user":"bob","n":1}`, `{"user":"bob","n":2}`}, Dropped: 2,
			},
			{
				Title: "Errors, and a hundredth of the rest", Config: `{ rate: 1%, always: 'level == "error"' }`,
				Input: []string{`{"level":"error"}`, `{"level":"info"}`, `text`}, Output: []string{`{"level":"error"}`}, Dropped: 1, Failed: []string{"sample.not_json"},
			},
		},
	}
}

package leat

import (
	"encoding/json"

	"github.com/leatstream/leat/transforms/wasm/abi"
)

// Tested is what became of one record in [Test].
type Tested struct {
	// Outs are the outputs, with the key and attributes they end up with: the record itself if the transform kept it, none
	// if it dropped or failed it.
	Outs []Out
	// Code and Reason are set if the record failed.
	Code, Reason string
}

// Test runs records through the registered transform as leat does, frames included, and returns one element for each. config
// is what the pipeline file says under config; it is encoded as JSON. The error is that of the configuration or of a whole
// batch. State that the transform keeps stays from one Test to the next. Test is for tests on the developer's machine.
func Test(config any, recs ...Record) ([]Tested, error) {
	envelope, err := json.Marshal(struct {
		Config   any    `json:"config"`
		Pipeline string `json:"pipeline"`
		Stage    string `json:"stage"`
	}{config, "test", "test"})
	if err != nil {
		return nil, err
	}
	if err := self.setUp(envelope); err != nil {
		return nil, err
	}
	in := make([]abi.Record, len(recs))
	for i, r := range recs {
		in[i] = abi.Record{Seq: r.Seq, Arrived: r.Arrived, Shard: r.Shard, Sub: r.Sub, Key: r.Key, Data: r.Data, Attrs: r.Attrs}
	}
	var layout abi.Layout
	if err := layout.Plan(in); err != nil {
		return nil, err
	}
	frame := make([]byte, layout.Size())
	layout.EncodeInput(frame, 1, in)
	answer, err := self.process(frame)
	if err != nil {
		return nil, err
	}
	o, err := layout.Decode(answer)
	if err != nil {
		return nil, err
	}
	tested := make([]Tested, len(recs))
	for i := range tested {
		if tested[i], err = readResult(&o, i, recs[i]); err != nil {
			return nil, err
		}
	}
	return tested, nil
}

func readResult(o *abi.Output, i int, r Record) (Tested, error) {
	res := o.Result(i)
	var t Tested
	switch res.Status {
	case abi.Unchanged:
		t.Outs = []Out{{Data: r.Data, Key: r.Key, Attrs: r.Attrs}}
	case abi.Failed:
		_, code, reason := o.Failure(i)
		t.Code, t.Reason = string(code), string(reason)
	}
	for j := res.First; j < res.First+res.N; j++ {
		a := o.Out(j)
		out := Out{Data: r.Data, Key: r.Key, Attrs: r.Attrs}
		if a.Data.Source == abi.InFrame {
			out.Data = append([]byte(nil), o.Bytes(a.Data)...)
		}
		if a.Key.Source == abi.InFrame {
			out.Key = string(o.Bytes(a.Key))
		}
		var err error
		if a.Attrs.Source == abi.InFrame {
			if out.Attrs, err = abi.DecodeAttrs(nil, string(o.Bytes(a.Attrs))); err != nil {
				return Tested{}, err
			}
		}
		if out.Partition, err = abi.DecodeAttrs(nil, string(o.Bytes(a.Partition))); err != nil {
			return Tested{}, err
		}
		t.Outs = append(t.Outs, out)
	}
	return t, nil
}

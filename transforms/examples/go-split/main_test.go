package main

import (
	"testing"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func TestEachItemBecomesARecord(t *testing.T) {
	records := []leat.Record{
		{Key: "k", Data: []byte(`{"items":[{"sku":"a","n":1.50},{"n":2,"sku":"\u0062"}],"id":7}`)}, {Data: []byte(`{"id":8,"items":[]}`)},
		{Data: []byte(`{"id":9}`)}, {Data: []byte(`{"id":9,"items":[{"sku":"a"},{}]}`)},
	}
	got, err := leat.Test(nil, records...)
	if err != nil {
		t.Fatal(err)
	}
	first := got[0].Outs
	if len(first) != 2 || string(first[0].Data) != `{"order":7,"item":{"sku":"a","n":1.50}}` || first[1].Key != "b" || first[1].Partition[0].Value != "b" {
		t.Errorf("got %+v", first)
	}
	if len(got[1].Outs) != 0 || got[1].Code != "" || got[2].Code != "order.incomplete" || got[3].Code != "order.no_sku" {
		t.Errorf("got %+v", got[1:])
	}
}

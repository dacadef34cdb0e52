package main

import (
	"testing"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func TestRecordsAreDroppedByTheirField(t *testing.T) {
	cfg = config{}
	records := []leat.Record{
		{Data: []byte(`{"log":{"level":"debug"}}`)}, {Data: []byte(`{"log":{"level":"info"}}`)}, {Data: []byte(`{"level":"debug"}`)}, {Data: []byte(`{"log":`)},
	}
	got, err := leat.Test(map[string]any{"field": []string{"log", "level"}, "drop": []string{"trace", "debug"}}, records...)
	if err != nil {
		t.Fatal(err)
	}
	for i, kept := range []bool{false, true, true, false} {
		if len(got[i].Outs) > 0 != kept {
			t.Errorf("record %d: %+v", i, got[i])
		}
	}
	if got[3].Code != "json.invalid" {
		t.Errorf("a record that was cut off: %+v", got[3])
	}
}

func TestAConfigWithoutAFieldIsRefused(t *testing.T) {
	cfg = config{}
	if _, err := leat.Test(map[string]any{"drop": []string{"debug"}}); err == nil {
		t.Error("accepted")
	}
}

package orders

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

func TestCardNumbersAreMasked(t *testing.T) {
	event := events.KinesisFirehoseEvent{Records: []events.KinesisFirehoseEventRecord{
		{RecordID: "1", Data: []byte(`{"tenant":"acme","card":"4111111111111111"}`)}, {RecordID: "2", Data: []byte("no order")}, {RecordID: "3"},
	}}
	response, err := Handle(context.Background(), event)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`Ok {"card":"****1111","tenant":"acme"}`, "ProcessingFailed no order", "Dropped "} {
		r := response.Records[i]
		if got := r.Result + " " + string(r.Data); got != want || r.RecordID != event.Records[i].RecordID {
			t.Errorf("record %s: %s, want %s", r.RecordID, got, want)
		}
	}
}

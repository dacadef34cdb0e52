// Package orders has a handler as it is written for Amazon Data Firehose.
package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"

	"github.com/aws/aws-lambda-go/events"
)

var card = regexp.MustCompile(`\b\d{12}(\d{4})\b`)

// Handle masks card numbers and names the tenant of each order.
func Handle(_ context.Context, event events.KinesisFirehoseEvent) (events.KinesisFirehoseResponse, error) {
	var response events.KinesisFirehoseResponse
	for _, record := range event.Records {
		response.Records = append(response.Records, transform(record))
	}
	return response, nil
}

func transform(record events.KinesisFirehoseEventRecord) events.KinesisFirehoseResponseRecord {
	out := events.KinesisFirehoseResponseRecord{RecordID: record.RecordID, Result: events.KinesisFirehoseTransformedStateProcessingFailed, Data: record.Data}
	if len(bytes.TrimSpace(record.Data)) == 0 {
		out.Result = events.KinesisFirehoseTransformedStateDropped
		return out
	}
	var order map[string]any
	if err := json.Unmarshal(record.Data, &order); err != nil {
		return out
	}
	tenant, ok := order["tenant"].(string)
	if !ok {
		return out
	}
	number, _ := order["card"].(string)
	order["card"] = card.ReplaceAllString(number, "****$1")
	data, err := json.Marshal(order)
	if err != nil {
		return out
	}
	out.Result, out.Data = events.KinesisFirehoseTransformedStateOk, data
	out.Metadata.PartitionKeys = map[string]string{"tenant": tenant}
	return out
}

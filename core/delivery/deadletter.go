package delivery

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/leatstream/leat/core/record"
)

// deadLetter says why an input could not be delivered.
type deadLetter struct {
	pipeline, sink, stage string
	code, reason          string
	moduleDigest          string // of a stage that runs a module
	at                    time.Time
}

// append adds the dead letter as one line of JSON: the fields of Firehose's processing-failed records, and leat's own.
func (l *deadLetter) append(dst []byte, r *record.Record, sequenceNumber func(*record.Record) string) []byte {
	line := struct {
		AttemptsMade           int    `json:"attemptsMade"`
		ArrivalTimestamp       int64  `json:"arrivalTimestamp"` // milliseconds since the Unix epoch, as below
		ErrorCode              string `json:"errorCode"`
		ErrorMessage           string `json:"errorMessage"`
		AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"`
		RawData                string `json:"rawData"` // base64
		Pipeline               string `json:"pipeline"`
		Sink                   string `json:"sink"`
		Stage                  string `json:"stage,omitempty"`
		ShardID                string `json:"shardId"`
		SequenceNumber         string `json:"sequenceNumber"`
		Sub                    uint32 `json:"sub"`
		PartitionKey           string `json:"partitionKey"`
		ModuleDigest           string `json:"moduleDigest,omitempty"` // sha256:HEX
	}{
		AttemptsMade: 1, ArrivalTimestamp: r.Arrived / int64(time.Millisecond), ErrorCode: l.code, ErrorMessage: l.reason,
		AttemptEndingTimestamp: l.at.UnixMilli(), RawData: base64.StdEncoding.EncodeToString(r.Data),
		Pipeline: l.pipeline, Sink: l.sink, Stage: l.stage,
		ShardID: r.Shard.String(), SequenceNumber: sequenceNumber(r), Sub: r.Sub, PartitionKey: r.Key, ModuleDigest: l.moduleDigest,
	}
	p, err := json.Marshal(&line)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	return append(append(dst, p...), '\n')
}

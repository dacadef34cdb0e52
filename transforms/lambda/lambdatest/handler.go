// Package lambdatest has a handler that breaks each rule of the Firehose-Lambda contract on demand, and a main for it, so that
// the same cases run over every way to reach a handler. It imports the standard library only, to be built into WASI programs.
package lambdatest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Event is what handlers get.
type Event struct {
	InvocationID           string `json:"invocationId"`
	DeliveryStreamArn      string `json:"deliveryStreamArn"`
	SourceKinesisStreamArn string `json:"sourceKinesisStreamArn"`
	Region                 string `json:"region"`
	Records                []struct {
		RecordID string `json:"recordId"`
		Arrived  int64  `json:"approximateArrivalTimestamp"`
		Data     []byte `json:"data"`
		Metadata struct {
			SequenceNumber    string `json:"sequenceNumber"`
			SubsequenceNumber int64  `json:"subsequenceNumber"`
			PartitionKey      string `json:"partitionKey"`
			ShardID           string `json:"shardId"`
			Arrived           int64  `json:"approximateArrivalTimestamp"`
		} `json:"kinesisRecordMetadata"`
	} `json:"records"`
}

// Record is a well-formed element of a response.
type Record struct {
	RecordID string `json:"recordId"`
	Result   string `json:"result"`
	Data     []byte `json:"data,omitempty"`
	Metadata any    `json:"metadata,omitempty"`
}

// Ends of a handler that does not respond.
type (
	// Exit ends the process with a code.
	Exit int
	// Hang does not respond for a long time.
	Hang time.Duration
	// Spin is busy without end.
	Spin struct{}
)

// perRecord are the responses to records by their data. A response of nil is left out.
var perRecord = map[string]func(id string) []any{
	"drop": func(id string) []any { return []any{Record{RecordID: id, Result: "Dropped"}} },
	"fail": func(id string) []any {
		return []any{Record{RecordID: id, Result: "ProcessingFailed", Data: []byte("x")}}
	},
	"missing":       func(id string) []any { return nil },
	"null":          func(id string) []any { return []any{nil} },
	"no id":         func(id string) []any { return []any{Any{"result": "Ok", "data": "eA=="}} },
	"id a number":   func(id string) []any { return []any{Any{"recordId": 7, "result": "Ok", "data": "eA=="}} },
	"not an object": func(id string) []any { return []any{"text"} },
	"unknown id":    func(id string) []any { return []any{Record{RecordID: id + "0", Result: "Ok", Data: []byte("x")}} },
	"twice": func(id string) []any {
		return slices.Repeat([]any{Record{RecordID: id, Result: "Ok", Data: []byte("x")}}, 2)
	},
	"bad result":      func(id string) []any { return []any{Record{RecordID: id, Result: "OK", Data: []byte("x")}} },
	"result a number": func(id string) []any { return []any{Any{"recordId": id, "result": 1, "data": "eA=="}} },
	"no result":       func(id string) []any { return []any{Any{"recordId": id, "data": "eA=="}} },
	"no data":         func(id string) []any { return []any{Any{"recordId": id, "result": "Ok"}} },
	"data null":       func(id string) []any { return []any{Any{"recordId": id, "result": "Ok", "data": nil}} },
	"data a number":   func(id string) []any { return []any{Any{"recordId": id, "result": "Ok", "data": 12}} },
	"bad base64":      func(id string) []any { return []any{Any{"recordId": id, "result": "Ok", "data": "e*=="}} },
	"no padding":      func(id string) []any { return []any{Any{"recordId": id, "result": "Ok", "data": "eA"}} },
	"escaped": func(id string) []any {
		return []any{json.RawMessage(`{"recordId":"` + id + `","result":"\u004fk","data":"\/\/8\u003d"}`)}
	},
	"empty":          func(id string) []any { return []any{Any{"recordId": id, "result": "Ok", "data": ""}} },
	"keys":           func(id string) []any { return keyed(id, map[string]any{"tenant": "a", "day": "\u00e9 1"}) },
	"keys null":      func(id string) []any { return keyed(id, nil) },
	"keys a number":  func(id string) []any { return keyed(id, map[string]any{"tenant": "a", "n": 1}) },
	"keys a list":    func(id string) []any { return keyed(id, []string{"a"}) },
	"keys many":      func(id string) []any { return keyed(id, manyKeys(51)) },
	"keys enough":    func(id string) []any { return keyed(id, manyKeys(50)) },
	"keys long":      func(id string) []any { return keyed(id, map[string]any{"a": strings.Repeat("x", 1025)}) },
	"keys long name": func(id string) []any { return keyed(id, map[string]any{strings.Repeat("x", 129): "a"}) },
}

// Any is an element of any shape.
type Any map[string]any

func keyed(id string, keys any) []any {
	return []any{Record{RecordID: id, Result: "Ok", Data: []byte("k"), Metadata: map[string]any{"partitionKeys": keys, "otfMetadata": map[string]any{}}}}
}

func manyKeys(n int) map[string]any {
	keys := map[string]any{}
	for i := range n {
		keys[fmt.Sprint("k", i)] = "v"
	}
	return keys
}

// Respond is the handler. It returns the response, or Exit, Hang or Spin.
func Respond(text []byte) ([]byte, any) {
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Appendf(nil, `{"errorMessage":%q,"errorType":"BadEvent"}`, err), nil
	}
	var records []any
	reverse, size := false, 0
	for _, r := range e.Records {
		data := string(r.Data)
		if make, ok := perRecord[data]; ok {
			records = append(records, make(r.RecordID)...)
			continue
		}
		switch data {
		case "not json":
			return []byte("I am fine, thank you"), nil
		case "nothing":
			return nil, nil
		case "cut off":
			return []byte(`{"records":[{"recordId":"`), nil
		case "a list":
			return []byte(`[]`), nil
		case "no records":
			return []byte(`{"answers":[]}`), nil
		case "records null":
			return []byte(`{"records":null}`), nil
		case "error":
			return []byte(`{"errorMessage":"no such table","errorType":"KeyError","stackTrace":[["a","b"]]}`), nil
		case "huge":
			return append(append([]byte(`{"records":[],"x":"`), bytes.Repeat([]byte("x"), 7<<20)...), `"}`...), nil
		case "deep":
			return bytes.Repeat([]byte("["), 1<<20), nil
		case "exit":
			return nil, Exit(3)
		case "hang":
			return nil, Hang(time.Hour)
		case "spin":
			return nil, Spin{}
		case "memory":
			var all [][]byte
			for range 1 << 10 {
				all = append(all, bytes.Repeat([]byte("x"), 1<<20))
			}
			data = fmt.Sprint(len(all))
		case "largest":
			size = 6 << 20
		case "too large by one":
			size = 6<<20 + 1
		case "extra":
			records = append(records, Record{RecordID: "more", Result: "Ok", Data: []byte("x")})
		case "reverse":
			reverse = true
		case "metadata":
			data = fmt.Sprintf("%s %s %d %s %d %s %s %s", r.Metadata.ShardID, r.Metadata.SequenceNumber, r.Metadata.SubsequenceNumber,
				r.Metadata.PartitionKey, r.Arrived-r.Metadata.Arrived+r.Arrived, e.Region, e.DeliveryStreamArn, e.SourceKinesisStreamArn)
		case "environment":
			env := os.Environ()
			slices.Sort(env)
			data = strings.Join(env, "\n")
		case "folder":
			data, _ = os.Getwd()
		case "pid":
			data = fmt.Sprint(os.Getpid())
		}
		records = append(records, Record{RecordID: r.RecordID, Result: "Ok", Data: []byte(strings.ToUpper(data))})
	}
	if reverse {
		slices.Reverse(records)
	}
	b, err := json.Marshal(map[string]any{"records": records})
	if err != nil {
		panic(err)
	}
	if size > 0 {
		b = append(b, bytes.Repeat([]byte(" "), size-len(b))...)
	}
	return b, nil
}

// Main runs the handler as a program: for each line of in, a line of out, until in ends. In mode once there is one line.
func Main(in io.Reader, out io.Writer) {
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		response, end := Respond(line)
		switch end := end.(type) {
		case Exit:
			fmt.Fprintln(os.Stderr, "the handler gives up")
			os.Exit(int(end))
		case Hang:
			time.Sleep(time.Duration(end))
		case Spin:
			for i := 0; ; i++ { // until it is ended from outside
			}
		}
		if _, err := out.Write(append(response, '\n')); err != nil {
			return
		}
	}
}

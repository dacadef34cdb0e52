package benchkinesis

import (
	"bytes"
	"encoding/json"
	"testing"
)

// shape is what entries reads, for encoding/json.
type shape struct {
	Records []struct {
		Data                                             []byte
		PartitionKey, SequenceNumber, ShardId, ErrorCode string
	}
}

func TestScannerReadsWhatEncodingJSONReads(t *testing.T) {
	for _, body := range []string{
		`{"StreamName":"s","Records":[{"Data":"AAEC","PartitionKey":"a"},{"PartitionKey":"b","Data":""}]}`,
		` { "Records" : [ { "Data" : "AA==" , "PartitionKey" : "a\"\\b\u00e9" , "ExplicitHashKey":null } ] , "Other":{"a":[1,true,"]}"]} } `,
		`{"NextShardIterator":"x","Records":[],"MillisBehindLatest":0}`,
		`{"FailedRecordCount":1,"Records":[{"SequenceNumber":"49","ShardId":"shardId-000000000000"},{"ErrorCode":"InternalFailure"}]}`,
	} {
		sameAsJSON(t, []byte(body))
	}
	var got entry
	if err := entries([]byte(`{"Data":"AAEC","PartitionKey":"k"}`), func(e entry) error { got = e; return nil }); err != nil || string(got.key) != "k" {
		t.Errorf("a body of PutRecord is read as %q, %v", got.key, err)
	}
}

func TestScannerRefusesWhatIsCutOff(t *testing.T) {
	body := `{"Records":[{"Data":"AAEC","PartitionKey":"a\u0041"}],"N":12 }`
	for n := range body {
		if entries([]byte(body[:n]), func(entry) error { return nil }) == nil {
			t.Errorf("%q is taken", body[:n])
		}
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(`{"Records":[{"Data":"AAEC","PartitionKey":"a\u00e9"}],"x":[{}]}`))
	f.Add([]byte(`{"Data":"AA==","PartitionKey":"k"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = entries(body, func(e entry) error { // any answer will do, as long as there is one
			_, err := e.appendData(nil)
			return err
		})
	})
}

func sameAsJSON(t *testing.T, body []byte) {
	t.Helper()
	var want shape
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := entries(body, func(e entry) error {
		data, err := e.appendData(nil)
		if err != nil {
			return err
		}
		if n >= len(want.Records) {
			n++
			return nil
		}
		w := want.Records[n]
		n++
		if !bytes.Equal(data, w.Data) || string(e.key) != w.PartitionKey || string(e.sequence) != w.SequenceNumber ||
			string(e.shard) != w.ShardId || string(e.code) != w.ErrorCode {
			t.Errorf("%s: record %d is read as %q %q %q %q %q", body, n, data, e.key, e.sequence, e.shard, e.code)
		}
		return nil
	})
	if err != nil || n != len(want.Records) {
		t.Errorf("%s: %d records are read of %d: %v", body, n, len(want.Records), err)
	}
}

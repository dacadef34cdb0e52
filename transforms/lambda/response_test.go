package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// eventOf makes an event of n records, whose ids are those of positions 0 to n-1 in shard 0.
func eventOf(n int) (*event, []record.Record) {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Seq: uint64(i), Key: "k", Data: []byte("in")}
	}
	e := new(event)
	newWriter(&testEnv).write(e, recs, 1<<20)
	return e, recs
}

func decode(t testing.TB, n int, response string) (stage.Output, error) {
	t.Helper()
	e, recs := eventOf(n)
	for i := n; i > 0; i-- {
		response = strings.ReplaceAll(response, fmt.Sprint("$", i-1), string(e.id(i-1)))
	}
	var out stage.Output
	out.Reset()
	err := e.decode([]byte(response), recs, 0, &out)
	return out, err
}

func TestResponsesAreReadAsJSONHasThem(t *testing.T) {
	ok := `{"recordId":"$0","result":"Ok","data":"eA=="}`
	for _, response := range []string{
		`{"records":[` + ok + `]}`,
		" {\t\"records\" : [ \r\n" + ok + " ] }\n",
		`{"other":{"records":[1,-0.5e+10,true,false,null,"\ud83d\ude00",{}]},"records":[` + ok + `],"x":[]}`,
		`{"records":null,"records":[` + ok + `]}`,
		`{"r\u0065cords":[{"re\u0063ordId":"$0","result":"O\u006b","data":"eA\u003d="}]}`,
		`{"records":[{"result":"no","data":1,"recordId":"x","recordId":"$0","data":"eA==","result":"Ok"}]}`,
		`{"records":[` + strings.Replace(ok, "{", `{"metadata":null,`, 1) + `]}`,
		`{"records":[` + strings.Replace(ok, "{", `{"metadata":"x","y":{"metadata":{"partitionKeys":1}},`, 1) + `]}`,
		`{"errorMessage":null,"records":[` + ok + `]}`,
	} {
		out, err := decode(t, 1, response)
		if err != nil || out.Results[0].Status != stage.OK || string(out.Outs[0].Data) != "x" || out.Outs[0].Key != "k" {
			t.Errorf("%s: %v, %+v", response, err, out.Results)
		}
	}
}

func TestAnswersFindTheirRecordsInAnyOrder(t *testing.T) {
	out, err := decode(t, 4, `{"records":[{"recordId":"$3","result":"Ok","data":"Mw=="},{"recordId":"$1","result":"Dropped"},
		{"recordId":"$0","result":"Ok","data":"MA=="},{"recordId":"$2","result":"ProcessingFailed"}]}`)
	if err != nil || string(out.Outs[out.Results[0].First].Data) != "0" || out.Results[1].Status != stage.Dropped ||
		out.Results[2].Code != CodeProcessingFailed || string(out.Outs[out.Results[3].First].Data) != "3" {
		t.Errorf("%v, %+v", err, out)
	}
}

// What stands in the place of a record that has no answer is its reason; what stands elsewhere is nobody's.
func TestARecordWithoutAnswerIsToldWhatStandsInItsPlace(t *testing.T) {
	good := func(i int) string { return fmt.Sprintf(`{"recordId":"$%d","result":"Dropped"}`, i) }
	for _, c := range []struct {
		answers []string
		want    string
	}{
		{[]string{good(0), `null`, good(2)}, CodeRecordNull},
		{[]string{good(0), `{"result":"Ok"}`, good(2)}, CodeIDMissing},
		{[]string{good(0), `[]`, good(2)}, CodeIDMissing},
		{[]string{good(0), `{"recordId":"zz","result":"Ok"}`, good(2)}, CodeIDUnknown},
		{[]string{good(0), good(2)}, CodeRecordMissing},
		{[]string{good(2), good(0)}, CodeRecordMissing},
		{[]string{good(0), good(2), `null`}, CodeRecordMissing},
		{[]string{good(0), good(0), good(2)}, CodeRecordMissing},
	} {
		out, err := decode(t, 3, `{"records":[`+strings.Join(c.answers, ",")+`]}`)
		if err != nil || out.Results[1].Code != c.want {
			t.Errorf("%v: %v, %+v", c.answers, err, out.Results)
		}
	}
	if _, err := decode(t, 1, `{"records":[{"recordId":"$0","result":"Dropped"},null]}`); fault.CodeOf(err) != CodeIDUnknown {
		t.Errorf("an answer too many: %v", err)
	}
}

func TestMessagesShowLittleOfWhatTheHandlerWrote(t *testing.T) {
	for _, response := range []string{
		strings.Repeat("\xff\x00é", 1<<20), `{"records":"` + strings.Repeat("x", 1<<20) + `"}`, `{"errorMessage":"` + strings.Repeat("x", 1<<20) + `"}`,
		`{"records":[{"recordId":"` + strings.Repeat("y", 1<<20) + `"},{"recordId":"y"}]}`,
	} {
		if _, err := decode(t, 1, response); err == nil || len(err.Error()) > 1200 {
			t.Errorf("%.20s: an error of %d bytes", response, len(fmt.Sprint(err)))
		}
	}
}

// A response of any kind takes little more memory than its text.
func TestResponsesTakeLittleMemory(t *testing.T) {
	for part, code := range map[string]string{
		`{},`: CodeIDUnknown, `0,`: CodeIDUnknown, `{"recordId":"$0"},`: CodeIDUnknown, `{"recordId":"","metadata":{"partitionKeys":{"":"","a":"","b":""}}},`: CodeIDUnknown,
		`{"recordId":"$0","metadata":{"partitionKeys":{` + strings.Repeat(`"":"",`, 1_000_000) + `"":""}}},`: CodeUnknownResult,
	} {
		e, recs := eventOf(1)
		part = strings.ReplaceAll(part, "$0", string(e.id(0)))
		response := []byte(`{"records":[` + strings.Repeat(part, (MaxPayload-20)/len(part)))
		response = append(response[:len(response)-1], "]}"...)
		var out stage.Output
		out.Reset()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := e.decode(response, recs, 0, &out)
		runtime.ReadMemStats(&after)
		got := fault.CodeOf(err)
		if err == nil {
			got = out.Results[0].Code
		}
		if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; got != code || grown > 32 {
			t.Errorf("%.40s: %s, %.200v, %d MiB", part, got, err, grown)
		}
	}
}

// FuzzResponse feeds responses of any shape to the decoder, and compares what it takes for JSON with encoding/json.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		`{"records":[{"recordId":"$0","result":"Ok","data":"eA=="},{"recordId":"$1","result":"Dropped"}]}`,
		`{"records":[{"recordId":"$1","result":"Ok","data":"","metadata":{"partitionKeys":{"a":"b","c":1}}},null,[]]}`,
		`{"errorMessage":"x","errorType":"y"}`, `{"records":null}`, `[[[[]]]]`, `{"a":-0.1e5,"b":"\u00e9\ud800"}`, "{\"records\":[{\"recordId\":\"$0\"", ``, `0`, `{"a":01}`, "\"\x01\"",
	} {
		f.Add([]byte(s))
	}
	e, recs := eventOf(2)
	f.Fuzz(func(t *testing.T, response []byte) {
		for i := range recs {
			response = bytes.ReplaceAll(response, fmt.Append(nil, "$", i), e.id(i))
		}
		var out stage.Output
		out.Reset()
		err := e.decode(response, recs, 0, &out)
		s := scanner{b: response}
		isJSON := s.skip() && (s.space() == 0 && s.at == len(s.b))
		if valid := json.Valid(response); isJSON != valid && !tooDeep(response) {
			t.Fatalf("it is JSON: %v, for encoding/json: %v", isJSON, valid)
		}
		if err != nil {
			if len(out.Results)+len(out.Outs) > 0 || fault.ClassOf(err) != fault.Permanent || (fault.CodeOf(err) == CodeNotJSON) == json.Valid(response) && !tooDeep(response) {
				t.Fatalf("%v with %+v", err, out)
			}
			return
		}
		if len(out.Results) != 2 {
			t.Fatalf("%d results", len(out.Results))
		}
		outs := 0
		for i, r := range out.Results {
			switch {
			case r.Status == stage.OK:
				if r.N != 1 || out.Outs[r.First].Parent != i {
					t.Fatalf("%+v", r)
				}
				outs++
			case r.Status == stage.Failed && (r.Code == "" || r.Reason == ""):
				t.Fatalf("%+v", r)
			}
		}
		if outs != len(out.Outs) {
			t.Fatalf("%d of %d outputs are named", outs, len(out.Outs))
		}
		model(t, response, e, &out)
	})
}

// tooDeep reports whether JSON may nest deeper than the decoder follows.
func tooDeep(b []byte) bool {
	return bytes.Count(b, []byte{'['})+bytes.Count(b, []byte{'{'}) > maxDepth
}

// model reads the response with encoding/json and sees that records it finds to be right are right. Where keys repeat or are
// written in another case, the two differ: such responses are left out.
func model(t *testing.T, response []byte, e *event, out *stage.Output) {
	var r struct {
		Records []struct {
			RecordID *string `json:"recordId"`
			Result   string  `json:"result"`
			Data     *string `json:"data"`
			Metadata struct {
				PartitionKeys map[string]string `json:"partitionKeys"`
			} `json:"metadata"`
		} `json:"records"`
	}
	lower := strings.ToLower(string(response))
	if json.Unmarshal(response, &r) != nil || strings.Count(lower, "records") != 1 || strings.Contains(lower, `\u`) {
		return
	}
	for _, key := range []string{"recordid", "result", "data", "metadata", "partitionkeys"} {
		if strings.Count(lower, key) > len(r.Records) || strings.Count(lower, key) != strings.Count(string(response), map[string]string{
			"recordid": "recordId", "result": "result", "data": "data", "metadata": "metadata", "partitionkeys": "partitionKeys",
		}[key]) {
			return
		}
	}
	for i := range out.Results {
		var answers []int
		for k, a := range r.Records {
			if a.RecordID != nil && *a.RecordID == string(e.id(i)) {
				answers = append(answers, k)
			}
		}
		got := out.Results[i]
		if len(answers) != 1 {
			if got.Status != stage.Failed {
				t.Fatalf("record %d has %d answers: %+v", i, len(answers), got)
			}
			continue
		}
		a := r.Records[answers[0]]
		var data []byte
		var err error
		if a.Data != nil && !strings.ContainsAny(*a.Data, "\r\n") { // which encoding/base64 skips
			data, err = base64.StdEncoding.DecodeString(*a.Data)
		}
		switch {
		case a.Result == "Ok" && a.Data != nil && err == nil && !strings.ContainsAny(*a.Data, "\r\n"):
			if got.Status == stage.OK && !slices.Equal(data, out.Outs[got.First].Data) || got.Status == stage.Failed && !strings.Contains(got.Code, "partition_key") {
				t.Fatalf("record %d: %+v, want %q", i, got, data)
			}
		case a.Result == "Dropped" && got.Status != stage.Dropped, a.Result == "ProcessingFailed" && got.Code != CodeProcessingFailed,
			a.Result != "Dropped" && a.Result != "ProcessingFailed" && got.Status != stage.Failed:
			t.Fatalf("record %d: %+v", i, got)
		}
	}
}

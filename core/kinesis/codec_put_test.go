package kinesis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// The inputs without their hand-written decoders.
type (
	genericPutRecords PutRecordsInput
	genericPutRecord  PutRecordInput
)

// sameError tells whether errors are the same to the letter; in a body with a line break, of which there are more than one
// error to find, it is enough that both are errors.
func sameError(body []byte, a, b error) bool {
	if a == nil || b == nil || !bytes.ContainsAny(body, "\r\n") {
		return fmt.Sprint(a) == fmt.Sprint(b)
	}
	return true
}

// sameAsGeneric decodes a body by hand and by the generic decoder, which must agree.
func sameAsGeneric(t *testing.T, f wire.Format, body []byte) {
	t.Helper()
	var wantAll genericPutRecords
	wantErr := wire.Unmarshal(f, bytes.Clone(body), &wantAll)
	var all PutRecordsInput
	err := all.DecodeWire(f, bytes.Clone(body))
	all.memory = nil
	if !sameError(body, err, wantErr) || err == nil && !reflect.DeepEqual(all, PutRecordsInput(wantAll)) {
		t.Errorf("PutRecords %.300q\nby hand %v %+v\ngeneric %v %+v", body, err, all, wantErr, wantAll)
	}
	var wantOne genericPutRecord
	wantErr = wire.Unmarshal(f, bytes.Clone(body), &wantOne)
	var one PutRecordInput
	err = one.DecodeWire(f, bytes.Clone(body))
	one.memory = nil
	if !sameError(body, err, wantErr) || err == nil && !reflect.DeepEqual(one, PutRecordInput(wantOne)) {
		t.Errorf("PutRecord %.300q\nby hand %v %+v\ngeneric %v %+v", body, err, one, wantErr, wantOne)
	}
}

// jsonBodies are bodies that differ in what a decoder may get wrong.
func jsonBodies() []string {
	long := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("\xfb\xff\xbe data "), 40)) // with + and /
	bodies := []string{
		``, ` `, `{}`, ` { } `, `null`, `[]`, `{`, `}`, `{}x`, `{} {}`, `"x"`, `{,}`, `{"Records"}`, `{"Records":}`,
		`{"Records":null,"StreamName":null,"DryRun":null,"Data":null}`,
		`{"Records":[]}`, `{"Records":[ ]}`, `{"Records":[{}]}`, `{"Records":[null]}`, `{"Records":[{},null,{}]}`,
		`{"Records":[{},]}`, `{"Records":[,{}]}`, `{"Records":[{}{}]}`, `{"Records":[{"Data":null}]}`, `{"Records":{}}`, `{"Records":"x"}`,
		`{"Records":[["x"]]}`, `{"Records":[1]}`, `{"records":[{}]}`, `{"Records":[{"data":"AAAA"}]}`,
		`{"Records":[{}],"Records":[]}`, `{"StreamName":"a","StreamName":"b"}`, `{"StreamName":"a","StreamName":null}`,
		`{"Data":"AAAA","Data":"!"}`, `{"Data":"!","Data":"AAAA"}`, `{"DryRun":true,"DryRun":false}`,
		`{"DryRun":"true"}`, `{"DryRun":1}`, `{"DryRun":tru}`, `{"DryRun":trueX}`, `{"DryRun":false }`, `{"DryRun":[]}`,
		`{"Unknown":{"a":[1,{"b":null}]},"StreamName":"x"}`, `{"Unknown":[}`, "{\"Stream\\u004eame\":\"x\"}",
		"\t{\r\n \"StreamName\" : \"x\" ,\n\"DryRun\":true}\n", "{\"StreamName\":\"\x01\"}", "{\"StreamName\":\"\xff\"}",
		"{\"StreamName\":\"\x00\"}", "{\"\x01\":1}", "{\"\xff\":1}", `{"StreamName":"ünï😀"}`, `{"StreamName":1}`, `{"StreamName":"x`, `{"StreamName":"x\"`,
		`{"StreamName":"x\\","StreamARN":"y"}`, `{"StreamName":"x\\\"y","StreamId":"\u00e9\ud83d\ude00\ud83d"}`, `{"StreamName":"\x"}`,
		`{"StreamName":"\u12"}`, `{"StreamName":"a\/b\n\t\b\f\r"}`, `{"PartitionKey":"\u0000","ExplicitHashKey":"0","SequenceNumberForOrdering":"1"}`,
		strings.Repeat(`{"Records":[`, 40), `{"Records":[` + strings.Repeat(`{},`, 1200) + `{}]}`,
		`{"Records":[` + strings.Repeat(`{"Data":"AAAA","PartitionKey":"k"},`, 1200) + `{}]}`,
	}
	for _, blob := range []string{
		"", "A", "AA", "AAA", "AAAA", "AA==", "AA=", "A===", "====", "AAA=", "AB==", "AAB=", "AAAAAA==", "AAAA====", "AA==AAAA", "AAAAAB==",
		"AAA\\n", "AAAA\\n\\n\\n\\n", "AAAA\n\n\n\n", "AA\nA", "\nAAA", "AAAA\r\n", "AA\x01A", "AAA\xff", "AAé", "AA-_", "AA+/", "AA\\/\\/", "\\/\\/\\/\\/", "\\/AAA", "AAA\\/",
		"\\\\AAA", "AAA\\", "AAA\\\\", "AA\\u0041A", "AAAA\\/", long, long[:64], long[:60], long[:63], long + "A", long + "AB==", long + "====",
		strings.ReplaceAll(long, "/", "\\/"), long[:61] + "!" + long[62:], long[:200] + "\n" + long[201:], long[:200] + "\n\n\n\n" + long[200:],
		long[:200] + "\xff" + long[201:], "!" + long[1:], long[:len(long)-1] + "!", long[:300] + "\x02" + long[301:], long[:100] + "=" + long[101:],
		strings.Repeat("AAAA", 15) + "AB==", strings.Repeat("AAAA", 16) + "AB==", strings.Repeat("AAAA", 20) + "AB==", strings.Repeat("A", 100) + "!!!!",
	} {
		bodies = append(bodies, `{"Data":"`+blob+`"}`, `{"Records":[{"Data":"`+blob+`","PartitionKey":"k"},{"Data":"`+long+`"}],"StreamName":"s"}`)
	}
	for _, text := range []string{"A", "\\", `\"`, `\/`, `"`} { // runs of one kind, across where vectors end
		for n := range 70 {
			bodies = append(bodies, `{"Data":"`+strings.Repeat(text, n)+`"}`)
		}
	}
	return bodies
}

func TestJSONByHandIsAsTheGenericDecoderReadsIt(t *testing.T) {
	for _, body := range jsonBodies() {
		sameAsGeneric(t, wire.JSON, []byte(body))
	}
}

// cborOf encodes a body as a Java SDK does, with maps and lists of an indefinite length, or as others do.
func cborOf(t testing.TB, v any, indefinite bool) []byte {
	t.Helper()
	if !indefinite {
		p, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var out bytes.Buffer
	enc := cbor.NewEncoder(&out)
	var write func(v any)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	write = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			check(enc.StartIndefiniteMap())
			for name, value := range v {
				check(enc.Encode(name))
				write(value)
			}
			check(enc.EndIndefinite())
		case []any:
			check(enc.StartIndefiniteArray())
			for _, value := range v {
				write(value)
			}
			check(enc.EndIndefinite())
		default:
			check(enc.Encode(v))
		}
	}
	write(v)
	return out.Bytes()
}

func cborBodies(t testing.TB) (bodies [][]byte) {
	type m = map[string]any
	for _, v := range []any{
		m{}, nil, []any{}, "x", 1, m{"StreamName": "s", "Records": []any{m{"Data": []byte("data"), "PartitionKey": "ké"}, m{}}, "DryRun": true},
		m{"Records": nil, "StreamName": nil, "DryRun": nil, "Data": nil}, m{"Records": []any{nil}}, m{"Records": []any{}}, m{"Records": m{}},
		m{"Records": []any{m{"Data": "AAAA"}}}, m{"Records": []any{m{"Data": []any{1, 2}}}}, m{"Records": []any{m{"Data": []byte{}}}}, m{"StreamName": []byte("s")},
		m{"StreamName": 1}, m{"DryRun": "true"}, m{"DryRun": false}, m{"DryRun": 0}, m{"Unknown": m{"a": []any{1, 2.5, nil}}, "Data": []byte("d")},
		m{"StreamARN": "a", "StreamId": "i", "ExplicitHashKey": "0", "SequenceNumberForOrdering": "1", "PartitionKey": "k", "Data": make([]byte, 300)},
		m{"Data": make([]byte, 70_000)}, m{"Records": make([]any, 1200)},
		cbor.Tag{Number: 55799, Content: m{"StreamName": "s"}}, m{"StreamName": cbor.Tag{Number: 1000, Content: "s"}}, m{"data": []byte("x")},
	} {
		bodies = append(bodies, cborOf(t, v, false), cborOf(t, v, true))
	}
	return append(bodies,
		[]byte("\xa2\x64Data\x41a\x64Data\x41b"), []byte("\xa1\x64Data\x5f\x41a\x41b\xff"), []byte("\xa1\x6aStreamName\x7f\x61a\x61b\xff"),
		[]byte("\xa1\x6aStreamName\x61\xff"), []byte("\xa1\x01\x02"), []byte("\xbf\x64Data"), []byte("\xbf\x64Data\xff"), []byte("\xbf"), []byte("\xff"),
		[]byte("\xa1\x64Data\x5b\xff\xff\xff\xff\xff\xff\xff\xff"), []byte("\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), []byte("\xa1\x64Data\x58"), []byte("\xa0\xa0"),
		[]byte("\xa1\x7f\x64Data\xff\x41a"), []byte("\xa1\x64Data\x40"), []byte("\xa1\x78\x04Data\x58\x01a"), []byte("\xa1\x64Data\xf7"), []byte("\xa1\x66DryRun\xf8\x15"), nil)
}

func TestCBORByHandIsAsTheGenericDecoderReadsIt(t *testing.T) {
	for _, body := range cborBodies(t) {
		sameAsGeneric(t, wire.CBOR, body)
		for n := range min(len(body), 200) { // cut off, too
			sameAsGeneric(t, wire.CBOR, body[:n])
		}
	}
}

// What the SDKs send is read by hand: it must not take the generic decoder's way.
func TestBodiesOfTheSDKsAreReadByHand(t *testing.T) {
	blob := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 0xfe}, 700))
	for name, body := range map[string]string{
		"go":     `{"Records":[{"Data":"` + blob + `","PartitionKey":"k"},{"Data":"","ExplicitHashKey":"7","PartitionKey":"k"}],"StreamARN":"a"}`,
		"python": `{"Records": [{"Data": "` + blob + `", "PartitionKey": "k\u00e9\ud83d\ude00"}], "StreamName": "s"}`,
		"php":    `{"StreamName":"s","Records":[{"Data":"` + strings.ReplaceAll(blob, "/", `\/`) + `","PartitionKey":"a\/b"}]}`,
		"null":   `{"StreamName":"s","StreamARN":null,"DryRun":false,"Records":[{"Data":"AAAA","PartitionKey":"k","ExplicitHashKey":null}]}`,
	} {
		in := PutRecordsInput{memory: &putMemory{}}
		if !in.read(newJSONBody([]byte(body))) {
			t.Errorf("%s: not read by hand", name)
		}
	}
	entry := map[string]any{"Data": []byte("d"), "PartitionKey": "k", "ExplicitHashKey": "7"}
	for _, indefinite := range []bool{true, false} {
		in := PutRecordsInput{memory: &putMemory{}}
		if !in.read(&cborBody{body: cborOf(t, map[string]any{"StreamName": "s", "Records": []any{entry, entry}}, indefinite)}) {
			t.Errorf("CBOR with indefinite lengths %v: not read by hand", indefinite)
		}
	}
}

// Random valid bodies and what one wrong byte makes of them.
func TestDamagedBodiesAreReadAlike(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range testenv.Count(3_000, 100_000) {
		in := PutRecordsInput{StreamName: new("stream")}
		for range rng.IntN(4) {
			data := make([]byte, rng.IntN(200))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			in.Records = append(in.Records, PutRecordsRequestEntry{Data: data, PartitionKey: new(fmt.Sprint("key é ", rng.IntN(9)))})
		}
		f := wire.Format(rng.IntN(2))
		body := wire.Append(f, nil, &in)
		sameAsGeneric(t, f, body)
		switch i := rng.IntN(len(body)); rng.IntN(3) {
		case 0:
			body[i] = byte(rng.Uint32())
		case 1:
			body[i] = "\"\\/,:{}[]= \n"[rng.IntN(12)]
		default:
			body = append(body[:i], body[min(len(body), i+1+rng.IntN(4)):]...)
		}
		sameAsGeneric(t, f, body)
		if t.Failed() {
			return
		}
	}
}

func FuzzPutBodiesJSON(f *testing.F) {
	for _, body := range jsonBodies() {
		if len(body) < 2000 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAsGeneric(t, wire.JSON, body) })
}

func FuzzPutBodiesCBOR(f *testing.F) {
	for _, body := range cborBodies(f) {
		if len(body) < 2000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAsGeneric(t, wire.CBOR, body) })
}

func TestPutAnswersAreWrittenAsTheirShapes(t *testing.T) {
	results := []stream.PutResult{{Shard: 7, Seq: 1, Arrived: 1_790_000_000_123_456_789}, {Shard: 1<<32 - 1, Err: errors.New("no")}, {Shard: 0, Seq: 1 << 60}}
	refusal := func(r *stream.PutResult) (string, string) { return "Code", "Message of " + r.Shard.String() }
	want := PutRecordsOutput{FailedRecordCount: new(int32(1)), Records: []PutRecordsResultEntry{
		{SequenceNumber: results[0].SequenceNumber().String(), ShardId: "shardId-000000000007"},
		{ErrorCode: "Code", ErrorMessage: "Message of shardId-004294967295"},
		{SequenceNumber: results[2].SequenceNumber().String(), ShardId: "shardId-000000000000"},
	}}
	for _, f := range []wire.Format{wire.JSON, wire.CBOR} {
		m := &putMemory{results: append([]stream.PutResult(nil), results...)}
		before := []byte("before")
		got := wire.Append(f, before, &putRecordsAnswer{memory: m, failed: 1, refusal: refusal})
		if want := wire.Append(f, before, &want); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		got = wire.Append(f, nil, &putRecordAnswer{result: results[0]})
		if want := wire.Append(f, nil, &PutRecordOutput{SequenceNumber: want.Records[0].SequenceNumber, ShardId: want.Records[0].ShardId}); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// benchBody is a PutRecords of 500 records of 1 KiB.
func benchBody(f wire.Format) []byte {
	in := PutRecordsInput{StreamName: new("bench")}
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for i := range 500 {
		in.Records = append(in.Records, PutRecordsRequestEntry{Data: data, PartitionKey: new(fmt.Sprintf("partition-key-%d", i))})
	}
	return wire.Append(f, nil, &in)
}

// BenchmarkDecode decodes a PutRecords of 500 KiB by hand, generically, and in JSON with encoding/json.
func BenchmarkDecode(b *testing.B) {
	for f, name := range map[wire.Format]string{wire.JSON: "json", wire.CBOR: "cbor"} {
		body := benchBody(f)
		memory := make([]byte, len(body))
		run := func(by string, decode func([]byte) error) {
			b.Run(name+"/"+by, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					copy(memory, body) // decoding by hand uses the body up; the copy costs all the same
					if err := decode(memory); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("hand", func(p []byte) error {
			var in PutRecordsInput
			err := in.DecodeWire(f, p)
			in.memory.release()
			return err
		})
		run("generic", func(p []byte) error { return wire.Unmarshal(f, p, new(genericPutRecords)) })
		if f == wire.JSON {
			run("encoding-json", func(p []byte) error { return json.Unmarshal(p, new(genericPutRecords)) })
			run("copy", func([]byte) error { return nil })
		}
	}
}

func BenchmarkEncodePutRecords(b *testing.B) {
	results := make([]stream.PutResult, 500)
	for i := range results {
		results[i] = stream.PutResult{Shard: 3, Seq: uint64(i), Arrived: 1_790_000_000_123_456_789}
	}
	m := &putMemory{records: make([]PutRecordsRequestEntry, keepPut+1)} // too large to go to the pool
	dst := make([]byte, 0, 1<<17)
	b.ReportAllocs()
	for b.Loop() {
		m.results = results
		(&putRecordsAnswer{memory: m}).AppendWire(wire.JSON, dst)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(500*b.N), "ns/record")
}

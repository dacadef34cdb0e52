package builtin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
)

// Small records become large, in one stage or in two, and the chain holds no more of them than it has room for.
func TestWhatNativeStagesMakeOfABatchTakesBoundedMemory(t *testing.T) {
	lines := strings.Repeat(strings.Repeat("x", 1000)+"\n", 1000)
	for name, c := range map[string]struct {
		stages []string // a transform and its settings
		each   int      // outputs of a record
	}{
		"unpacked":                 {[]string{"decompress {}"}, 1},
		"unpacked, cut":            {[]string{"decompress {}", `split { delimiter: "\n" }`}, 1000},
		"unpacked, cut, with more": {[]string{"decompress {}", `split { delimiter: "\n" }`, `append_delimiter { delimiter: "|" }`}, 1000},
	} {
		var links []stage.Link
		for _, s := range c.stages {
			key, settings, _ := strings.Cut(s, " ")
			links = append(links, stage.Link{Name: key, Transform: open(t, key, settings)})
		}
		chain := stage.NewChain(links...)
		data := make([]string, 200)
		for i := range data {
			data[i] = gzipped(t, fmt.Sprintf("%03d", i)+lines)
		}
		in := batch(data...)
		var f stage.Final
		before, peak, next := testenv.LiveHeap(), int64(0), 0
		for done := false; !done; done = f.Left() == 0 {
			if err := chain.Run(t.Context(), in, &f); err != nil {
				t.Fatal(err)
			}
			peak = max(peak, testenv.LiveHeap()-before)
			for i, r := range f.Roots {
				if f.From+i != next || r.N != c.each || !strings.HasPrefix(string(f.Outs[r.First].Data), fmt.Sprintf("%03dx", next)) {
					t.Fatalf("%s: record %d: %+v", name, f.From+i, r)
				}
				next++
			}
		}
		f.Release()
		in.Release()
		if most := int64(20<<20) * int64(len(links)); peak > most || next != len(data) {
			t.Errorf("%s: %d MiB are live, at most %d may be; %d records", name, peak>>20, most>>20, next)
		}
	}
}

// Each event takes the name of its group along, which may be as long as the envelope.
func TestAnEnvelopeWhoseEventsAreTooMuchFails(t *testing.T) {
	envelope := `{"messageType":"DATA_MESSAGE","logGroup":"` + strings.Repeat("g", 1<<20) + `","logEvents":[` +
		strings.TrimSuffix(strings.Repeat(`{"message":"m"},`, 90_000), ",") + `]}`
	tr := open(t, "decompress", "{ plain: keep, cloudwatch_logs: { extract: event, keep: [ logGroup ] } }")
	got := apply(t, tr, envelope)
	if len(got) != 1 || !strings.HasPrefix(got[0].String(), "stage.output_too_large: ") {
		t.Errorf("%.200v", got)
	}
}

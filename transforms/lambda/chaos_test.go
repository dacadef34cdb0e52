package lambda

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

// asChaos makes this test program a handler that misbehaves, by the seed that it holds.
const asChaos = "LEAT_TEST_LAMBDA_CHAOS"

// chaos is a handler that is right mostly. What it does wrong has nothing to do with the records.
func chaos(in io.Reader, out io.Writer, seed string) {
	var n uint64
	fmt.Sscan(seed, &n)
	rnd := rand.New(rand.NewPCG(n, uint64(os.Getpid())))
	lines := bufio.NewReaderSize(in, 1<<20)
	var before []byte
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		response, _ := lambdatest.Respond(line)
		response = append(response, '\n')
		switch rnd.IntN(40) {
		case 0:
			os.Exit(1)
		case 1:
			time.Sleep(time.Second) // too late
		case 2:
			fmt.Fprintln(out, "noise before")
		case 3:
			out.Write(response) // twice
		case 4:
			out.Write(before) // what it said before
			continue
		case 5:
			out.Write(response[:len(response)/2])
			os.Exit(0)
		case 6:
			for _, part := range bytes.SplitAfter(response, []byte{','}) { // in pieces, which is no fault
				out.Write(part)
			}
			before = response
			continue
		case 7:
			out.Write(response)
			before = response
			time.Sleep(time.Duration(rnd.IntN(5)) * time.Millisecond)
			out.Write(response[:rnd.IntN(len(response))]) // some of it again
			continue
		case 8:
			response = bytes.Repeat([]byte("\xff\x00"), 1000)
		case 9:
			out.Write(response)
			os.Exit(0)
		}
		out.Write(response)
		before = response
	}
}

// A handler that does anything wrong, at any time, never makes one record's data another's, nor loses one: what is not itself, in its place,
// has a code.
func TestNoHandlerMixesRecordsUp(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	cfg := defaults()
	cfg.Command, cfg.Timeout, cfg.Workers = []string{os.Args[0]}, setting.Duration(700*time.Millisecond), 2
	cfg.Retries = 300
	cfg.Env = setting.SecretPairs{{Name: asChaos, Value: setting.PlainSecret(fmt.Sprint(seed), "")}}
	var tr *Transform
	for { // it may do wrong when it is tried
		var err error
		if tr, err = cfg.Open(t.Context(), Env{Pipeline: "birds"}); err == nil {
			break
		}
	}
	defer tr.Close(t.Context())
	all, wrong := 0, 0
	for round := range testenv.Count(40, 1000) {
		data := make([]string, 20)
		for i := range data {
			data[i] = fmt.Sprint("record ", round, " ", i)
		}
		in, f := batch(data...), new(stage.Final)
		for i := range in.Records {
			in.Records[i].Seq += uint64(100 * round) // as in a stream, where no two records have one id
		}
		if err := stage.NewChain(stage.Link{Name: "handler", Transform: tr}).Run(t.Context(), in, f); err != nil {
			t.Fatal(err)
		}
		for i, got := range show(f) {
			if all++; got == strings.ToUpper(data[i]) {
				continue
			}
			if wrong++; !strings.HasPrefix(got, "!lambda.") {
				t.Fatalf("seed %d: record %d of round %d is %q", seed, i, round, got)
			}
		}
	}
	if wrong > all/5 { // on a machine that is busy some are too late
		t.Errorf("seed %d: %d of %d records fail", seed, wrong, all)
	}
}

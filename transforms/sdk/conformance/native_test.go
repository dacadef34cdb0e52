package conformance

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// TestTheCHeaderReadsAndWritesNothingThatIsNotItsOwn runs the header natively below an address sanitizer, with frames of which some keep no rule.
func TestTheCHeaderReadsAndWritesNothingThatIsNotItsOwn(t *testing.T) {
	gcc := testenv.Program(t, "gcc", "apt install gcc")
	native := filepath.Join(t.TempDir(), "native")
	build := exec.Command(gcc, "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", "../c", "-o", native, "testdata/native/main.c")
	if out, err := build.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "cannot find -lasan") || strings.Contains(string(out), "libasan") {
			testenv.Missing(t, "gcc has no address sanitizer: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var frames bytes.Buffer
	count := testenv.Count(2_000, 50_000)
	for range count {
		recs := make([]abi.Record, rng.IntN(4))
		for i := range recs {
			recs[i] = abi.Record{Key: randomText(rng, 5), Data: []byte(brokenJSON(t, rng))}
			for range rng.IntN(3) {
				recs[i].Attrs = append(recs[i].Attrs, abi.Attr{Name: randomText(rng, 3), Value: randomText(rng, 3)})
			}
		}
		var l abi.Layout
		if err := l.Plan(recs); err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, l.Size())
		l.EncodeInput(frame, 1, recs)
		for range rng.IntN(3) {
			frame[rng.IntN(len(frame))] = []byte{0, 1, 0x22, 0x7f, 0xff, byte(rng.Uint32())}[rng.IntN(6)]
		}
		if rng.IntN(4) == 0 { // cut off, and it says so
			frame = frame[:rng.IntN(len(frame)+1)]
			if len(frame) >= abi.HeaderSize {
				binary.LittleEndian.PutUint32(frame[24:], uint32(len(frame)))
			}
		}
		frames.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(frame))))
		frames.Write(frame)
	}
	run := exec.Command(native)
	var printed, complaint bytes.Buffer
	run.Stdin, run.Stdout, run.Stderr = &frames, &printed, &complaint
	if err := run.Run(); err != nil {
		at := max(0, strings.Index(complaint.String(), "ERROR"), strings.Index(complaint.String(), "runtime error"))
		t.Fatalf("seed %d: %v\n%.3000s", seed, err, complaint.String()[at:])
	}
	answers, refused := strings.Count(printed.String(), "\n"), strings.Count(printed.String(), "0 0\n")
	if answers != 2*count || refused == 0 || refused > answers/2 {
		t.Errorf("%d answers to %d frames, %d of them refusals", answers, count, refused)
	}
}

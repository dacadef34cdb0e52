package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// native builds the program that runs the header below an address sanitizer.
func native(t *testing.T) string {
	t.Helper()
	gcc := testenv.Program(t, "gcc", "apt install gcc")
	program := filepath.Join(t.TempDir(), "native")
	build := exec.Command(gcc, "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", "../c", "-o", program, "testdata/native/main.c")
	if out, err := build.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "cannot find -lasan") || strings.Contains(string(out), "libasan") {
			testenv.Missing(t, "gcc has no address sanitizer: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func TestTheCHeaderReadsNumbers(t *testing.T) {
	texts := []string{
		"0", "-0", "1", "-1.5e3", "0.1", "123456789012345", "1e22", "1e-22", "5e-324", "1.7976931348623157e308", "1e400", "1e-400", "00", "01", "1.", ".5", "+1", "-",
		"1e", "1e+", "1.e3", "", "1x", "inf", "nan", "0.00000000000000000000000000001234", "1234567890123456789012345678901234567890", "1e999999999999", "0e999999999999",
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range testenv.Count(5_000, 500_000) {
		texts = append(texts, strconv.FormatFloat(math.Float64frombits(rng.Uint64()), 'g', 1+rng.IntN(17), 64), strconv.FormatFloat(float64(rng.IntN(1e9))/1000, 'f', -1, 64))
	}
	run := exec.Command(native(t), "numbers")
	run.Stdin = strings.NewReader(strings.Join(texts, "\n") + "\n")
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(got) != len(texts) {
		t.Fatalf("%d answers to %d numbers", len(got), len(texts))
	}
	for i, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || !json.Valid([]byte(text)) {
			if got[i] != "-" {
				t.Errorf("%q is %s", text, got[i])
			}
			continue
		}
		x, err := strconv.ParseFloat(got[i], 64)
		digits := strings.Trim(strings.NewReplacer(".", "", "-", "").Replace(strings.SplitN(text, "e", 2)[0]), "0")
		exact := len(digits) <= 15 && (want == 0 || math.Abs(want) < 1e22 && math.Abs(want) > 1e-7)
		if err != nil && math.Abs(want) < 1.79e308 || exact && x != want || math.Abs(x-want) > 1e-15*math.Abs(want)+1e-323 && math.Abs(want) < 1.79e308 {
			t.Errorf("%q is %s, not %x", text, got[i], want)
		}
	}
}

// TestTheCHeaderReadsAndWritesNothingThatIsNotItsOwn runs frames, of which some keep no rule.
func TestTheCHeaderReadsAndWritesNothingThatIsNotItsOwn(t *testing.T) {
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
	run := exec.Command(native(t))
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

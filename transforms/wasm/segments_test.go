package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/leatstream/leat/internal/testenv"
)

// dataSegment is an active segment at an address.
func dataSegment(at int, data []byte) []byte {
	return bytes.Join([][]byte{{segmentActive}, konst(at), {insnEnd}, uleb(len(data)), data}, nil)
}

// withMemory is a module of a memory of two pages and a data section.
func withMemory(segments ...[]byte) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(5, vec([]byte{0, 2}))...)
	m = append(m, section(7, vec(append(name("memory"), 2, 0)))...)
	return append(m, section(sectionData, vec(segments...))...)
}

// memoryOf returns the memory of a new instance, or why there is none.
func memoryOf(t testing.TB, module []byte) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a start function may spin
	defer cancel()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64).WithCloseOnContextDone(true))
	defer r.Close(ctx)
	mod, err := r.Instantiate(ctx, module)
	if err != nil {
		return nil, err
	}
	if mod.ExportedMemory("memory") == nil { // Memory() would be a nil pointer in an interface
		return nil, nil
	}
	b, _ := mod.Memory().Read(0, mod.Memory().Size())
	return bytes.Clone(b), nil
}

func segmentsOf(module []byte) int {
	r := wasmReader{rest: module[8:]}
	for len(r.rest) > 0 {
		id, body := r.byte(), wasmReader{rest: r.take(r.u32())}
		if id == sectionData {
			return int(body.u32())
		}
	}
	return 0
}

func TestMergedSegmentsInitializeTheSameMemory(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range testenv.Count(100, 5000) {
		var segments [][]byte
		at := 0
		for range rnd.IntN(40) {
			switch rnd.IntN(100) {
			case 0: // anywhere, over others too, and sometimes out of the memory
				at = rnd.IntN(2*pageSize + 100)
			case 1, 2, 3, 4, 5:
				at += rnd.IntN(3 * maxGap)
			default:
				at += rnd.IntN(20)
			}
			data := make([]byte, rnd.IntN(30))
			for i := range data {
				data[i] = byte(rnd.IntN(256))
			}
			segments = append(segments, dataSegment(at, data))
			at += len(data)
		}
		if rnd.IntN(2) == 0 {
			rnd.Shuffle(len(segments), func(i, j int) { segments[i], segments[j] = segments[j], segments[i] })
		}
		module := withMemory(segments...)
		before := bytes.Clone(module)
		merged := mergeSegments(module)
		if !bytes.Equal(module, before) {
			t.Fatalf("seed %d: the module itself was changed", seed)
		}
		want, wrong := memoryOf(t, module)
		got, err := memoryOf(t, merged)
		if (err == nil) != (wrong == nil) || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: merged %v, as it was %v, the same memory: %v", seed, err, wrong, bytes.Equal(got, want))
		}
		if segmentsOf(merged) > len(segments) {
			t.Fatalf("seed %d: %d segments became %d", seed, len(segments), segmentsOf(merged))
		}
	}
}

func TestSegmentsThatInstructionsMayNameStay(t *testing.T) {
	two := [][]byte{dataSegment(0, []byte("a")), dataSegment(1, []byte("b"))}
	if n := segmentsOf(mergeSegments(withMemory(two...))); n != 1 {
		t.Errorf("two neighbours became %d segments", n)
	}
	passive := bytes.Join([][]byte{{1}, uleb(1), []byte("c")}, nil)
	counted := bytes.Replace(withMemory(two...), []byte{sectionData}, append(section(sectionDataCount, uleb(2)), sectionData), 1)
	for name, m := range map[string][]byte{
		"a passive one":  withMemory(two[0], two[1], passive),
		"numbered ones":  counted,
		"one at a sum":   withMemory(two[0], bytes.Replace(two[1], []byte{insnEnd}, []byte{insnI32Const, 1, 0x6a, insnEnd}, 1)),
		"one cut short":  withMemory(two[0], two[1][:4]),
		"a longer one":   append(withMemory(two...), 0),
		"a wild address": withMemory(two[0], []byte{0, insnI32Const, 0xff, 0xff, 0xff, 0xff, 0x3f, insnEnd, 0}),
	} {
		if got := mergeSegments(m); !bytes.Equal(got, m) {
			t.Errorf("%s: the module was changed", name)
		}
	}
}

func TestAGoModuleHasHardlyAnySegmentsLeft(t *testing.T) {
	module, err := os.ReadFile(guest(t, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	merged := mergeSegments(module)
	if was, is := segmentsOf(module), segmentsOf(merged); was < 10_000 || is > 20 {
		t.Errorf("%d segments became %d: does the linker do it now?", was, is)
	}
	if more := len(merged) - len(module); more > len(module)/5 {
		t.Errorf("the module grew by %d bytes", more)
	}
}

// FuzzMergeSegments shows that merging neither hides what is wrong with a module nor breaks one that is right.
func FuzzMergeSegments(f *testing.F) {
	f.Add(withMemory(dataSegment(0, []byte("a")), dataSegment(1, []byte("b")), dataSegment(5000, []byte("c"))))
	f.Add(newAssembly().bytes())
	f.Add(withMemory(dataSegment(-1, []byte("a"))))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, module []byte) {
		if len(module) > 1<<16 || len(module) >= 8 && binary.LittleEndian.Uint32(module[4:]) != 1 {
			return
		}
		want, wrong := memoryOf(t, module)
		got, err := memoryOf(t, mergeSegments(module))
		if (err == nil) != (wrong == nil) || !bytes.Equal(got, want) {
			t.Fatalf("merged %v, as it was %v, the same memory: %v", err, wrong, bytes.Equal(got, want))
		}
	})
}

package feeder

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/testenv"
)

// pieces reads a few bytes at a time.
type pieces struct {
	r      io.Reader
	random *rand.Rand
}

func (p pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), 1+p.random.IntN(1<<p.random.IntN(13)))])
}

// content is lines, some of them empty, too long or without what ends a line.
func content(random *rand.Rand) string {
	var b strings.Builder
	for range random.IntN(600) {
		b.WriteString(strings.Repeat("x", []int{0, 1, 2, 20, 94, 95, 98, 99, 100, 101, 102, 5000}[random.IntN(12-random.IntN(2))]))
		b.WriteString([]string{",k", "", "\r", ",", "\x00"}[random.IntN(5)])
		b.WriteString([]string{"\n", "\r\n", "\n\n"}[random.IntN(3)])
	}
	return strings.TrimSuffix(b.String(), []string{"\n", "", "\r\n"}[random.IntN(3)])
}

// What is read from a reader, in whatever pieces, is what is read from a file of the same bytes.
func TestAReaderIsReadAsAFileIs(t *testing.T) {
	for seed := range uint64(testenv.Count(60, 3000)) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := content(random)
		key := []Key{{CSVColumn: 2}, {Constant: "c"}, {JSON: ".k"}}[random.IntN(3)]
		skip := random.IntN(3)
		inRig(t, func(r *rig) {
			r.cfg.Inputs[0].SkipLines, r.cfg.Inputs[0].MaxLine, r.cfg.Inputs[0].Key = skip, 100, key
			r.cfg.BatchBytes, r.cfg.MaxRecord, r.cfg.UntilIdle = 4096, 101, true
			r.write("a.log", text)
			r.start()
			want := r.f
			if err := <-r.done; err != nil {
				r.t.Fatal(err)
			}
			r.f = nil
			r.stop()
			s := newFake()
			got, err := New(r.cfg, s, slog.New(slog.DiscardHandler))
			if err != nil {
				r.t.Fatal(err)
			}
			if err := got.Read(r.t.Context(), "-", pieces{strings.NewReader(text), random}); err != nil {
				r.t.Fatal(err)
			}
			has, wants := got.Stats(), want.Stats()
			wants.Files, wants.Lag = 0, 0
			has.KeylessLines, wants.KeylessLines = 0, 0 // of a line that is too long, only what fits into a buffer is looked at
			if !reflect.DeepEqual(s.records, r.s.records) || has != wants {
				r.t.Fatalf("seed %d: %d records and %+v of a reader, %d and %+v of a file", seed, len(s.records), has, len(r.s.records), wants)
			}
		})
	}
}

func TestLinesOfAReaderArePutAsSoonAsTheyAreThere(t *testing.T) {
	in, lines := io.Pipe()
	defer lines.Close()
	seen := make(chan string)
	s := newFake()
	s.fail = func(entries []stream.Entry) error {
		for _, e := range entries {
			seen <- string(e.Data)
		}
		return nil
	}
	f, err := New(Config{Name: "n", Inputs: []Input{{Paths: []string{"/x"}}}}, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Read(ctx, "a pipe", in) }()
	for _, line := range []string{"one", "two"} {
		if _, err := io.WriteString(lines, line+"\nh"); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(<-seen, "h"); got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	stop() // while it waits for more
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAReaderThatCannotBeReadIsNamed(t *testing.T) {
	broken := errors.New("broken")
	for text, test := range map[string]struct {
		r    io.Reader
		code string
	}{
		"a cable":  {io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(broken)), "feeder.cannot_read"},
		"an image": {strings.NewReader("\x1f\x8b\x08"), "feeder.binary_file"},
	} {
		f, err := New(Config{Name: "n", Inputs: []Input{{Paths: []string{"/x"}}}}, newFake(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Read(t.Context(), text, test.r); fault.CodeOf(err) != test.code {
			t.Errorf("%s: %v", text, err)
		}
	}
}

package codec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/internal/testenv"
)

// pack makes an object of content in blocks of at most size bytes.
func pack(c codec.Compression, entry string, content []byte, size int) []byte {
	var sum codec.Sum
	out := c.AppendHeader(nil, entry)
	for len(content) > 0 {
		block := content[:min(size, len(content))]
		content = content[len(block):]
		before := len(out)
		out = c.AppendBlock(out, block)
		sum.Add(block, len(out)-before)
	}
	return c.AppendTrailer(out, entry, sum)
}

func byName(t testing.TB, name string, level int) codec.Compression {
	t.Helper()
	c, err := codec.ByName(name, level)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// logLines is n bytes of text that compresses like logs, the same on every run.
func logLines(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("GET POST /index.html /api/v1/orders 200 404 500 error timeout upstream client closed")
	var b bytes.Buffer
	for b.Len() < n {
		for range 4 + rng.IntN(8) {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString([]byte{byte(rng.Uint32()), byte(rng.Uint32())}))
		b.WriteByte('\n')
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	p := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(p)
	return p
}

var contents = map[string][]byte{
	"empty":        nil,
	"one byte":     []byte("x"),
	"zeros":        make([]byte, 700_001),
	"log lines":    logLines(1_000_003),
	"noise":        noise(600_007),
	"whole blocks": logLines(2 * codec.BlockSize),
}

func TestEveryCompressionReadsBack(t *testing.T) {
	for _, name := range codec.Names() {
		for _, level := range []int{0, 1, 3, 9} {
			if level > 0 && (name == "none" || name == "snappy") {
				continue
			}
			c := byName(t, name, level)
			if c.Name() != name {
				t.Errorf("ByName(%q).Name() = %q", name, c.Name())
			}
			for title, content := range contents {
				r, err := codec.NewReader(name, bytes.NewReader(pack(c, "a/b.jsonl", content, codec.BlockSize)))
				if err != nil {
					t.Fatalf("%s, level %d, %s: %v", name, level, title, err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s, level %d, %s: read %d bytes of %d, error %v", name, level, title, len(got), len(content), err)
				}
			}
		}
	}
}

// The bytes of an object depend on nothing but blocks and level: not on the pooled writers' past, not on other cores. The
// hashes change only with the library: then delivery is still safe, because it puts spooled bytes, but say so in the
// release notes.
func TestSameBlocksAndLevelGiveTheSameBytes(t *testing.T) {
	golden := map[string]string{
		"gzip 1":   "62c1b5ba1361fb7a4202f01731a7d3170545e4ea599b1dfc6c52a45a81f5bd40",
		"gzip 6":   "52862198cbe8ea88e0dffbc707620eb15128704025bd7789e8e91e553dc496c8",
		"gzip 9":   "b877a5813fae0a614783fa2755bdcddb15e9351f4ffb1dc8b21936680309e414",
		"zip 6":    "08ab103a1368e51a0824c52ee35bc677d2f064c207c263c4a5976423a5c58938",
		"snappy 0": "c85083f4b4e99e4423c9c1d37f37e785d71d7cdadce8c3766f67574279960839",
	}
	content := append(logLines(900_000), noise(300_000)...)
	for key, want := range golden {
		name, level, _ := strings.Cut(key, " ")
		if name == "snappy" && runtime.GOARCH != "amd64" {
			continue // see the compression's comment
		}
		c := byName(t, name, int(level[0]-'0'))
		var wg sync.WaitGroup
		for worker := range 3 {
			wg.Go(func() {
				c.AppendBlock(nil, noise(1000*worker+1)) // leave something behind in the pooled writers
				sum := sha256.Sum256(pack(c, "x", content, codec.BlockSize))
				if got := hex.EncodeToString(sum[:]); got != want {
					t.Errorf("%s: SHA-256 is %s, want %s", key, got, want)
				}
			})
		}
		wg.Wait()
	}
}

func TestRandomSplitsReadBack(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	source := append(logLines(400_000), noise(200_000)...)
	for range testenv.Count(60, 2000) {
		name := codec.Names()[rng.IntN(4)]
		level := 0
		if name == "gzip" || name == "zip" {
			level = rng.IntN(10)
		}
		from := rng.IntN(len(source))
		content := source[from : from+rng.IntN(len(source)-from)]
		size := 1 + rng.IntN(300_000)
		r, err := codec.NewReader(name, bytes.NewReader(pack(byName(t, name, level), "x", content, max(size, len(content)/50))))
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, name, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("seed %d: %s level %d: %d bytes in blocks of %d: read %d, error %v", seed, name, level, len(content), size, len(got), err)
		}
	}
}

func TestDamagedObjectsAreNotRead(t *testing.T) {
	content := logLines(300_000)
	for _, name := range []string{"gzip", "zip", "snappy"} {
		object := pack(byName(t, name, 0), "x", content, codec.BlockSize)
		read := func(object []byte) ([]byte, error) {
			r, err := codec.NewReader(name, bytes.NewReader(object))
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		}
		for _, n := range []int{1, 9, len(object) / 2, len(object) - 1} {
			if name == "snappy" && n < 10 {
				continue
			}
			if _, err := read(object[:n]); err == nil {
				t.Errorf("%s cut to %d of %d bytes was read without an error", name, n, len(object))
			}
		}
		flipped := bytes.Clone(object)
		flipped[len(object)/2] ^= 0x10
		if got, err := read(flipped); err == nil {
			t.Errorf("%s with a flipped bit was read without an error; equal content: %v", name, bytes.Equal(got, content))
		}
	}
}

func TestByNameRefusesWhatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		name  string
		level int
		code  string
	}{
		{"zstd", 0, "codec.unknown_compression"},
		{"GZIP", 0, "codec.unknown_compression"},
		{"", 0, "codec.unknown_compression"},
		{"gzip", 10, "codec.bad_level"},
		{"zip", -1, "codec.bad_level"},
		{"snappy", 3, "codec.no_levels"},
		{"none", 1, "codec.no_levels"},
	} {
		_, err := codec.ByName(c.name, c.level)
		if fault.CodeOf(err) != c.code || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("ByName(%q, %d): %v, want code %s", c.name, c.level, err, c.code)
		}
	}
	if _, err := codec.ByName("zstd", 0); !strings.Contains(err.Error(), "none, gzip, zip, snappy") {
		t.Errorf("the error does not list the names: %v", err)
	}
	if _, err := codec.NewReader("zstd", nil); fault.CodeOf(err) != "codec.unknown_compression" {
		t.Errorf("NewReader: %v", err)
	}
}

func TestHeadersDescribeTheObject(t *testing.T) {
	for name, want := range map[string][3]string{
		"none":   {"text/plain", "", ""},
		"gzip":   {"text/plain", "gzip", ".gz"},
		"zip":    {"application/zip", "", ".zip"},
		"snappy": {"application/x-snappy-framed", "", ".snappy"},
	} {
		c := byName(t, name, 0)
		typ, encoding := c.Headers("text/plain")
		if got := [3]string{typ, encoding, c.Extension()}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzReadersSurviveAnything(f *testing.F) {
	for i, name := range codec.Names() {
		f.Add(i, pack(byName(f, name, 0), "entry", []byte("some content, some content"), 10))
	}
	f.Fuzz(func(t *testing.T, which int, object []byte) {
		names := codec.Names()
		r, err := codec.NewReader(names[uint(which)%uint(len(names))], bytes.NewReader(object))
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		}
	})
}

func FuzzBlockSplitsReadBack(f *testing.F) {
	f.Add([]byte("a line\nanother line\n"), uint8(3), 0, 1)
	f.Add(bytes.Repeat([]byte("abc"), 3000), uint8(200), 1, 9)
	f.Add([]byte{}, uint8(0), 2, 5)
	f.Fuzz(func(t *testing.T, content []byte, split uint8, which, level int) {
		names := codec.Names()
		name := names[uint(which)%uint(len(names))]
		if name == "none" || name == "snappy" {
			level = 0
		} else {
			level = int(uint(level) % 10)
		}
		object := pack(byName(t, name, level), string(content[:min(len(content), 20)]), content, max(int(split)+1, len(content)/16))
		r, err := codec.NewReader(name, bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%s level %d: read %q, error %v, want %q", name, level, got, err, content)
		}
	})
}

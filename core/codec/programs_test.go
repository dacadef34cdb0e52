package codec_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/internal/testenv"
)

// output runs a program on an object in a file and returns what it prints.
func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, stderr.String())
	}
	return out
}

func save(t *testing.T, name string, object []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, object, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGzipProgramReadsOurGzip(t *testing.T) {
	program := testenv.Program(t, "gzip", "apt-get install gzip")
	for title, content := range contents {
		for _, level := range []int{1, 6, 9} {
			path := save(t, "object.gz", pack(byName(t, "gzip", level), "", content, codec.BlockSize))
			output(t, exec.Command(program, "-t", path))
			if got := output(t, exec.Command(program, "-dc", path)); !bytes.Equal(got, content) {
				t.Errorf("%s, level %d: gzip -dc gives %d bytes, want %d", title, level, len(got), len(content))
			}
		}
	}
}

// Some readers, Java's GZIPInputStream of old among them, stop after the first member.
func TestGzipIsOneMember(t *testing.T) {
	content := contents["log lines"]
	object := pack(byName(t, "gzip", 1), "", content, 1000)
	src := bytes.NewReader(object)
	r, err := gzip.NewReader(src)
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) || src.Len() != 0 {
		t.Errorf("the first member has %d bytes of %d, %d bytes follow it, error %v", len(got), len(content), src.Len(), err)
	}
}

func TestUnzipReadsOurZip(t *testing.T) {
	program := testenv.Program(t, "unzip", "apt-get install unzip")
	for title, content := range contents {
		path := save(t, "object.zip", pack(byName(t, "zip", 6), "2026/11/part-1.jsonl.zip", content, codec.BlockSize))
		output(t, exec.Command(program, "-tqq", path))
		if got := output(t, exec.Command(program, "-p", path)); !bytes.Equal(got, content) {
			t.Errorf("%s: unzip -p gives %d bytes, want %d", title, len(got), len(content))
		}
		if got := output(t, exec.Command(program, "-Z1", path)); string(got) != "part-1.jsonl\n" {
			t.Errorf("%s: the archive lists %q", title, got)
		}
	}
}

func TestPythonReadsGzipZipAndSnappy(t *testing.T) {
	content := append(contents["log lines"], contents["noise"]...)
	want := sha256.Sum256(content)
	for _, c := range []struct{ name, needs, script string }{
		{"gzip", "gzip", "import gzip; data = gzip.open(sys.argv[1]).read()"},
		{"zip", "zipfile", "import zipfile; z = zipfile.ZipFile(sys.argv[1]); data = z.read(z.namelist()[0])"},
		// cramjam wraps Rust's snap; Debian 12's python3-snappy does not work with its own Python.
		{"snappy", "cramjam", "import cramjam; data = bytes(cramjam.snappy.decompress(open(sys.argv[1], 'rb').read()))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			python := pythonWith(t, c.needs)
			path := save(t, "object", pack(byName(t, c.name, 0), "entry", content, codec.BlockSize))
			script := "import sys, hashlib; " + c.script + "; sys.stdout.buffer.write(hashlib.sha256(data).digest())"
			if got := output(t, exec.Command(python, "-c", script, path)); !bytes.Equal(got, want[:]) {
				t.Errorf("Python reads something else")
			}
		})
	}
}

// pythonWith returns a Python that has the module, be it not the first on PATH.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	testenv.Missing(t, "no python3 with the module %s (python3 -m pip install %s)", module, module)
	return ""
}

func TestHostileEntryNamesStayPlainFileNames(t *testing.T) {
	c := byName(t, "zip", 0)
	for entry, want := range map[string]string{
		"a/b/c.json":             "c.json",
		"../../etc/passwd":       "passwd",
		`..\..\windows\evil.exe`: "evil.exe",
		"..":                     "object",
		"a/..":                   "object",
		"":                       "object",
		"a/":                     "object",
		".zip":                   "object",
		"...zip":                 "object",
		"x\x00y\nz:w\xff":        "x_y_z_w_",
		"größe.txt.zip":          "größe.txt",
	} {
		object := pack(c, entry, []byte("content"), 100)
		z, err := zip.NewReader(bytes.NewReader(object), int64(len(object)))
		if err != nil {
			t.Fatalf("%q: %v", entry, err)
		}
		if len(z.File) != 1 || z.File[0].Name != want {
			t.Errorf("%q becomes %q, want %q", entry, z.File[0].Name, want)
		}
	}
	object := pack(c, strings.Repeat("ü", 70_000), nil, 100)
	z, err := zip.NewReader(bytes.NewReader(object), int64(len(object)))
	if err != nil || len(z.File[0].Name) > 255 || !strings.HasSuffix(z.File[0].Name, "ü") {
		t.Errorf("long name: %v", err)
	}
}

// A raw size from 4 GiB on: the content is a block of zeros again and again, so that the object stays small.
func TestZip64ByRawSize(t *testing.T) {
	c := byName(t, "zip", 1)
	block := make([]byte, 16<<20)
	compressed := c.AppendBlock(nil, block)
	object := c.AppendHeader(nil, "zeros")
	var sum codec.Sum
	for range 257 {
		object = append(object, compressed...)
		sum.Raw += int64(len(block))
		sum.Compressed += int64(len(compressed))
	}
	if testenv.Full() { // a few seconds
		for range 257 {
			block := codec.Sum{CRC: sum.CRC}
			block.Add(make([]byte, 16<<20), 0)
			sum.CRC = block.CRC
		}
	}
	object = c.AppendTrailer(object, "zeros", sum)
	path := save(t, "big.zip", object)
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	if got := z.File[0].UncompressedSize64; got != 257<<24 {
		t.Errorf("the archive says %d bytes", got)
	}
	python := pythonWith(t, "zipfile")
	size := output(t, exec.Command(python, "-c", "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).infolist()[0].file_size)", path))
	if strings.TrimSpace(string(size)) != "4311744512" {
		t.Errorf("Python says %s bytes", size)
	}
	if !testenv.Full() {
		return
	}
	output(t, exec.Command(testenv.Program(t, "unzip", "apt-get install unzip"), "-tqq", path))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r, err := codec.NewReader("zip", file)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != 257<<24 {
		t.Errorf("our reader reads %d bytes: %v", n, err)
	}
}

// A compressed size from 4 GiB on, where also the directory lies beyond: the archive is a hole between header and trailer.
func TestZip64ByCompressedSize(t *testing.T) {
	c := byName(t, "zip", 1)
	const hole = 5 << 30
	head := c.AppendHeader(nil, "hole")
	tail := c.AppendTrailer(nil, "hole", codec.Sum{Raw: hole + 1, Compressed: hole, CRC: 7})
	path := filepath.Join(t.TempDir(), "sparse.zip")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for at, part := range map[int64][]byte{0: head, int64(len(head)) + hole: tail} {
		if _, err := file.WriteAt(part, at); err != nil {
			t.Fatal(err)
		}
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	if f := z.File[0]; f.CompressedSize64 != hole+2 || f.UncompressedSize64 != hole+1 || f.CRC32 != 7 {
		t.Errorf("the archive says %d of %d bytes, CRC %d", f.CompressedSize64, f.UncompressedSize64, f.CRC32)
	}
	python := pythonWith(t, "zipfile")
	size := output(t, exec.Command(python, "-c", "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).infolist()[0].compress_size)", path))
	if strings.TrimSpace(string(size)) != "5368709122" {
		t.Errorf("Python says %s compressed bytes", size)
	}
	program := testenv.Program(t, "unzip", "apt-get install unzip")
	if got := output(t, exec.Command(program, "-Z1", path)); string(got) != "hole\n" {
		t.Errorf("unzip lists %q", got)
	}
}

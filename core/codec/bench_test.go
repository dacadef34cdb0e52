package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/core/codec"
)

// What blocks cost against the library's own stream: time on one core, and ratio.
func BenchmarkCompress(b *testing.B) {
	content := logLines(8 << 20)
	for _, c := range []struct {
		name  string
		level int
	}{{"gzip", 1}, {"gzip", 6}, {"gzip", 9}, {"zip", 6}, {"snappy", 0}} {
		compression := byName(b, c.name, c.level)
		b.Run(fmt.Sprintf("%s-%d", c.name, c.level), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			var out []byte
			for b.Loop() {
				out = compression.AppendHeader(out[:0], "")
				for at := 0; at < len(content); at += codec.BlockSize {
					out = compression.AppendBlock(out, content[at:at+codec.BlockSize])
				}
				out = compression.AppendTrailer(out, "", codec.Sum{})
			}
			b.ReportMetric(float64(len(content))/float64(len(out)), "ratio")
		})
	}
	for _, level := range []int{1, 6, 9} {
		b.Run(fmt.Sprintf("bare-gzip-%d", level), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				w, _ := gzip.NewWriterLevel(&out, level)
				if _, err := w.Write(content); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(content))/float64(out.Len()), "ratio")
		})
	}
}

func BenchmarkFormat(b *testing.B) {
	line := []byte(`{"airport":"DALLAS/FORT WORTH INTL","date":"1990-01-08","speed":null,"height":7000.5,"flag":true,"ids":[1,22,333]}`)
	for _, name := range codec.FormatNames() {
		f, _ := codec.FormatByName(name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			var dst []byte
			for b.Loop() {
				dst, _ = f.Append(dst[:0], line)
			}
		})
	}
	b.Run("bare-json-valid", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		for b.Loop() {
			if !json.Valid(line) {
				b.Fatal("not valid")
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	content := logLines(8 << 20)
	for _, name := range codec.Names() {
		object := pack(byName(b, name, 0), "x", content, codec.BlockSize)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				r, err := codec.NewReader(name, bytes.NewReader(object))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package capacity

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

const (
	pngFile = "simulation.png"
	docFile = "doc.go"
	// The table in doc.go stands between these lines.
	tableBegin, tableEnd = "// # Forty days\n//\n", "//\n// The file simulation.png"
)

// compareDocs compares the table and the picture in the docs with a simulation, or writes them under -update.
func compareDocs(t *testing.T, minutes []minute) {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, drawing(minutes)); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(doc), tableBegin)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", docFile)
	}
	want := head + tableBegin + table(minutes) + tableEnd + tail
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pngFile, picture.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(doc) {
		t.Errorf("the table in %s is not the simulation's, which is below; -update writes it\n%s", docFile, table(minutes))
	}
	drawn, err := os.ReadFile(pngFile)
	if err != nil {
		t.Fatal(err)
	}
	if old, err := png.Decode(bytes.NewReader(drawn)); err != nil || !samePixels(old, drawing(minutes)) {
		t.Errorf("%s is not the simulation's picture (%v); -update draws it", pngFile, err)
	}
}

func samePixels(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if r1 != r2 || g1 != g2 || b1 != b2 {
				return false
			}
		}
	}
	return true
}

// table is the simulation as a comment: its days, of which those without an event share a line, and the first minutes of
// the spike.
func table(minutes []minute) string {
	var b strings.Builder
	b.WriteString("//\tday       load, MiB/s   shards   splits  merges  refused\n")
	days := daysOf(minutes)
	for first := 0; first < len(days); {
		last := first
		for d := days[first]; last+1 < len(days) && d.quiet() && days[last+1].quiet(); last++ {
			d = days[last+1]
		}
		name, d := fmt.Sprint(first+1), days[first]
		if last > first {
			name += fmt.Sprintf(" to %d", last+1)
		}
		for _, o := range days[first : last+1] {
			d.lowest, d.highest = min(d.lowest, o.lowest), max(d.highest, o.highest)
		}
		shards := fmt.Sprint(d.fewest)
		if d.most > d.fewest {
			shards += fmt.Sprintf(" to %d", d.most)
		}
		fmt.Fprintf(&b, "//\t%-9s %.1f to %-6.1f %-8s %6d  %6d  %6.2f%%\n", name, d.lowest, d.highest, shards, d.splits, d.merges, 100*d.refused/d.load)
		first = last + 1
	}
	b.WriteString("//\n//\tminute of the spike   load, MiB/s   shards   refused\n")
	for i := -1; i < catchUp+1; i++ {
		m := minutes[spikeMinute+i]
		fmt.Fprintf(&b, "//\t%-21d %-13.1f %-8d %6.2f%%\n", i+1, m.load, m.shards, 100*m.refused/m.load)
	}
	return b.String()
}

// quiet tells whether nothing happened on a day.
func (d day) quiet() bool { return d.splits+d.merges == 0 && d.refused == 0 }

var (
	white  = color.RGBA{255, 255, 255, 255}
	grid   = color.RGBA{225, 225, 225, 255}
	black  = color.RGBA{40, 40, 40, 255}
	blue   = color.RGBA{31, 90, 180, 255}
	orange = color.RGBA{240, 170, 90, 255}
	red    = color.RGBA{205, 30, 30, 255}
)

// drawing shows all days, and below them the first minutes of the spike.
func drawing(minutes []minute) image.Image {
	const spikeShown = 20
	img := image.NewRGBA(image.Rect(0, 0, 860, 560))
	draw.Draw(img, img.Bounds(), image.NewUniform(white), image.Point{}, draw.Src)
	write(img, 50, 20, "An on-demand stream over 40 days: shards, load and what is refused, in MiB/s (one a shard)", black)
	for i, l := range []struct {
		name string
		c    color.Color
	}{{"open shards", blue}, {"load", orange}, {"refused", red}} {
		fill(img, image.Rect(50+130*i, 30, 62+130*i, 42), l.c)
		write(img, 68+130*i, 41, l.name, black)
	}
	chart(img, image.Rect(50, 55, 840, 290), minutes, 5*minutesADay, func(i int) string { return fmt.Sprintf("day %d", i/minutesADay+1) })
	from := spikeMinute - 2
	write(img, 50, 330, fmt.Sprintf("The first minutes of the spike on day %d", spikeMinute/minutesADay+1), black)
	chart(img, image.Rect(50, 340, 840, 530), minutes[from:from+spikeShown], 2, func(i int) string { return fmt.Sprintf("%+d min", i+from-spikeMinute) })
	return img
}

// chart draws minutes into an area, with a line and a label on the axis at each step of minutes.
func chart(img draw.Image, area image.Rectangle, minutes []minute, step int, label func(int) string) {
	const top = 100 // MiB/s
	x := func(i int) int { return area.Min.X + i*area.Dx()/len(minutes) }
	y := func(v float64) int { return area.Max.Y - int(v*float64(area.Dy())/top+0.5) }
	for v := 0; v <= top; v += 20 {
		fill(img, image.Rect(area.Min.X, y(float64(v)), area.Max.X, y(float64(v))+1), grid)
		write(img, area.Min.X-8-7*len(fmt.Sprint(v)), y(float64(v))+4, fmt.Sprint(v), black)
	}
	for i := 0; i < len(minutes); i += step {
		fill(img, image.Rect(x(i), area.Min.Y, x(i)+1, area.Max.Y), grid)
		write(img, x(i), area.Max.Y+16, label(i), black)
	}
	for i, m := range minutes {
		fill(img, image.Rect(x(i), y(m.load), max(x(i+1), x(i)+1), area.Max.Y), orange)
	}
	for i, m := range minutes {
		if m.refused > 0 {
			fill(img, image.Rect(x(i), y(m.refused), max(x(i+1), x(i)+1), area.Max.Y), red)
		}
		s := y(float64(m.shards))
		fill(img, image.Rect(x(i), s-1, max(x(i+1), x(i)+2), s+1), blue)
		if i > 0 {
			before := y(float64(minutes[i-1].shards))
			fill(img, image.Rect(x(i), min(s, before)-1, x(i)+2, max(s, before)+1), blue)
		}
	}
}

func fill(img draw.Image, r image.Rectangle, c color.Color) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}

func write(img draw.Image, x, y int, text string, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

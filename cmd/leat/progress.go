package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/foreground"
)

// redraw is the time between two pictures of the progress line.
const redraw = 200 * time.Millisecond

// statusLine is the last line of a terminal, which shows what goes on. Everything else that is written through it comes
// above. Where there is no terminal, it is never shown.
type statusLine struct {
	out   *os.File
	shows bool

	mu   sync.Mutex
	text string // what is shown now
}

func newStatusLine(out *os.File, quiet bool) *statusLine {
	return &statusLine{out: out, shows: !quiet && term.IsTerminal(int(out.Fd()))}
}

// Write writes p above the line.
func (s *statusLine) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	n, err := s.out.Write(p)
	if err == nil && s.text != "" {
		_, err = io.WriteString(s.out, s.text)
	}
	return n, err
}

// Show replaces the line's text.
func (s *statusLine) Show(text string) {
	if !s.shows {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if width, _, err := term.GetSize(int(s.out.Fd())); err == nil && width > 1 && utf8.RuneCountInString(text) >= width {
		text = string([]rune(text)[:width-2]) + "…"
	}
	s.erase()
	s.text = text
	_, _ = io.WriteString(s.out, text) // a terminal that is gone shows nothing
}

// Clear removes the line.
func (s *statusLine) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.text = ""
}

func (s *statusLine) erase() {
	if s.text != "" {
		_, _ = io.WriteString(s.out, "\r\x1b[K")
	}
}

// showProgress keeps the line up to date until ctx is done.
func showProgress(ctx context.Context, line *statusLine, group *foreground.Group) {
	if !line.shows {
		return
	}
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	var last foreground.SinkReport
	var rate float64
	at := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sum, lastError := total(group.Report())
		if since := time.Since(at); since >= time.Second {
			rate = float64(sum.RawBytes-last.RawBytes) / since.Seconds()
			last, at = sum, time.Now()
		}
		text := fmt.Sprintf("in %d  delivered %d  pending %d  objects %d", sum.In, sum.Delivered, sum.Pending, sum.Objects)
		if rate > 0 {
			text += fmt.Sprintf("  %.1f MB/s", rate/1e6)
		}
		if sum.Dead > 0 {
			text += fmt.Sprintf("  dead %d", sum.Dead)
		}
		if sum.Retries > 0 {
			text += fmt.Sprintf("  retries %d", sum.Retries)
		}
		if lastError != "" {
			text += "  last error: " + strings.Join(strings.Fields(lastError), " ")
		}
		line.Show(text)
	}
}

// total sums the sinks of all pipelines.
func total(reports []foreground.Report) (sum foreground.SinkReport, lastError string) {
	for _, r := range reports {
		for _, s := range r.Sinks {
			sum.Counts.Add(s.Counts)
			sum.Objects += s.Objects
			sum.RawBytes += s.RawBytes
			sum.StoredBytes += s.StoredBytes
			sum.Retries += s.Retries
			if s.LastError != "" {
				lastError = s.LastError
			}
		}
	}
	return sum, lastError
}

// printSummary writes a table with a row for each sink, and where the dead letters are.
func printSummary(out io.Writer, reports []foreground.Report) {
	widest := len("SINK")
	for _, r := range reports {
		for _, s := range r.Sinks {
			widest = max(widest, len(r.Pipeline)+1+len(s.Sink))
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%-*s\t", widest, "SINK")
	fmt.Fprintln(w, "IN\tDELIVERED\tDROPPED\tDEAD\tPENDING\tEXPIRED\tSKIPPED\tOBJECTS\tRAW\tSTORED\tSECONDS\t")
	for _, r := range reports {
		for _, s := range r.Sinks {
			fmt.Fprintf(w, "%-*s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%.1f\t\n", widest, r.Pipeline+"/"+s.Sink, s.In, s.Delivered, s.Dropped, s.Dead,
				s.Pending, s.Expired, s.Skipped, s.Objects, sizeText(s.RawBytes), sizeText(s.StoredBytes), r.Seconds)
		}
	}
	_ = w.Flush() // a Builder takes everything
	for line := range strings.Lines(table.String()) {
		fmt.Fprint(out, strings.TrimPrefix(line, "  ")) // the padding before the first column
	}
	for _, r := range reports {
		if r.NewerError != "" && r.Error == "" {
			fmt.Fprintf(out, "%s: the newest version was not taken: %s\n", r.Pipeline, r.NewerError)
		}
		for _, s := range r.Sinks {
			if s.Dead > 0 {
				fmt.Fprintf(out, "dead letters of %s: %s\n", r.Pipeline, r.DeadLetters)
				break
			}
		}
		for _, s := range r.Shadows {
			printShadow(out, r.Pipeline, &s)
		}
	}
}

// printShadow writes what the shadow of a stage has found.
func printShadow(out io.Writer, pipeline string, s *foreground.ShadowReport) {
	text := "no differences"
	if len(s.Different) > 0 {
		var parts []string
		for _, kind := range stage.Differences {
			if n := s.Different[kind]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d", kind, n))
			}
		}
		text = "differences: " + strings.Join(parts, ", ")
	}
	if s.Skipped > 0 {
		text += fmt.Sprintf("; %d of the sample were skipped, for it was behind", s.Skipped)
	}
	fmt.Fprintf(out, "shadow of %s/%s: %d records compared, %s\n", pipeline, s.Stage, s.Compared, text)
}

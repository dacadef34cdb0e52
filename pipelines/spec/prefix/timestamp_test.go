package prefix

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The table was written by testdata/DateTimes.java, which also says how to make it anew.
func TestPatternsGiveWhatJavaGives(t *testing.T) {
	f, err := os.Open("testdata/datetimes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, wrong := 0, 0
	for s := bufio.NewScanner(f); s.Scan(); rows++ {
		c := strings.Split(s.Text(), "\t")
		zone, err := time.LoadLocation(c[0])
		if err != nil {
			t.Fatal(err)
		}
		sec, _ := strconv.ParseInt(c[1], 10, 64)
		nano, _ := strconv.ParseInt(c[2], 10, 64)
		at := time.Unix(sec, nano).In(zone)
		p, err := compilePattern(c[3])
		if err != nil {
			t.Fatalf("pattern %q: %v", c[3], err)
		}
		got := string(p.append(nil, at))
		if got != c[4] {
			if wrong++; wrong <= 20 {
				t.Errorf("%v with %q: got %q, Java gives %q", at, c[3], got, c[4])
			}
		}
		if len(got) > p.maxLen() {
			t.Errorf("%q gives %q, longer than maxLen %d", c[3], got, p.maxLen())
		}
	}
	if rows < 2500 {
		t.Errorf("the table has only %d rows", rows)
	}
}

func TestPatternErrorsNameTheLetter(t *testing.T) {
	for pattern, want := range map[string]string{
		"":           "empty",
		"yyyy/dd/VV": "letter V is not supported",
		"z":          "letter z is not supported",
		"G":          "letter G",
		"B":          "letter B",
		"ppH":        "letter p",
		"ddd":        "ddd has too many letters",
		"SSSSSSSSSS": "too many letters",
		"HHH":        "too many letters",
		"aa":         "too many letters",
		"XXXX":       "too many letters",
		"[HH]":       "character [",
		"'open":      "not closed",
		"HH{":        "character {",
		"d#":         "character #",
	} {
		if _, err := compilePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", pattern, err, want)
		}
	}
}

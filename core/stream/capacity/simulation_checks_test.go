package capacity

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the table of doc.go and simulation.png anew")

const (
	minutesADay = 24 * 60
	thirtyDays  = 30 * minutesADay
	spikeMinute = int(spikeAt / time.Minute)
	// catchUp is how many minutes a stream may take to follow a load that is ten times what it ever was: it doubles its
	// shards in each, and the first one has to pass before anybody knows.
	catchUp = 6
)

// raced is whether the race detector looks on. Then tests do once what goroutines do to each other: the rest is proved without it.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestFortyDaysOfAnOnDemandStream is the proof of what doc.go promises.
func TestFortyDaysOfAnOnDemandStream(t *testing.T) {
	t.Parallel()
	days := 40
	if raced() {
		days = 7 // with the spike and restarts; TestAStreamWithoutHysteresisIsFoundToFlap has merges
	}
	began := time.Now()
	minutes := simulate(t, days, seams{})
	t.Logf("simulated %d days in %v", days, time.Since(began))
	for name, check := range map[string]func([]minute) error{
		"throttles": checkThrottles, "headroom": checkHeadroom, "patience": checkPatience, "flapping": checkFlapping,
	} {
		if err := check(minutes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raced() {
		return
	}
	if last := minutes[len(minutes)-1].shards; float64(last) > 3*high {
		t.Errorf("days after the spike has left the window there are still %d shards for a peak of %v", last, high)
	}
	compareDocs(t, minutes)
}

// checkThrottles finds records that were refused outside of the first minutes of the spike.
func checkThrottles(minutes []minute) error {
	for i, m := range minutes {
		if m.refused > 0 && (i < spikeMinute || i >= spikeMinute+catchUp) {
			return fmt.Errorf("%s: %.2f of %.2f are refused with %d shards", moment(i), m.refused, m.load, m.shards)
		}
	}
	return nil
}

// checkHeadroom finds minutes with fewer shards than twice the peak of the last 30 days, up to those that it takes to follow.
func checkHeadroom(minutes []minute) error {
	peaks := peaksBefore(minutes)
	for i := catchUp; i < len(minutes); i++ {
		if want := 2 * peaks[i-catchUp]; float64(minutes[i].shards+1) < want {
			return fmt.Errorf("%s: %d shards, want %.1f", moment(i), minutes[i].shards, want)
		}
	}
	return nil
}

// checkPatience finds merges of a stream that does not have more shards than twice the peak of the last 30 days.
func checkPatience(minutes []minute) error {
	peaks := peaksBefore(minutes)
	for i := 1; i < len(minutes); i++ {
		if want := 2 * peaks[i-1]; minutes[i].shards < minutes[i-1].shards && float64(minutes[i-1].shards) < want {
			return fmt.Errorf("%s: %d shards become %d, want %.1f", moment(i), minutes[i-1].shards, minutes[i].shards, want)
		}
	}
	return nil
}

// checkFlapping finds days with more reshards than growth and the rate of merges explain, and shards that are merged less
// than 30 days after others were split, or split less than 30 days after others were merged.
func checkFlapping(minutes []minute) error {
	const mostADay = DefaultCeiling
	splitAt, mergedAt := -1, -1
	for i := 1; i < len(minutes); i++ {
		before, after := minutes[i-1].shards, minutes[i].shards
		switch {
		case after > before:
			if mergedAt >= 0 && i-mergedAt < thirtyDays {
				return fmt.Errorf("%s: a split, after a merge at %s", moment(i), moment(mergedAt))
			}
			splitAt = i
		case after < before:
			if splitAt >= 0 && i-splitAt < thirtyDays {
				return fmt.Errorf("%s: a merge, after a split at %s", moment(i), moment(splitAt))
			}
			mergedAt = i
		}
	}
	for day, d := range daysOf(minutes) {
		if d.splits+d.merges > mostADay {
			return fmt.Errorf("day %d has %d splits and %d merges", day+1, d.splits, d.merges)
		}
	}
	return nil
}

// TestAStreamWithoutHysteresisIsFoundToFlap shows that the check can fail.
func TestAStreamWithoutHysteresisIsFoundToFlap(t *testing.T) {
	err := checkFlapping(simulate(t, 3, seams{forgetful: true}))
	if err == nil {
		t.Fatal("was not found")
	}
	t.Log(err)
}

// peaksBefore returns for each minute the highest load of the 30 days that end with it.
func peaksBefore(minutes []minute) []float64 {
	peaks := make([]float64, len(minutes))
	var falling []int // minutes of the window whose loads no later one reaches, the highest first
	for i, m := range minutes {
		for len(falling) > 0 && minutes[falling[len(falling)-1]].load <= m.load {
			falling = falling[:len(falling)-1]
		}
		if falling = append(falling, i); falling[0] <= i-thirtyDays {
			falling = falling[1:]
		}
		peaks[i] = minutes[falling[0]].load
	}
	return peaks
}

func moment(i int) string {
	return fmt.Sprintf("day %d, %02d:%02d", i/minutesADay+1, i%minutesADay/60, i%60)
}

// day is what happened on one day.
type day struct {
	lowest, highest float64
	fewest, most    int
	splits, merges  int
	refused, load   float64
}

func daysOf(minutes []minute) (days []day) {
	for i, m := range minutes {
		if i%minutesADay == 0 {
			days = append(days, day{lowest: m.load, fewest: m.shards})
		}
		d := &days[len(days)-1]
		d.lowest, d.highest = min(d.lowest, m.load), max(d.highest, m.load)
		d.fewest, d.most = min(d.fewest, m.shards), max(d.most, m.shards)
		d.refused, d.load = d.refused+m.refused, d.load+m.load
		if i > 0 {
			d.splits += max(m.shards-minutes[i-1].shards, 0)
			d.merges += max(minutes[i-1].shards-m.shards, 0)
		}
	}
	return days
}

package capacity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/core/record"
)

const (
	// window is how many days a peak counts after its own: for at least 30 days, and for less than 31.
	window = 30
	// unit is how finely loads are remembered: in hundredths of what a shard takes, rounded up.
	unit = 100
	// maxLoad is the highest load that is remembered, in units: what a hundred of the largest streams take.
	maxLoad = 100 * 10_000 * unit
	// historyVersion is the first byte of an encoded history.
	historyVersion = 1
)

// peaks are the highest loads of each of the last days, in units, at the index of the day modulo their number.
type peaks [window + 1]uint32

// history is what a stream needed in the last days. It is bounded by the number of days and of open shards.
type history struct {
	day    int64 // the newest day, in days since the Unix epoch; 0: nothing has been observed yet
	total  peaks
	shards map[record.ShardID]*shardPeaks // the open shards at the last observation
}

// shardPeaks are the peaks of a shard, or as long as it is young, what follows from those of its parents.
type shardPeaks struct {
	peaks
	guessed int64 // the day on which the peaks were guessed: its own load is known from the next day on
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

func (h *history) today() int { return int(h.day % (window + 1)) }

// worst is the highest of the peaks.
func (p *peaks) worst() uint32 { return slices.Max(p[:]) }

// plus returns the peaks of two shards together, if all of one day's were at the same time.
func (p *peaks) plus(o *peaks) (sum peaks) {
	for i := range sum {
		sum[i] = min(p[i]+o[i], maxLoad)
	}
	return sum
}

// half returns the peaks of one of two shards that shared the load, rounded up.
func (p *peaks) half() (half peaks) {
	for i := range half {
		half[i] = p[i]/2 + p[i]%2
	}
	return half
}

// advance begins a new day and forgets those that are out of the window. A clock that goes back changes nothing.
func (h *history) advance(day int64) {
	if h.day == 0 || day-h.day > window {
		h.clear()
	}
	for h.day = max(h.day, day-window-1); h.day < day; {
		h.day++
		h.total[h.today()] = 0
		for _, s := range h.shards {
			s.peaks[h.today()] = 0
		}
	}
}

func (h *history) clear() {
	h.total = peaks{}
	for _, s := range h.shards {
		s.peaks = peaks{}
	}
}

// observe notes a load in units, of the whole stream and of each of its open shards. It tells whether anything is known now
// that was not before.
func (h *history) observe(day int64, total uint32, loads []Load, uses []uint32) (changed bool) {
	h.advance(day)
	if h.shards == nil {
		// Nobody knows what the stream needed before: it may have come from the other mode with all the shards that it
		// has, and keeps them for the window.
		h.total[h.today()] = uint32(len(loads)) * unit / headroom
		changed = true
	}
	if total > h.total[h.today()] {
		h.total[h.today()] = total
		changed = true
	}
	shards := make(map[record.ShardID]*shardPeaks, len(loads))
	for i := range loads {
		s := h.shards[loads[i].ID]
		if s == nil {
			s = h.guess(loads[i].Parents)
			changed = true
		}
		if uses[i] > s.peaks[h.today()] {
			s.peaks[h.today()] = uses[i]
			changed = true
		}
		shards[loads[i].ID] = s
	}
	h.shards = shards
	return changed
}

// guess returns what a new shard would have had to take in the past: half of what the shard took that was split, or all of
// what those took that were merged. Of a shard that came from elsewhere it is taken that it was needed.
func (h *history) guess(parents []record.ShardID) *shardPeaks {
	known := func(i int) *shardPeaks { return h.shards[parents[i]] }
	switch {
	case len(parents) == 1 && known(0) != nil:
		return &shardPeaks{known(0).half(), h.day}
	case len(parents) == 2 && known(0) != nil && known(1) != nil:
		// The sum is no less than the truth: what it takes can only be better.
		return &shardPeaks{known(0).plus(&known(1).peaks), max(known(0).guessed, known(1).guessed)}
	}
	s := &shardPeaks{guessed: h.day}
	s.peaks[h.today()] = unit / headroom
	return s
}

// encode returns the stored form: the version, and then unsigned varints: the newest day, the total of each day in the
// order of their index, the number of shards, and for each its id, the day of its guess and its peaks likewise.
func (h *history) encode() []byte {
	b := binary.AppendUvarint([]byte{historyVersion}, uint64(h.day))
	add := func(p *peaks) {
		for _, v := range p {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	add(&h.total)
	b = binary.AppendUvarint(b, uint64(len(h.shards)))
	ids := make([]record.ShardID, 0, len(h.shards))
	for id := range h.shards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id))
		b = binary.AppendUvarint(b, uint64(h.shards[id].guessed))
		add(&h.shards[id].peaks)
	}
	return b
}

var errHistory = errors.New("capacity history is damaged")

// decodeHistory reads what encode wrote.
func decodeHistory(b []byte) (history, error) {
	if len(b) == 0 || b[0] != historyVersion {
		return history{}, fmt.Errorf("capacity history of an unknown version (% .4x)", b)
	}
	b = b[1:]
	sound := true
	next := func(limit uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > limit {
			sound, b = false, nil
			return 0
		}
		b = b[n:]
		return v
	}
	read := func(p *peaks) {
		for i := range p {
			p[i] = uint32(next(maxLoad))
		}
	}
	const maxDay = 1 << 31
	h := history{day: int64(next(maxDay)), shards: map[record.ShardID]*shardPeaks{}}
	read(&h.total)
	for range next(uint64(len(b))) { // each shard takes more than a byte
		s := &shardPeaks{}
		id := record.ShardID(next(1<<32 - 1))
		s.guessed = int64(next(maxDay))
		read(&s.peaks)
		h.shards[id] = s
	}
	if !sound || len(b) > 0 || h.day == 0 {
		return history{}, errHistory
	}
	return h, nil
}

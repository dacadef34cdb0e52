package capacity

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
)

// shardRate is what a shard of the simulation takes in bytes per second, in place of a MiB. Only the size of the records
// follows from it.
const shardRate = 20

// The load of the simulation, in shards' worth: it goes up and down between low and high once a day, with some noise, and is
// ten times that for spikeFor from spikeAt on.
const (
	low, high = 1.0, 4.0
	spike     = 10.0
	spikeAt   = 5*24*time.Hour + 15*time.Hour // the busiest hour of the sixth day
	spikeFor  = 2 * time.Hour
)

func loadAt(at time.Duration, rng *rand.Rand) float64 {
	phase := 2 * math.Pi * (at.Hours() - 15) / 24
	load := (high+low)/2 + (high-low)/2*math.Cos(phase)
	load *= 0.97 + 0.06*rng.Float64()
	if at >= spikeAt && at < spikeAt+spikeFor {
		load *= spike
	}
	return load
}

// minute is one minute of a simulation: the load that was offered and the part of it that was refused, in shards' worth,
// and the open shards.
type minute struct {
	load, refused float64
	shards        int
}

// world is a registry with one on-demand stream in memory.
type world struct {
	fs      *vfs.Mem
	state   *state.Store
	streams *stream.Streams
	stream  *stream.Stream
	entries []stream.Entry // of put
}

// zeros is what records consist of.
var zeros [60 * shardRate]byte

func openWorld(t *testing.T, fsys *vfs.Mem) *world {
	t.Helper()
	w := &world{fs: fsys}
	var err error
	if w.state, err = state.Open(fsys, "/state", state.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.streams, err = stream.Open(fsys, "/streams", w.state, stream.Options{Log: disk.Options{Reserve: -1}}); err != nil {
		t.Fatal(err)
	}
	if w.stream, err = w.streams.Get("s"); fault.CodeOf(err) == "stream.not_found" {
		w.stream, err = w.streams.Create(context.Background(), "s",
			stream.Config{Mode: stream.OnDemand, WriteLimit: stream.WriteLimit{BytesPerSecond: shardRate}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(w.streams.Close(), w.state.Close()); err != nil {
		t.Error(err)
	}
}

// put offers a minute's load as a producer does that aggregates records: one record for each shard, and what is more than
// the shard takes in a minute in records of their own. It returns how much of the load was refused.
func (w *world) put(t *testing.T, load float64, rng *rand.Rand) (refused float64) {
	t.Helper()
	const most = 60 * shardRate
	entries := w.entries[:0]
	for _, l := range w.stream.Loads() {
		rest := int(math.Round(width(l.Hash) * load * most))
		for rest > 0 {
			n := min(rest, most)
			entries = append(entries, stream.Entry{
				Key: "k", ExplicitHashKey: randomKey(l.Hash, rng).String(), Data: zeros[1:n],
			})
			rest -= n
		}
	}
	w.entries = entries
	results, err := w.stream.Put(context.Background(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			refused += float64(len(entries[i].Data)+1) / most
		}
	}
	return refused
}

// randomKey is a hash key of a range of at most half the hash space.
func randomKey(r stream.HashRange, rng *rand.Rand) stream.HashKey {
	return stream.HashKey{Hi: r.Start.Hi + rng.Uint64N(r.End.Hi-r.Start.Hi+1), Lo: r.Start.Lo}
}

// simulate runs a stream with its follower, its log and its limits over the load of some days. Each midnight leat is killed
// and started anew, half a minute after its last step.
func simulate(t *testing.T, days int, seams seams) (minutes []minute) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		begin := time.Now()
		w := openWorld(t, vfs.NewMem())
		for range days {
			f := Follow(Config{Streams: w.streams, State: w.state, seams: seams})
			for range 24 * 60 {
				time.Sleep(30 * time.Second)
				load := loadAt(time.Since(begin), rng)
				refused := w.put(t, load, rng)
				minutes = append(minutes, minute{load, refused, w.stream.OpenShards()})
				if n := len(minutes); n == 1 || minutes[n-1].shards != minutes[n-2].shards {
					checkCover(t, w.stream)
				}
				if len(minutes)%(24*60) > 0 {
					time.Sleep(30 * time.Second)
				}
			}
			killed := w.fs.Kill()
			f.Close()
			w.close(t)
			w = openWorld(t, killed)
			time.Sleep(30 * time.Second)
		}
		w.close(t)
	})
	return minutes
}

// checkCover makes sure that the open shards divide the hash space.
func checkCover(t *testing.T, s *stream.Stream) {
	t.Helper()
	loads := s.Loads()
	for i := range loads {
		if i > 0 && !loads[i-1].Hash.Meets(loads[i].Hash) {
			t.Fatalf("%v does not begin where %v ends", loads[i].Hash, loads[i-1].Hash)
		}
	}
	if loads[0].Hash.Start != (stream.HashKey{}) || loads[len(loads)-1].Hash.End != stream.MaxHashKey {
		t.Fatalf("shards cover %v to %v", loads[0].Hash.Start, loads[len(loads)-1].Hash.End)
	}
}

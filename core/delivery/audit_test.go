package delivery

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/state"
)

// The audit finds each way in which durable state can be wrong.
func TestTheAuditFindsSeededInconsistencies(t *testing.T) {
	shard := func(change func(*shardRecord)) func(t *testing.T, w *world, tx *state.Tx) {
		return func(t *testing.T, w *world, tx *state.Tx) {
			key := shardKey(keyPrefix("p", "s", "i"), 0)
			p, ok := tx.Get(key)
			r := &shardRecord{}
			if err := r.decode(p); err != nil || !ok {
				t.Fatalf("%v", err)
			}
			change(r)
			tx.Put(key, r.encode())
		}
	}
	object := func(change func(*manifest)) func(t *testing.T, w *world, tx *state.Tx) {
		return func(t *testing.T, w *world, tx *state.Tx) {
			tx.Scan(keyPrefix("p", "s", "i")+"object/", func(key string, value []byte) bool {
				m := &manifest{}
				if err := json.Unmarshal(value, m); err != nil {
					t.Fatal(err)
				}
				change(m)
				p, err := json.Marshal(m)
				w.must(err)
				tx.Put(key, p)
				return false
			})
		}
	}
	covers := func(from, to uint64) func(t *testing.T, w *world, tx *state.Tx) {
		return func(t *testing.T, w *world, tx *state.Tx) {
			tx.Scan(keyPrefix("p", "s", "i")+"covers/", func(key string, _ []byte) bool {
				var c coverage
				c.addRange(0, from, to)
				p, err := c.encode()
				w.must(err)
				tx.Put(key, p)
				return false
			})
		}
	}
	file := func(change func(p []byte) []byte) func(t *testing.T, w *world, tx *state.Tx) {
		return func(t *testing.T, w *world, _ *state.Tx) {
			name := spoolDir + "/" + w.spooled()[0]
			f, err := w.fs.Open(name)
			w.must(err)
			defer f.Close()
			size, err := f.Size()
			w.must(err)
			p := make([]byte, size)
			_, err = f.ReadAt(p, 0)
			w.must(err)
			p = change(p)
			w.must(f.Truncate(0))
			_, err = f.WriteAt(p, 0)
			w.must(err)
		}
	}
	remove := func(kind string) func(t *testing.T, w *world, tx *state.Tx) {
		return func(t *testing.T, w *world, tx *state.Tx) {
			tx.Scan(keyPrefix("p", "s", "i")+kind, func(key string, _ []byte) bool {
				tx.Delete(key)
				return false
			})
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, w *world, tx *state.Tx)
		want  string
	}{
		{"nothing", func(*testing.T, *world, *state.Tx) {}, ""},
		{"one delivered too much", shard(func(r *shardRecord) { r.counts[kindDelivered]++ }), "in 9 is not delivered 6"},
		{"one delivered too little", shard(func(r *shardRecord) { r.counts[kindDelivered]-- }), "in 9 is not delivered 4"},
		{"checkpoint moved back", shard(func(r *shardRecord) { r.checkpoint-- }), "in 9 is not"},
		{"checkpoint beyond the end", shard(func(r *shardRecord) { r.checkpoint = 50 }), "ends before position 10"},
		{"start moved", shard(func(r *shardRecord) { r.start++ }), "in 8 is not"},
		{"promise of what is committed", covers(5, 8), "committed already"},
		{"promise of what another promises", covers(6, 10), "promised by another"},
		{"promise beyond the end", covers(6, 30), "ends before position 10"},
		{"spool file damaged", file(func(p []byte) []byte { p[len(p)/2] ^= 1; return p }), "SHA-256"},
		{"spool file cut", file(func(p []byte) []byte { return p[:len(p)-1] }), "its manifest says"},
		{"spool file too long", file(func(p []byte) []byte { return append(p, 0) }), "its manifest says"},
		{"size in a manifest", object(func(m *manifest) { m.Size++ }), "its manifest says"},
		{"manifest without positions", remove("covers/"), "covers nothing"},
		{"positions without a manifest", remove("object/"), "belong to nothing"},
		{"unknown key", func(_ *testing.T, _ *world, tx *state.Tx) {
			tx.Put(keyPrefix("p", "s", "i")+"whatever/1", nil)
		}, "unknown kind"},
		{"shard record cut", func(_ *testing.T, _ *world, tx *state.Tx) {
			tx.Put(shardKey(keyPrefix("p", "s", "i"), 0), []byte{1, 6})
		}, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.put(0, "done", "1", "2", "3", "4", "5")
			w.deliverAll() // positions 1 to 5
			w.sealed(2)    // 6 to 9, in two objects
			w.must(w.state.Update(t.Context(), func(tx *state.Tx) error {
				c.spoil(t, w, tx)
				return nil
			}))
			id := ID{Pipeline: "p", Sink: "s", Incarnation: "i"}
			var problems []string
			report, err := Audit(w.state, id, w.log.Shards(), w.fs, spoolDir)
			if err != nil {
				problems = append(problems, err.Error())
			} else {
				problems = report.Problems
			}
			switch all := strings.Join(problems, "\n"); {
			case c.want == "" && all != "":
				t.Errorf("a sound state has problems: %s", all)
			case !strings.Contains(all, c.want):
				t.Errorf("problems %q, want one with %q", problems, c.want)
			}
		})
	}
}

func TestTheAuditListsWhatIsUnsent(t *testing.T) {
	w := newWorld(t, 1)
	w.sealed(2)
	report := w.audit()
	if len(report.Unsent) != 2 || report.Stream != "stream" || len(report.Shards) != 1 {
		t.Fatalf("%+v", report)
	}
	for _, o := range report.Unsent {
		if o.Inputs != 2 || o.Records != 2 || o.Dead || o.Size == 0 || o.Destination.Kind != "memory" || !strings.Contains(o.Key, o.ID) {
			t.Errorf("%+v", o)
		}
	}
	if l := report.Shards[0]; l.Shard != record.ShardID(0) || l.Start != 1 || l.Checkpoint != 1 || l.Next != 5 || l.Pending != 4 {
		t.Errorf("%+v", l)
	}
}

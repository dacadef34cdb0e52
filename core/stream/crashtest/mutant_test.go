package crashtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/testenv"
)

// TestTheCheckFindsEachDefect runs the check on streams that hold something else than was reported.
func TestTheCheckFindsEachDefect(t *testing.T) {
	ctx := context.Background()
	// repeat puts the record of an entry again.
	repeat := func(s *stream.Stream, name string, call, i int) error {
		key, number := entryOf(call, i)
		_, err := s.Put(ctx, []stream.Entry{{Key: fmt.Sprintf("%s/%d", name, key), Data: fmt.Appendf(nil, "%s/%d/%d again", name, key, number)}})
		return err
	}
	for name, defect := range map[string]func(*stream.Stream, *ledger) error{
		"none": nil,
		"a call was acked and is lost": func(s *stream.Stream, l *ledger) error {
			l.add(t, "put 0/0 3 0:1000 0:1001 0:1002 0:1003 0:1004")
			return nil
		},
		"a record is stored twice": func(s *stream.Stream, l *ledger) error { return repeat(s, "0/0", 2, 4) },
		"a record comes too early": func(s *stream.Stream, l *ledger) error { return repeat(s, "0/0", 4, 0) },
		"a record is elsewhere": func(s *stream.Stream, l *ledger) error {
			p := l.at["0/2/0/0"]
			l.at["0/2/0/0"] = place{p.shard, p.seq + 1}
			return nil
		},
		"records are stored without their mark": func(s *stream.Stream, l *ledger) error {
			_, err := putCall(ctx, s, "0/1", 3, false)
			return err
		},
		"a mark is stored without its records": func(s *stream.Stream, l *ledger) error {
			_, err := s.PutMarked(ctx, nil, &shardlog.Mark{Producer: "0/1", State: []byte("4")})
			return err
		},
		"a reader saw what is lost": func(s *stream.Stream, l *ledger) error {
			l.add(t, "saw 1 5000")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			s, err := r.Create(ctx, "load", stream.Config{Shards: 3})
			if err != nil {
				t.Fatal(err)
			}
			l := newLedger()
			for call := range 3 {
				for p := range producers {
					line, err := putCall(ctx, s, fmt.Sprintf("0/%d", p), call, p%2 == 1)
					if err != nil {
						t.Fatal(err)
					}
					l.add(t, string(line))
				}
			}
			if defect != nil {
				if err := defect(s, l); err != nil {
					t.Fatal(err)
				}
			}
			why := testenv.Verdict(func(t testenv.TB) { l.check(t, r, 0) })
			if (why != "") != (defect != nil) {
				t.Fatalf("the check says %q", why)
			}
		})
	}
}

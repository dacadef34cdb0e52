package killtest

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/leatstream/leat/core/stream"
)

// Reshard splits and merges random shards of a stream for ever, after pauses up to pause, and reports each time "reshard".
func Reshard(ctx context.Context, s *stream.Stream, pause time.Duration) error {
	for {
		time.Sleep(rand.N(pause))
		shards, err := s.Shards()
		if err != nil {
			return err
		}
		shards = slices.DeleteFunc(shards, func(sh stream.Shard) bool { return !sh.Closed.IsZero() })
		slices.SortFunc(shards, func(a, b stream.Shard) int { return a.Hash.Start.Compare(b.Hash.Start) })
		i := rand.IntN(len(shards))
		if r := shards[i].Hash; len(shards) < 6 && rand.IntN(2) == 0 && r.End.Hi-r.Start.Hi > 2 {
			_, err = s.Split(ctx, shards[i].ID, stream.HashKey{Hi: r.Start.Hi/2 + r.End.Hi/2})
		} else if i > 0 {
			_, err = s.Merge(ctx, shards[i-1].ID, shards[i].ID)
		} else {
			continue
		}
		if err != nil {
			return err
		}
		Report("reshard")
	}
}

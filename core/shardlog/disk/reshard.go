package disk

import (
	"context"
	"slices"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// Reshard implements shardlog.Log. Appends that joined before it are stored before it.
func (l *Log) Reshard(ctx context.Context, closing []record.ShardID, opening []shardlog.Shard) error {
	if len(closing) == 0 && len(opening) == 0 {
		return nil
	}
	var ops []shardOp
	table := 0
	for _, id := range closing {
		ops = append(ops, shardOp{id: id})
	}
	for _, sh := range opening {
		if len(sh.Meta) > shardlog.MaxShardMeta {
			return fault.New(fault.Permanent, "log.bad_shard", "open %v: description of %d bytes, at most %d", sh.ID, len(sh.Meta), shardlog.MaxShardMeta)
		}
		ops = append(ops, shardOp{open: true, id: sh.ID, meta: slices.Clone(sh.Meta)})
	}
	for i := range ops {
		table += opHeadSize + len(ops[i].meta)
	}
	l.checkUsage()
	if f := l.full.Load(); f != nil {
		return f
	}
	l.mu.Lock()
	g := l.newGroup(groupReshard, headerSize+table+blockAlign)
	l.mu.Unlock()
	g.table, g.ops = table, ops
	return l.submit(ctx, g)
}

// checkReshard checks the operations against the shards as they are at this point of the line.
func (l *Log) checkReshard(g *group) error {
	l.idx.RLock()
	defer l.idx.RUnlock()
	seen := map[record.ShardID]bool{}
	for _, op := range g.ops {
		sh := l.shards[op.id]
		switch {
		case seen[op.id]:
			return fault.New(fault.Permanent, "log.bad_reshard", "reshard names %v twice", op.id)
		case op.open && sh != nil:
			return fault.New(fault.Permanent, "log.shard_exists", "open %v: there is such a shard, or was", op.id)
		case !op.open && (sh == nil || sh.gone):
			return fault.New(fault.Permanent, "log.no_shard", "close %v: %w", op.id, shardlog.ErrNoShard)
		case !op.open && (sh.closing || sh.closed != 0):
			return fault.New(fault.Permanent, "log.shard_closed", "close %v: %w", op.id, shardlog.ErrShardClosed)
		}
		seen[op.id] = true
	}
	return nil
}

// startReshard lets the operations take effect for the groups behind this one. Readers see them when they are durable.
func (l *Log) startReshard(g *group, now time.Time) {
	l.idx.Lock()
	defer l.idx.Unlock()
	for i := range g.ops {
		op := &g.ops[i]
		if op.open {
			op.at = now.UnixNano()
			l.addShard(&shard{shardInfo: shardInfo{id: op.id, next: 1, opened: op.at, meta: op.meta}, trim: 1, hidden: true, assigned: 1})
			continue
		}
		sh := l.shards[op.id]
		sh.closing = true
		op.at = max(now.UnixNano(), sh.assignedTip)
	}
}

// addShard puts a shard into the log's list. The caller holds idx.
func (l *Log) addShard(sh *shard) {
	l.shards[sh.id] = sh
	l.metaSize += len(sh.meta)
}

// applyOp shows a durable operation to readers. The caller holds idx.
func (l *Log) applyOp(op shardOp, segment uint64, woken []*waiter) []*waiter {
	sh := l.shards[op.id]
	if op.open {
		sh.hidden = false
		return woken
	}
	sh.closed, sh.closedIn = op.at, segment
	woken = append(woken, sh.waiters...)
	sh.waiters = nil
	return woken
}

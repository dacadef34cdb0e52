package delivery

import (
	"container/list"
	"context"
	"math"
	"slices"
	"time"
)

// collector appends the workers' shares to the open buffers, in log order, and decides which to seal.
type collector struct {
	*Delivery
	ctx     context.Context
	open    map[string]*buffer
	byAge   list.List // of *buffer, oldest first
	free    coverage  // dropped inputs that no commit covers yet
	freed   time.Time // when free got its first
	checked time.Time // when the covered set was last measured
	holding bool      // whether there was anything then
	warned  time.Time // when a buffer was last sealed early, as far as the log was told
	timer   *time.Timer
}

// freeDelay is how long the end of dropped inputs may wait to be committed, so that a pipeline that drops most of its
// input does not commit every batch.
const freeDelay = time.Second

// checkEvery is how often the covered set is measured, and what a delivery holds is told.
const checkEvery = time.Second

// collect is the collector's goroutine.
func (d *Delivery) collect(ctx context.Context) {
	c := &collector{Delivery: d, ctx: ctx, open: map[string]*buffer{}, timer: time.NewTimer(time.Hour)}
	defer c.timer.Stop()
	defer c.abandon()
	var turn *job // the next in log order
	for {
		order, made := d.order, (chan bool)(nil)
		if turn != nil {
			order, made = nil, turn.made
		}
		c.timer.Reset(c.wake())
		select {
		case j, ok := <-order:
			if !ok {
				return
			}
			turn = j
			continue
		case more := <-made:
			err := turn.err
			if err == nil && ctx.Err() == nil && !d.broken() {
				err = c.take(turn, more)
			}
			turn.taken <- struct{}{}
			if !more {
				turn.release()
				turn = nil
			}
			if err != nil && ctx.Err() == nil {
				d.fail(err)
			}
		case <-c.timer.C: // also while a transform takes its time
		}
		if ctx.Err() == nil && !d.broken() {
			if err := c.ripe(); err != nil && ctx.Err() == nil {
				d.fail(err)
			}
		}
	}
}

// abandon gives the memory of buffers that are not sealed back; their records are still in the log.
func (c *collector) abandon() {
	for _, b := range c.open {
		c.held.Add(-int64(cap(b.pending)))
		for _, k := range b.blocks {
			<-k.done
			c.held.Add(-int64(cap(k.out)))
		}
		if b.created {
			if err := c.spool.remove(b.id); err != nil {
				c.log.Warn("could not remove the spool file of an open buffer; the next start will", "error", err)
			}
		}
	}
}

// take appends a part of a batch.
func (c *collector) take(j *job, more bool) error {
	if !j.expired.empty() {
		c.end(outcome{kind: kindExpired, covers: ptr(j.expired)})
	}
	if !j.free.empty() {
		if c.free.empty() {
			c.freed = time.Now()
		}
		c.free.merge(&j.free)
	}
	tied := make([]*buffer, len(j.shares))
	for _, pair := range j.ties {
		for _, s := range pair {
			if tied[s.index] != nil {
				continue
			}
			b, err := c.buffer(j, s, 0)
			if err != nil {
				return err
			}
			for at := 0; at < len(s.ends); {
				end, k := s.next(at, math.MaxInt64, true)
				c.append(b, j, s, at, end, k)
				at = end
			}
			tied[s.index] = b
		}
		tie(tied[pair[0].index], tied[pair[1].index])
	}
	for _, s := range j.shares {
		if b := tied[s.index]; b != nil {
			if b.sum.Raw >= c.cfg.BufferSize {
				if err := c.sealAll(b.tied); err != nil {
					return err
				}
			}
			continue
		}
		if err := c.fill(j, s); err != nil {
			return err
		}
	}
	c.seams.Step("collected")
	if c.held.Load() > c.cfg.Memory {
		if err := c.spillLargest(); err != nil {
			return err
		}
		if err := c.overspooled(); err != nil {
			return err
		}
	}
	if err := c.crowded(); err != nil {
		return err
	}
	if len(j.drains) > 0 && !more {
		return c.drainAll(j.drains)
	}
	return nil
}

// fill appends a share whose inputs are in no other, sealing buffers as they become full. All outputs of an input go to
// the same buffer: it is promised with one of them.
func (c *collector) fill(j *job, s *share) error {
	for at := 0; at < len(s.ends); {
		b, err := c.buffer(j, s, at)
		if err != nil {
			return err
		}
		end, k := s.next(at, c.cfg.BufferSize-b.sum.Raw, b.records == 0)
		c.append(b, j, s, at, end, k)
		if end == at || b.sum.Raw >= c.cfg.BufferSize {
			if err := c.sealAll(b.tied); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}

// buffer returns the open buffer of a share's group. If there is none, output at of the share begins one.
func (c *collector) buffer(j *job, s *share, at int) (*buffer, error) {
	if b := c.open[s.key]; b != nil {
		return b, nil
	}
	first := &j.batch.Records[inputOf(s.roots[at])]
	prefix, err := c.cfg.Layout.Prefix, error(nil)
	if s.dead {
		prefix = c.cfg.DeadLetters.Prefix
	}
	p, err := prefix(s.group, first.ArrivedAt())
	if err != nil {
		return nil, err
	}
	b := c.newBuffer(s.key, p, s.dead, first)
	c.open[s.key] = b
	b.age = c.byAge.PushBack(b)
	return b, nil
}

// append adds the outputs from to to of a share; k is the block made of them, if there is one.
func (c *collector) append(b *buffer, j *job, s *share, from, to int, k *block) {
	if from == to {
		return
	}
	base := int32(0)
	if from > 0 {
		base = s.ends[from-1]
	}
	if raw := s.data[base:s.ends[to-1]]; k != nil {
		c.add(b, raw, k)
	} else {
		c.write(b, raw)
	}
	b.records += to - from
	for _, input := range s.roots[from:to] {
		if input >= 0 {
			r := &j.batch.Records[input]
			b.covers.add(r.Shard, r.Seq)
		}
	}
}

// wake returns how long the collector may sleep.
func (c *collector) wake() time.Duration {
	wait := time.Hour
	if c.holding {
		wait = time.Until(c.checked.Add(checkEvery))
	}
	if e := c.byAge.Front(); e != nil {
		wait = min(wait, time.Until(e.Value.(*buffer).opened.Add(c.interval())))
	}
	if !c.free.empty() {
		wait = min(wait, time.Until(c.freed.Add(freeDelay)))
	}
	return max(wait, 0)
}

func (c *collector) interval() time.Duration {
	if c.cfg.BufferInterval == 0 {
		return zeroInterval
	}
	return c.cfg.BufferInterval
}

// ripe seals what has reached its age, and the oldest buffers if too many positions stand above the checkpoints.
func (c *collector) ripe() error {
	now := time.Now()
	for e := c.byAge.Front(); e != nil; e = c.byAge.Front() {
		b := e.Value.(*buffer)
		if now.Before(b.opened.Add(c.interval())) {
			break
		}
		if err := c.sealAll(b.tied); err != nil {
			return err
		}
	}
	if !c.free.empty() && now.Sub(c.freed) >= freeDelay {
		c.commitFree()
	}
	if now.Sub(c.checked) < checkEvery {
		return nil
	}
	c.checked = now
	covered := c.tell()
	for e := c.byAge.Front(); e != nil && covered > c.cfg.Covered; e = c.byAge.Front() {
		b := e.Value.(*buffer)
		for _, other := range b.tied.buffers {
			covered -= other.covers.size()
		}
		if err := c.sealEarly(b, "the set of covered positions is full"); err != nil {
			return err
		}
	}
	return nil
}

// tell tells the observer what is held, and returns what the covered positions take, in bytes.
func (c *collector) tell() (covered int64) {
	covered = c.backlog.covered.Load() + c.backlog.promised.Load()
	for e := c.byAge.Front(); e != nil; e = e.Next() {
		covered += e.Value.(*buffer).covers.size()
	}
	objects, bytes := c.backlog.objects.Load(), c.backlog.bytes.Load()
	c.holding = c.byAge.Len() > 0 || objects > 0
	c.cfg.Observer.Holding(c.byAge.Len(), c.held.Load(), covered, objects, bytes)
	return covered
}

// sealAll takes the buffers of a component off the table and hands them to a sealer, when there is room for their objects.
func (c *collector) sealAll(tied *component) error {
	if tied.sealed {
		return nil
	}
	tied.sealed = true
	for _, b := range tied.buffers {
		c.cut(b)
		delete(c.open, b.mapKey)
		c.byAge.Remove(b.age)
	}
	if err := c.roomToSeal(); err != nil {
		return err
	}
	for _, b := range tied.buffers {
		b.epoch = c.backlog.add(0)
		c.backlog.writing.Add(1)
	}
	c.seals <- tied
	return nil
}

func (c *collector) commitFree() {
	free := c.free
	c.free = coverage{}
	c.end(outcome{kind: kindDropped, covers: &free})
}

func (c *collector) end(o outcome) {
	o.epoch = c.backlog.begin()
	c.ends <- o
}

// spillLargest moves the largest buffers to the spool until a quarter of the budget is free.
func (c *collector) spillLargest() error {
	sized := make([]*buffer, 0, len(c.open))
	size := make(map[*buffer]int64, len(c.open))
	for _, b := range c.open {
		sized = append(sized, b)
		size[b] = b.inMemory()
	}
	slices.SortFunc(sized, func(a, b *buffer) int { return int(size[b] - size[a]) })
	target, n := c.held.Load()-c.cfg.Memory*3/4, 0
	for ; n < len(sized) && target > 0; n++ {
		target -= size[sized[n]]
		c.cut(sized[n])
	}
	for _, b := range sized[:n] {
		if err := c.spill(b, false); err != nil {
			return err
		}
		c.seams.Step("spilled")
	}
	return nil
}

// drainAll seals everything and tells those who asked when all that was read so far is committed.
func (c *collector) drainAll(asked []*drain) error {
	for e := c.byAge.Front(); e != nil; e = c.byAge.Front() {
		if err := c.sealAll(e.Value.(*buffer).tied); err != nil {
			return err
		}
	}
	if !c.free.empty() {
		c.commitFree()
	}
	epoch := c.backlog.turn()
	c.waits.Go(func() {
		if c.backlog.empty(c.ctx, epoch) != nil {
			return
		}
		for _, req := range asked {
			close(req.done)
		}
	})
	return nil
}

func ptr[T any](v T) *T { return &v }

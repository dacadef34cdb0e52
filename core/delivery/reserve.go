package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// The spool leaves free the smaller of maxReserve bytes and a reserveShare-th of its disk. That is less than the logs of
// streams leave, so that deliveries go on when these have filled a disk; and twice what core/state leaves, which has to
// store that an object is delivered before its spool file can go. Without it deliveries could lock themselves out.
const (
	maxReserve   = 64 << 20
	reserveShare = 50
)

// lacks is nil if the spool may grow by so many bytes.
func (s *spool) lacks(bytes int64) error {
	u, err := s.fs.Usage(s.dir)
	if err != nil {
		return nil // the write itself will tell
	}
	reserve := min(maxReserve, u.Total/reserveShare)
	if u.Free >= reserve+uint64(bytes) {
		return nil
	}
	return fmt.Errorf("%d bytes are free on its disk, %d are kept in reserve: %w", u.Free, reserve, syscall.ENOSPC)
}

// roomToSeal waits until another object may be sealed: until not too many are on their way, and there is room for it on
// the disk and for its positions in memory, or none is on its way whose end would make some.
func (c *collector) roomToSeal() error {
	return c.backlog.room(c.ctx, c.failed, func() bool {
		return c.backlog.promised.Load()+c.backlog.covered.Load() <= c.cfg.Covered &&
			c.spool.lacks((1+c.backlog.writing.Load())*c.cfg.BufferSize) == nil
	}, func() { c.tell() })
}

// crowded seals buffers early when they are too many for the memory budget: the oldest first.
func (c *collector) crowded() error {
	most := max(int(c.cfg.Memory/bufferCost), minOpen)
	for c.byAge.Len() > most {
		b := c.byAge.Front().Value.(*buffer)
		if err := c.sealEarly(b, "there are too many open buffers"); err != nil {
			return err
		}
	}
	return nil
}

// overspooled seals buffers early when the open ones take more of the disk than they leave free, or more than their
// bound: the largest first. Without it, buffers that can never be completed would fill the disk, and again after a restart.
func (c *collector) overspooled() error {
	var sum int64
	sized := make([]*buffer, 0, len(c.open))
	for _, b := range c.open {
		if b.spooled > 0 {
			sum += b.spooled
			sized = append(sized, b)
		}
	}
	u, err := c.spool.fs.Usage(c.spool.dir)
	if err != nil {
		return c.spool.fault("ask for free room", err)
	}
	most := int64(min(maxOpenSpool, u.Free))
	if sum <= most {
		return nil
	}
	slices.SortFunc(sized, func(a, b *buffer) int { return cmp.Compare(b.spooled, a.spooled) })
	for _, b := range sized {
		if sum <= most/4*3 {
			break
		}
		if b.tied.sealed {
			continue
		}
		for _, other := range b.tied.buffers {
			sum -= other.spooled
		}
		if err := c.sealEarly(b, "open buffers take too much of the disk"); err != nil {
			return err
		}
	}
	return nil
}

// sealEarly seals a buffer before its size or age, and says so once a minute.
func (c *collector) sealEarly(b *buffer, why string) error {
	if now := time.Now(); now.Sub(c.warned) >= time.Minute {
		c.warned = now
		c.log.Warn("buffers are sealed early: "+why, "key", b.key, "age", now.Sub(b.opened).Round(time.Millisecond), "open", c.byAge.Len())
	}
	return c.sealAll(b.tied)
}

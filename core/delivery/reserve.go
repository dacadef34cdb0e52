package delivery

import (
	"fmt"
	"syscall"
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
// the disk or none whose end would make some.
func (c *collector) roomToSeal() error {
	return c.backlog.room(c.ctx, c.failed, func() bool { return c.spool.lacks(c.cfg.BufferSize) == nil })
}

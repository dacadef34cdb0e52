package delivery

import "time"

// Observer is told what a delivery does, for metrics. Its methods are called concurrently and must not block.
type Observer interface {
	// Delivered is called for each object at its destination. freshness is the age of its oldest record.
	Delivered(records int, raw, stored int64, freshness time.Duration, dead bool)
	// Put is called after each try, with its error.
	Put(took time.Duration, err error)
	// DeadLetter is called for each input that is written to the dead letters.
	DeadLetter(code string)
	// Expired is called with the number of records that expired before they were read.
	Expired(records int64)
	// Holding is called about once a second: open buffers, their bytes in memory, the bytes of the covered set, sealed
	// objects that are not committed, and their bytes.
	Holding(buffers int, memory, covered, unsent, spooled int64)
}

type unobserved struct{}

func (unobserved) Delivered(int, int64, int64, time.Duration, bool) {}
func (unobserved) Put(time.Duration, error)                         {}
func (unobserved) DeadLetter(string)                                {}
func (unobserved) Expired(int64)                                    {}
func (unobserved) Holding(int, int64, int64, int64, int64)          {}

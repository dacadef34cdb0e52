package state

import "sync"

// snapshots is what is known of the snapshots of a store.
type snapshots struct {
	running sync.WaitGroup

	mu      sync.Mutex
	active  bool
	covered uint64 // the position that the newest one covers
	length  int64  // of the newest one, in bytes
	err     error  // why the last attempt failed
}

// state returns what the newest snapshot covers, and after how many bytes of journal the next one is due.
func (s *snapshots) state(least int64) (covered uint64, due int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.covered, max(least, s.length)
}

// begin reports whether a snapshot may start: one at a time.
func (s *snapshots) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active {
		return false
	}
	s.active = true
	s.running.Add(1)
	return true
}

// done records the outcome of the active snapshot.
func (s *snapshots) done(covered uint64, length int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.covered, s.length = covered, length
	}
}

// end lets the next snapshot begin.
func (s *snapshots) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = false
	s.running.Done()
}

func (s *snapshots) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Package seams lets the tests of package delivery stop a delivery at an exact step, and seed the bugs that the tests must
// notice. Only packages below delivery can set it.
package seams

// Seams of one delivery; the zero value changes nothing.
type Seams struct {
	// At is called at each step: collected, spilled, spooled, sealed, putting, put, committing, committed.
	At func(step string)

	CommitBeforePut   bool // a record counts as delivered before its object is there
	PutBeforeManifest bool // an object leaves before it is promised
	NoSpoolSync       bool // a promised object may be lost with the power
	IgnoreCovered     bool // what was delivered before a crash is read again
}

// Step calls At.
func (s *Seams) Step(name string) {
	if s.At != nil {
		s.At(name)
	}
}

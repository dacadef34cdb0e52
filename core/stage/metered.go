package stage

// Metered is implemented by transforms that count their work in units that do not depend on the machine.
type Metered interface {
	// Fuel is what the transform has spent since it was made, and how many bytes of input it got. What it spent is 0 if it does not
	// count after all.
	Fuel() (spent, bytes uint64)
}

// Wrapper is implemented by transforms that pass everything on to another.
type Wrapper interface{ Unwrap() Transform }

// Fuel is the fuel of a stage; ok is false if there is no such stage, or it does not count.
func (c *Chain) Fuel(stage string) (spent, bytes uint64, ok bool) {
	for i := range c.links {
		if c.links[i].Name != stage {
			continue
		}
		t := c.links[i].Transform
		for {
			w, wraps := t.(Wrapper)
			if !wraps {
				break
			}
			t = w.Unwrap()
		}
		if m, counts := t.(Metered); counts {
			spent, bytes = m.Fuel()
			return spent, bytes, spent > 0
		}
	}
	return 0, 0, false
}

package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// floatBounds returns the bounds of the range tag of a number with a fraction, both of which it has.
func (f *field) floatBounds() (low, high float64) {
	from, to, _ := strings.Cut(f.rng, "..")
	low, err1 := strconv.ParseFloat(from, 64)
	high, err2 := strconv.ParseFloat(to, 64)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprintf("spec: range tag of %s: %q", f.key, f.rng))
	}
	return low, high
}

// checkFloat checks a number with a fraction against the range tag.
func (f *field) checkFloat(v float64) error {
	if f.rng == "" {
		return nil
	}
	if low, high := f.floatBounds(); !(v >= low && v <= high) {
		return fmt.Errorf("%v is out of range: %v to %v", v, low, high)
	}
	return nil
}

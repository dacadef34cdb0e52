package setting

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Share is a part of a whole, from 0 to 1, written as a percentage or as a number: 50% or 0.5.
type Share float64

// ParseShare reads a share.
func ParseShare(s string) (Share, error) {
	bad := fmt.Errorf("%s is not a share: want a percentage from 0%% to 100%% such as 50%%, or a number from 0 to 1 such as 0.5", quote(s))
	digits, percent := strings.CutSuffix(s, "%")
	allowed := "0123456789.eE-"
	if percent { // shifted as text, for a division would round
		digits, allowed = digits+"e-2", "0123456789."
	}
	if strings.Trim(strings.TrimSuffix(digits, "e-2"), allowed) != "" {
		return 0, bad
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || v > 1 || math.Signbit(v) {
		return 0, bad
	}
	return Share(v), nil
}

// String writes the share as a percentage, which ParseShare reads as the same.
func (s Share) String() string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(float64(s), 'f', -1, 64), ".")
	fraction += "00"
	percent := cmp.Or(strings.TrimLeft(whole+fraction[:2], "0"), "0")
	if rest := strings.TrimRight(fraction[2:], "0"); rest != "" {
		percent += "." + rest
	}
	return percent + "%"
}

// About writes the share for people, in three digits: 33.3%.
func (s Share) About() string {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(s), 'g', 3, 64), 64) // a number that was just written
	return Share(v).String()
}

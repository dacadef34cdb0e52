package setting

import (
	"math/rand/v2"
	"testing"
)

func TestSharesAreReadAsPercentagesAndAsNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"50%": "50%", "0.5": "50%", "7%": "7%", "0.07": "7%", ".07": "7%", "0.5%": "0.5%", "0.005": "0.5%", "0%": "0%", "0": "0%", "0.0": "0%",
		"100%": "100%", "1": "100%", "1.0": "100%", "12.5%": "12.5%", "0.125": "12.5%", "1e-7": "0.00001%", "0.00001%": "0.00001%", "33.3%": "33.3%",
	} {
		s, err := ParseShare(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "%", ".", "50", "1.01", "101%", "100.1%", "-1%", "-0", "-0.5", "+0.5", "0x1p-2", "NaN", "inf", "1_0%", "5e-1%", "50 %", " 0.5", "half", "1e", "50%%"} {
		if s, err := ParseShare(text); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
	for n, want := range map[int]string{0: "0%", 1: "0.0143%", 2333: "33.3%", 4667: "66.7%", 6999: "100%", 7000: "100%"} {
		if got := (Share(n) / 7000).About(); got != want {
			t.Errorf("%d of 7000: %s, want %s", n, got, want)
		}
	}
}

func TestSharesAndSizesAreWrittenAsTheyAreRead(t *testing.T) {
	for seed := range uint64(10_000) {
		random := rand.New(rand.NewPCG(seed, 0))
		share := Share(random.Float64())
		if got, err := ParseShare(share.String()); got != share || err != nil {
			t.Fatalf("seed %d: %v is read as %v, %v", seed, share, got, err)
		}
		size := Bytes(random.Int64() >> random.IntN(63))
		if got, err := ParseBytes(size.String()); got != size || err != nil {
			t.Fatalf("seed %d: %v is read as %v, %v", seed, size, got, err)
		}
	}
}

func TestSizesAreShownInThreeDigits(t *testing.T) {
	for size, want := range map[Bytes]string{
		0: "0B", 1: "1B", 1000: "1000B", 1023: "1023B", 1024: "1KiB", 1025: "1.00KiB", 1500: "1.46KiB", 10_000: "9.77KiB", 20_000: "19.5KiB", 200_000: "195KiB",
		5 << 20: "5MiB", 1<<20 - 1: "1024KiB", 1536 << 20: "1.50GiB", 3 << 40: "3TiB", 5000 << 40: "5000TiB", 1<<62 - 1: "4194304TiB",
	} {
		if got := size.About(); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
}

package bench

import (
	"context"
	"os/exec"
	"testing"

	"github.com/leatstream/leat/internal/testenv"
)

func TestFiguresComeFromRuns(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "there is no go command to build the transforms with")
	}
	rows, err := Pipeline(context.Background(), Options{Dir: t.TempDir(), Size: 8 << 20, Rounds: 1},
		"../examples/birdstrikes/csv2json", "../examples/birdstrikes/birdstrikes.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		t.Logf("%-28s %7.0f MB/s, bare %7.0f, ratio %.2f", r.Name, r.Leat, r.Bare, r.Ratio)
		if r.Leat <= 0 {
			t.Errorf("%s: no figure", r.Name)
		}
	}
}

package deliverytest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/delivery/deliverytest"
	"github.com/leatstream/leat/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryRecordIsInOneObjectThroughCrashes(t *testing.T) {
	for seed := range uint64(testenv.Count(12, 100)) {
		if err := deliverytest.Schedule(seed, &deliverytest.Memory{}, deliverytest.None); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSchedulesNoticeSeededBugs(t *testing.T) {
	for _, mutant := range []deliverytest.Mutant{
		deliverytest.CommitBeforePut, deliverytest.PutBeforeManifest, deliverytest.NoSpoolSync, deliverytest.IgnoreCovered,
	} {
		t.Run(string(mutant), func(t *testing.T) {
			const most = 100
			for seed := range uint64(most) {
				if err := deliverytest.Schedule(seed, &deliverytest.Memory{}, mutant); err != nil {
					t.Logf("caught: %v", err)
					return
				}
			}
			t.Fatalf("not caught in %d schedules", most)
		})
	}
}

package stream

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/state"
)

func TestWhatIsAlsoWrittenComesAndGoesWithTheStream(t *testing.T) {
	w, _ := newWorld(t)
	ctx := context.Background()
	key := func(id uuid.UUID) string { return "test/" + id.String() }
	stored := func() (keys []string) {
		w.store.View(func(tx *state.Tx) {
			tx.Scan("test/", func(key string, _ []byte) bool {
				keys = append(keys, key)
				return true
			})
		})
		return keys
	}
	refuse := errors.New("refused")
	write := func(err error) Also {
		return func(tx *state.Tx, id uuid.UUID) error {
			tx.Put(key(id), []byte("x"))
			return err
		}
	}
	if _, err := w.Create(ctx, "s", Config{}, write(refuse)); !errors.Is(err, refuse) {
		t.Errorf("a creation whose companion failed: %v", err)
	}
	if _, err := w.Get("s"); err == nil || len(stored()) != 0 {
		t.Errorf("after it: %v, %v", err, stored())
	}
	s, err := w.Create(ctx, "s", Config{}, write(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(); len(got) != 1 || got[0] != key(s.Incarnation()) {
		t.Errorf("stored with %v: %v", s.Incarnation(), got)
	}
	if names := w.Incarnations(); len(names) != 1 || names[s.Incarnation()] != "s" {
		t.Errorf("incarnations %v", names)
	}
	if err := w.Delete(ctx, "s", func(*state.Tx, uuid.UUID) error { return refuse }); !errors.Is(err, refuse) {
		t.Errorf("a deletion whose companion failed: %v", err)
	}
	put(t, s, "still there")
	err = w.Delete(ctx, "s", func(tx *state.Tx, id uuid.UUID) error {
		tx.Delete(key(id))
		return nil
	})
	if err != nil || len(stored()) != 0 || len(w.Incarnations()) != 0 {
		t.Errorf("after a deletion: %v, %v, %v", err, stored(), w.Incarnations())
	}
}

package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
)

const (
	// streamPrefix precedes the names of streams in the state store; the values are JSON.
	streamPrefix = "streams/"
	// floorKey is where the largest creation second stands, in decimal, that a shard of a deleted stream had. New
	// streams start after it. One number does for all names.
	floorKey = "stream-floor"
)

// storedStream is a stream in the state store.
type storedStream struct {
	Name        string
	Incarnation uuid.UUID
	Created     time.Time
	Config      Config
}

// storedJSON is the stored form. Durations are in seconds.
type storedJSON struct {
	Incarnation   uuid.UUID  `json:"incarnation"`
	Created       time.Time  `json:"created"`
	Shards        int        `json:"shards"`
	Mode          Mode       `json:"mode"`
	RetentionAge  int64      `json:"retention_seconds"`
	RetentionHold int64      `json:"retention_hold_bytes"`
	WriteLimit    WriteLimit `json:"write_limit"`
	MaxRecordSize int        `json:"max_record_size"`
}

func (st *storedStream) encode() ([]byte, error) {
	return json.Marshal(storedJSON{
		Incarnation: st.Incarnation, Created: st.Created, Shards: st.Config.Shards, Mode: st.Config.Mode,
		RetentionAge: int64(st.Config.Retention.Age / time.Second), RetentionHold: st.Config.Retention.Hold,
		WriteLimit: st.Config.WriteLimit, MaxRecordSize: st.Config.MaxRecordSize,
	})
}

func decodeStored(name string, value []byte) (storedStream, error) {
	var j storedJSON
	if err := json.Unmarshal(value, &j); err != nil {
		return storedStream{}, err
	}
	if j.Incarnation == uuid.Nil {
		return storedStream{}, fmt.Errorf("no incarnation in %.200q", value)
	}
	return storedStream{
		Name: name, Incarnation: j.Incarnation, Created: j.Created,
		Config: Config{
			Shards: j.Shards, Mode: j.Mode, WriteLimit: j.WriteLimit, MaxRecordSize: j.MaxRecordSize,
			Retention: shardlog.Retention{Age: time.Duration(j.RetentionAge) * time.Second, Hold: j.RetentionHold},
		},
	}, nil
}

// storedStreams returns all streams in the state store.
func (s *Streams) storedStreams() (streams []storedStream, err error) {
	s.state.View(func(tx *state.Tx) {
		tx.Scan(streamPrefix, func(key string, value []byte) bool {
			name := strings.TrimPrefix(key, streamPrefix)
			var st storedStream
			if st, err = decodeStored(name, value); err != nil {
				err = fault.New(fault.Permanent, "stream.corrupt", "entry of stream %s in the state store: %w", name, err)
				return false
			}
			streams = append(streams, st)
			return true
		})
	})
	return streams, err
}

// Also writes what others keep of a stream in the durable step that creates or deletes it. If it fails, so does the step.
type Also func(tx *state.Tx, incarnation uuid.UUID) error

// saveStream makes the entry of a stream durable.
func (s *Streams) saveStream(ctx context.Context, st storedStream, also ...Also) error {
	value, err := st.encode()
	if err == nil {
		err = s.state.Update(ctx, func(tx *state.Tx) error {
			tx.Put(streamPrefix+st.Name, value)
			return writeAlso(tx, st.Incarnation, also)
		})
	}
	return explainState(err, "save stream", st.Name)
}

// saveConfig makes a new configuration of a stream durable.
func (s *Streams) saveConfig(ctx context.Context, stream *Stream, c Config) error {
	return s.saveStream(ctx, storedStream{Name: stream.name, Incarnation: stream.incarnation, Created: stream.created, Config: c})
}

// removeStream removes the entry of a stream and raises the floor to second, in one durable step.
func (s *Streams) removeStream(ctx context.Context, name string, incarnation uuid.UUID, second int64, also ...Also) error {
	floor, err := s.floor()
	if err != nil {
		return err
	}
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		tx.Delete(streamPrefix + name)
		tx.Put(floorKey, strconv.AppendInt(nil, max(floor, second), 10))
		return writeAlso(tx, incarnation, also)
	})
	return explainState(err, "delete stream", name)
}

func writeAlso(tx *state.Tx, incarnation uuid.UUID, also []Also) error {
	for _, write := range also {
		if err := write(tx, incarnation); err != nil {
			return err
		}
	}
	return nil
}

// floor is the largest creation second that a shard of a deleted stream had.
func (s *Streams) floor() (second int64, err error) {
	s.state.View(func(tx *state.Tx) {
		value, ok := tx.Get(floorKey)
		if !ok {
			return
		}
		if second, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			err = fault.New(fault.Permanent, "stream.corrupt", "entry %s in the state store: %w", floorKey, err)
		}
	})
	return second, err
}

// explainState says what the state store's error kept from happening; class and code stay.
func explainState(err error, doing, name string) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.ClassOf(err), fault.CodeOf(err), "%s %s: %w", doing, name, err)
}

package deliverytest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

const deadPlace = "-dead"

// places of a schedule's objects; the dead letters' is the last.
var places = []string{"-a", "-b", deadPlace}

// found is what the store holds of one input.
type found struct {
	outputs []item
	dead    int
}

// check reads all objects back and compares them with what was acked.
func (s *schedule) check() error {
	all := map[int]*found{}
	at := func(id int) *found {
		if all[id] == nil {
			all[id] = &found{}
		}
		return all[id]
	}
	for _, place := range places {
		objects, err := s.store.Objects(s.name + place)
		if err != nil {
			return fmt.Errorf("read objects of %s: %w", place, err)
		}
		for key, body := range objects {
			if err := eachLine(body, func(line []byte) error {
				if place != deadPlace {
					var it item
					err := json.Unmarshal(line, &it)
					at(it.ID).outputs = append(at(it.ID).outputs, it)
					return err
				}
				var letter struct {
					RawData   []byte `json:"rawData"`
					ErrorCode string `json:"errorCode"`
				}
				if err := json.Unmarshal(line, &letter); err != nil {
					return err
				}
				var it item
				err := json.Unmarshal(letter.RawData, &it)
				at(it.ID).dead++
				return err
			}); err != nil {
				return fmt.Errorf("object %s: %w", key, err)
			}
		}
	}
	var errs []error
	for id := range s.input.next {
		f := all[id]
		if f == nil {
			f = &found{}
		}
		if err := s.checkOne(id, f, slices.Contains(s.input.acked, id)); err != nil {
			if errs = append(errs, err); len(errs) == 5 {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// checkOne checks that an input reached exactly one end, and that this is an end that some version of the transform
// gives it.
func (s *schedule) checkOne(id int, f *found, acked bool) error {
	ends := func(want int) bool {
		return slices.ContainsFunc(s.versions, func(v int) bool { what, _ := fate(id, v); return what == want })
	}
	switch {
	case len(f.outputs) == 0 && f.dead == 0:
		if acked && !ends(fateDropped) {
			return fmt.Errorf("record %d was acked and is nowhere", id)
		}
		return nil
	case f.dead > 1 || f.dead == 1 && len(f.outputs) > 0:
		return fmt.Errorf("record %d is %d times among the dead letters and has %d outputs", id, f.dead, len(f.outputs))
	case f.dead == 1:
		if !ends(fateFailed) && !ends(fateAstray) {
			return fmt.Errorf("record %d is dead, and no version fails it", id)
		}
		return nil
	}
	version := f.outputs[0].Version
	_, want := fate(id, version)
	subs := make([]int, 0, want)
	for _, o := range f.outputs {
		if o.Version != version {
			return fmt.Errorf("record %d has outputs of the versions %d and %d", id, version, o.Version)
		}
		subs = append(subs, o.Sub)
	}
	slices.Sort(subs)
	for i, sub := range subs {
		if i != sub {
			return fmt.Errorf("record %d has the outputs %v, want %d different ones", id, subs, want)
		}
	}
	if len(subs) != want {
		return fmt.Errorf("record %d has the outputs %v, want %d", id, subs, want)
	}
	return nil
}

func eachLine(body []byte, do func([]byte) error) error {
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(zr, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := do(line); err != nil {
				return fmt.Errorf("%w in line %.200q", err, line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

package feeder

import "os"

// other is how far another feeder has put files into the same stream.
type other struct {
	name   string
	marks  map[identity]position
	byPath map[place]identity
}

// loadOthers finds the marks of the other feeders of the stream. What cannot be read of them concerns them alone.
func (f *Feeder) loadOthers() []other {
	var all []other
	for _, name := range f.cfg.Others {
		marks, err := (&slots{name: name}).load(f.stream.Mark)
		if err != nil || len(marks) == 0 {
			continue
		}
		o := other{name, map[identity]position{}, map[place]identity{}}
		for _, p := range marks {
			o.marks[p.id] = p
			o.byPath[place{p.path, p.id.ino}] = p.id
		}
		all = append(all, o)
	}
	return all
}

// warnOfOthers warns of files that this feeder begins and another has put into the stream already: after a change of its name a feeder
// finds no marks.
func (w *watch) warnOfOthers() {
	for _, o := range w.others {
		var first string
		files, bytes := 0, int64(0)
		for _, t := range w.begun {
			p, ok := o.marks[t.id]
			if !ok {
				p, ok = o.marks[o.byPath[place{t.at, t.id.ino}]]
			}
			if !ok || !w.f.isRead(t.at, &p) {
				continue
			}
			if files++; files == 1 {
				first = t.at
			}
			bytes += p.offset
		}
		if files > 0 {
			w.f.log.Warn("files that another pipeline has fed into this stream are fed into it again, from their beginning: positions are kept by the "+
				"name of a pipeline, and one that was renamed goes on where it was only under its old name",
				"old_name", o.name, "old_marks", "files/"+o.name+"/", "files", files, "bytes", bytes, "first", first)
		}
	}
	w.begun = nil
}

// isRead reports whether something of the file at path was read, as the position says.
func (f *Feeder) isRead(path string, p *position) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	before := make([]byte, min(p.offset, tailWindow))
	if _, err := file.ReadAt(before, p.offset-int64(len(before))); err != nil || p.offset == 0 {
		return false
	}
	same, err := f.same(p, file, before)
	return err == nil && same
}

package leatjson

// Repeats reports whether a key that leads to one of the Doc's fields is there more than once in its object. Then a field is what the
// last one says, and other readers of the document may take the first: who must not let a value through looks here.
func (d *Doc) Repeats() bool { return len(d.doubles) > 0 }

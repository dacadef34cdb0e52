// Package leatjson reads and changes JSON records without building maps, for transforms: there encoding/json takes some 50
// microseconds for a record of 1 KiB. A [Doc] finds the fields that a transform named beforehand in one pass over the
// record, and puts changes into a copy of it whose other bytes stay as they are: order of keys, text of numbers, white space.
//
//	var (
//		doc   leatjson.Doc
//		level = doc.Field("level")
//		email = doc.Field("user", "email")
//	)
//
//	func convert(r leat.Record) leat.Result {
//		if err := doc.Parse(r.Data); err != nil {
//			return leat.Fail("json.invalid", err.Error())
//		}
//		if level.Equal("debug") {
//			return leat.Drop()
//		}
//		email.Delete()
//		out, err := doc.Patched()
//		if err != nil {
//			return leat.Fail("json.conflict", err.Error())
//		}
//		return leat.Data(out)
//	}
//
// In steady state nothing is allocated: a Doc uses its memory again for every record, and a guest's garbage collector is slow. So it
// serves one record at a time, and what it returns is valid until the next Parse.
//
// # What is checked
//
// Parse checks the whole document by the grammar of RFC 8259, also what nobody asked for: it accepts what encoding/json's Valid
// accepts, and refuses everything else with the place of the fault, so a cut-off record is never patched. Two things differ:
// nesting ends at [MaxDepth] levels (encoding/json: 10,000), and there is a limit of 1 GiB. As in encoding/json, invalid UTF-8 within strings
// is no fault of the document: it stays as it is in what is copied, and reads as U+FFFD.
//
// # Keys
//
// Keys are compared as text: "\u0061" is a. If an object has a key more than once the last one counts, as for encoding/json. An edit of
// a field, or of something in it, removes its earlier namesakes, so that no reader sees what was redacted.
//
// # Edits
//
// The Set methods of a [Field] give it a new value, Delete and Rename do what they say, and [Doc.Patched] makes the changed copy. A missing
// field that is set becomes the last member of its object, and so do the objects on the way to it, if they are missing or null; if
// something else is in the way, Patched fails. The last edit of a field counts. Setting or deleting a field discards all edits within it.
//
// # Numbers
//
// Numbers are text until they are read: what is not edited keeps its digits, whatever their number.
package leatjson

// MaxDepth is how many objects and arrays may be within one another.
const MaxDepth = 1000

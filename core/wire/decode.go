package wire

// Decode reads the body into in, a pointer to a struct with json tags or a [Decoder]. Members that in does not have are
// ignored. The error is a SerializationException.
func (r *Request) Decode(in any) error { panic("not yet") }

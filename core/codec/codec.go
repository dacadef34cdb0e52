// Package codec frames records into lines and compresses objects.
//
// Compression works on blocks: an object is a header, any number of blocks that are compressed independently of each
// other (so that several cores can work on one object), and a trailer. The same blocks at the same level give the same
// bytes, always.
package codec

// BlockSize is the size in bytes of the uncompressed blocks that callers should cut: large enough that compressing blocks
// on their own costs little ratio, small enough to spread over cores.
const BlockSize = 256 << 10

// Compression compresses the blocks of objects. It has no state of its own: all methods may be called concurrently.
type Compression interface {
	// Name is the name in pipeline files: none, gzip, zip, snappy.
	Name() string
	// Extension is what an object's key ends with, with its dot; empty for none.
	Extension() string
	// ContentType and ContentEncoding are the object's HTTP headers, given the type of the uncompressed content.
	Headers(contentType string) (typ, encoding string)
	// AppendHeader appends an object's first bytes to dst. entry is the name of the entry inside (zip).
	AppendHeader(dst []byte, entry string) []byte
	// AppendBlock appends the compressed form of block to dst. Blocks are put one after the other.
	AppendBlock(dst, block []byte) []byte
	// AppendTrailer appends an object's last bytes to dst.
	AppendTrailer(dst []byte, entry string, sum Sum) []byte
}

// Sum is what a trailer needs to know of the object. Update it with every block, in order.
type Sum struct {
	CRC        uint32 // CRC-32 (IEEE) of the uncompressed bytes
	Raw        int64  // uncompressed bytes
	Compressed int64  // bytes that AppendBlock produced
}

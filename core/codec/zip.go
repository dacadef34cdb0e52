package codec

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// zipped writes a zip archive with one deflated entry, in one pass: the entry's sizes follow it in a data descriptor. An
// entry of 4 GiB or more, compressed or not, makes the archive zip64. The only date is 1980-01-01, the format's first.
type zipped struct{ level int }

func (zipped) Name() string                          { return "zip" }
func (zipped) Extension() string                     { return ".zip" }
func (zipped) Headers(string) (typ, encoding string) { return "application/zip", "" }

const (
	zipLocalHeader   = 0x04034b50
	zipDescriptor    = 0x08074b50
	zipCentralHeader = 0x02014b50
	zipEnd           = 0x06054b50
	zip64End         = 0x06064b50
	zip64EndLocator  = 0x07064b50
	zipLocalLen      = 30
	zipVersion       = 20
	zip64Version     = 45
	zipFlags         = 1<<3 | 1<<11 // a data descriptor follows; names are UTF-8
	zipDeflated      = 8
	zipFirstDate     = 1<<5 | 1               // 1980-01-01
	zipUnix          = 3 << 8                 // made by: the attributes are a Unix mode
	zipMode          = uint32(0o100644) << 16 // a regular file
	zip64Extra       = 1
)

func (z zipped) AppendHeader(dst []byte, entry string) []byte {
	le := binary.LittleEndian
	name := zipName(entry)
	dst = le.AppendUint32(dst, zipLocalHeader)
	dst = z.appendCommon(dst, zipVersion)
	dst = append(dst, make([]byte, 12)...) // CRC and sizes: in the data descriptor
	dst = le.AppendUint16(dst, uint16(len(name)))
	dst = le.AppendUint16(dst, 0) // no extra fields
	return append(dst, name...)
}

// appendCommon appends what the local and the central header share, up to the CRC.
func (z zipped) appendCommon(dst []byte, version uint16) []byte {
	le := binary.LittleEndian
	flags := uint16(zipFlags)
	switch { // bits 1 and 2 tell the level, as in gzip's header
	case z.level >= 8:
		flags |= 1 << 1
	case z.level == MinLevel:
		flags |= 3 << 1
	}
	dst = le.AppendUint16(dst, version)
	dst = le.AppendUint16(dst, flags)
	dst = le.AppendUint16(dst, zipDeflated)
	dst = le.AppendUint16(dst, 0) // midnight
	return le.AppendUint16(dst, zipFirstDate)
}

func (z zipped) AppendBlock(dst, block []byte) []byte { return appendDeflated(dst, block, z.level) }

func (z zipped) AppendTrailer(dst []byte, entry string, sum Sum) []byte {
	le := binary.LittleEndian
	name := zipName(entry)
	raw := uint64(sum.Raw)
	compressed := uint64(sum.Compressed) + uint64(len(deflateEnd))
	// MaxUint32 itself is the mark for "look into the zip64 fields".
	big := raw >= math.MaxUint32 || compressed >= math.MaxUint32

	dst = append(dst, deflateEnd[:]...)
	dst = le.AppendUint32(dst, zipDescriptor)
	dst = le.AppendUint32(dst, sum.CRC)
	if big {
		dst = le.AppendUint64(dst, compressed)
		dst = le.AppendUint64(dst, raw)
	} else {
		dst = le.AppendUint32(dst, uint32(compressed))
		dst = le.AppendUint32(dst, uint32(raw))
	}

	descriptor := uint64(16)
	version := uint16(zipVersion)
	var extra []byte
	if big {
		descriptor = 24
		version = zip64Version
		extra = le.AppendUint16(extra, zip64Extra)
		extra = le.AppendUint16(extra, 16)
		extra = le.AppendUint64(extra, raw)
		extra = le.AppendUint64(extra, compressed)
	}
	centralAt := zipLocalLen + uint64(len(name)) + compressed + descriptor
	central := len(dst)
	dst = le.AppendUint32(dst, zipCentralHeader)
	dst = le.AppendUint16(dst, zipUnix|version)
	dst = z.appendCommon(dst, version)
	dst = le.AppendUint32(dst, sum.CRC)
	if big {
		dst = le.AppendUint64(dst, math.MaxUint64) // both sizes: in the extra field
	} else {
		dst = le.AppendUint32(dst, uint32(compressed))
		dst = le.AppendUint32(dst, uint32(raw))
	}
	dst = le.AppendUint16(dst, uint16(len(name)))
	dst = le.AppendUint16(dst, uint16(len(extra)))
	dst = append(dst, make([]byte, 6)...) // comment length, disk, internal attributes
	dst = le.AppendUint32(dst, zipMode)
	dst = le.AppendUint32(dst, 0) // the local header is at the start
	dst = append(dst, name...)
	dst = append(dst, extra...)
	return appendZipEnd(dst, centralAt, uint64(len(dst)-central))
}

// appendZipEnd appends what follows the central directory, which has one entry, starts at offset at and is size bytes long.
func appendZipEnd(dst []byte, at, size uint64) []byte {
	le := binary.LittleEndian
	if at >= math.MaxUint32 {
		end := at + size
		dst = le.AppendUint32(dst, zip64End)
		dst = le.AppendUint64(dst, 56-12) // of this record, without what stands up to here
		dst = le.AppendUint16(dst, zipUnix|zip64Version)
		dst = le.AppendUint16(dst, zip64Version)
		dst = le.AppendUint64(dst, 0) // disks
		dst = le.AppendUint64(dst, 1) // entries on this disk
		dst = le.AppendUint64(dst, 1) // entries
		dst = le.AppendUint64(dst, size)
		dst = le.AppendUint64(dst, at)
		dst = le.AppendUint32(dst, zip64EndLocator)
		dst = le.AppendUint32(dst, 0)
		dst = le.AppendUint64(dst, end)
		dst = le.AppendUint32(dst, 1) // disks
	}
	dst = le.AppendUint32(dst, zipEnd)
	dst = le.AppendUint32(dst, 0) // disks
	dst = le.AppendUint16(dst, 1) // entries on this disk
	dst = le.AppendUint16(dst, 1) // entries
	dst = le.AppendUint32(dst, uint32(size))
	dst = le.AppendUint32(dst, uint32(min(at, math.MaxUint32)))
	return le.AppendUint16(dst, 0) // no comment
}

// zipNameLen is the longest entry name in bytes: what common file systems take.
const zipNameLen = 255

// zipName makes the entry's name from the object's key: its last segment without .zip, so that unpacking neither writes
// over the archive nor, whatever the key, leaves the folder.
func zipName(key string) string {
	name := key[strings.LastIndexAny(key, `/\`)+1:]
	name = strings.TrimSuffix(name, ".zip")
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == ':' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	for len(name) > zipNameLen { // whole characters, from the front: the end tells objects apart
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	if name == "" || name == "." || name == ".." {
		return "object"
	}
	return name
}

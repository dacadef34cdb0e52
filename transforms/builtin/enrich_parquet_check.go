package builtin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The library believes what a file says about its sizes: one damaged byte can make it ask for gigabytes, which ends the process. So
// the headers of a column's pages are looked at before it reads them.

// maxPageHeader is the most bytes of a page's header; what makes one long are the least and the greatest value.
const maxPageHeader = 64 << 10

var errDamaged = errors.New("it is damaged: the sizes of a column's pages do not fit")

// checkFooter looks at the length that the footer says it has: PAR1 … footer, its length in four bytes, PAR1.
func checkFooter(from io.ReaderAt, size int64) error {
	var end [8]byte
	if size < int64(len("PAR1")+len(end)) {
		return errors.New("it is no Parquet file: it is too short")
	}
	if _, err := from.ReadAt(end[:], size-int64(len(end))); err != nil {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return errors.New("it is no Parquet file, or not a whole one: it does not end as one")
	}
	if int64(binary.LittleEndian.Uint32(end[:])) > size-int64(len("PAR1")+len(end)) {
		return errDamaged
	}
	return nil
}

// checkColumn looks at the pages of a column that has one value for each of rows rows. most bounds the bytes of a page, and of all.
func checkColumn(from io.ReaderAt, size int64, c *format.ColumnMetaData, rows, most int64) error {
	switch c.Codec {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd:
	default:
		return fmt.Errorf("it is compressed with %v; only snappy, gzip, zstd and none can be read", c.Codec)
	}
	at := c.DataPageOffset
	if c.DictionaryPageOffset > 0 {
		at = min(at, c.DictionaryPageOffset)
	}
	end := at + c.TotalCompressedSize
	if c.NumValues != rows || at < 0 || c.TotalCompressedSize < 0 || end < at || end > size {
		return errDamaged
	}
	window := make([]byte, maxPageHeader)
	left := 4 * most
	for seen := int64(0); seen < rows; {
		n, err := from.ReadAt(window[:min(int64(len(window)), end-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		var header format.PageHeader
		r := (&thrift.CompactProtocol{}).NewReaderFromBytes(window[:n])
		if err := thrift.NewDecoder(r).Decode(&header); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		at += int64(r.BytesRead())
		packed, unpacked := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
		if packed < 0 || unpacked < 0 || packed > end-at {
			return errDamaged
		}
		if left -= unpacked; unpacked > most || left < 0 {
			return errTableTooLarge{most}
		}
		levels := int64(0) // bytes before what is compressed
		compressed := c.Codec != format.Uncompressed
		switch header.Type {
		case format.DataPage:
			seen += int64(header.DataPageHeader.V.NumValues)
			if header.DataPageHeader.V.NumValues <= 0 {
				return errDamaged
			}
		case format.DataPageV2:
			h := &header.DataPageHeaderV2.V
			seen += int64(h.NumValues)
			levels = int64(h.DefinitionLevelsByteLength) + int64(h.RepetitionLevelsByteLength)
			if h.NumValues <= 0 || h.NumRows != h.NumValues || h.DefinitionLevelsByteLength < 0 || h.RepetitionLevelsByteLength < 0 || levels > packed || levels > unpacked {
				return errDamaged
			}
			compressed = compressed && (!h.IsCompressed.Valid || h.IsCompressed.V)
		case format.DictionaryPage:
			if v := int64(header.DictionaryPageHeader.V.NumValues); v < 0 || v > rows {
				return errDamaged
			}
		}
		if seen > rows {
			return errDamaged
		}
		if compressed && c.Codec == format.Snappy && packed > levels {
			var start [binary.MaxVarintLen64]byte
			n, err := from.ReadAt(start[:min(int64(len(start)), packed-levels)], at+levels)
			if err != nil && err != io.EOF {
				return err
			}
			if length, k := binary.Uvarint(start[:n]); k <= 0 || length != uint64(unpacked-levels) {
				return errDamaged
			}
		}
		at += packed
	}
	return nil
}

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

const (
	snapshotName  = "snapshot"
	snapshotTemp  = "snapshot.tmp"
	snapshotMagic = "LEATSTA1"
	// snapshotHeader: magic 8, position 8, keys 8, length of the file 8, crc32c of these 4, zero 4.
	snapshotHeader = 40
	// frameHead: length of the frame's body 4, crc32c of length and body 4.
	frameHead = 8
	// frameSize is at what length, in bytes, a frame is written out; its last entry may reach beyond.
	frameSize = 256 << 10
	// maxFrame bounds a frame's body, in bytes.
	maxFrame = frameSize + MaxKey + MaxTransaction + 2*binary.MaxVarintLen64
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// writeSnapshot makes all durable as what the journal says up to position, in place of the snapshot before. It returns
// its length in bytes.
func writeSnapshot(fsys vfs.FS, dir string, position uint64, all *keys, seams seams) (length int64, err error) {
	temp := filepath.Join(dir, snapshotTemp)
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	f, err := fsys.Create(temp)
	if err != nil {
		return 0, err
	}
	if length, err = writeFrames(f, position, all); err == nil && !seams.noSnapshotSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, fsys.Remove(temp))
	}
	if err := fsys.Rename(temp, filepath.Join(dir, snapshotName)); err != nil {
		return 0, err
	}
	if seams.noDirSync {
		return length, nil
	}
	return length, fsys.SyncDir(dir)
}

func writeFrames(f vfs.File, position uint64, all *keys) (length int64, err error) {
	length = snapshotHeader
	frame := make([]byte, frameHead, frameHead+frameSize+MaxKey)
	flush := func() {
		if err != nil || len(frame) == frameHead {
			return
		}
		le.PutUint32(frame, uint32(len(frame)-frameHead))
		crc := crc32.Checksum(frame[:4], castagnoli)
		le.PutUint32(frame[4:], crc32.Update(crc, castagnoli, frame[frameHead:]))
		_, err = f.WriteAt(frame, length)
		length += int64(len(frame))
		frame = frame[:frameHead]
	}
	all.Scan(func(key, value string) bool {
		frame = binary.AppendUvarint(frame, uint64(len(key)))
		frame = append(frame, key...)
		frame = binary.AppendUvarint(frame, uint64(len(value)))
		frame = append(frame, value...)
		if len(frame) >= frameSize {
			flush()
		}
		return err == nil
	})
	flush()
	if err != nil {
		return 0, err
	}
	head := make([]byte, snapshotHeader)
	copy(head, snapshotMagic)
	le.PutUint64(head[8:], position)
	le.PutUint64(head[16:], uint64(all.Len()))
	le.PutUint64(head[24:], uint64(length))
	le.PutUint32(head[32:], crc32.Checksum(head[:32], castagnoli))
	_, err = f.WriteAt(head, 0)
	return length, err
}

// readSnapshot returns the keys of the snapshot and the journal position it covers; without a snapshot there are none, and
// the position is 0.
func readSnapshot(fsys vfs.FS, dir string) (all *keys, position uint64, length int64, err error) {
	name := filepath.Join(dir, snapshotName)
	f, err := fsys.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return new(keys), 0, 0, nil
	}
	if err != nil {
		return nil, 0, 0, err
	}
	defer f.Close()
	length, err = f.Size()
	if err != nil {
		return nil, 0, 0, err
	}
	all, position, err = decodeSnapshot(f.ReadAt, length)
	var bad damage
	if errors.As(err, &bad) {
		return nil, 0, 0, fault.New(fault.Permanent, "state.snapshot_damaged", "state: snapshot %s: %w", name, bad).
			WithHint("it cannot be made again from the journal alone; restore the folder %s from a backup", dir)
	}
	return all, position, length, err
}

// damage says what is wrong with bytes that were read well.
type damage string

func (d damage) Error() string { return "damaged: " + string(d) }

func damaged(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }

func decodeSnapshot(readAt func([]byte, int64) (int, error), length int64) (*keys, uint64, error) {
	if length < snapshotHeader {
		return nil, 0, damaged("%d bytes are less than a header", length)
	}
	head := make([]byte, snapshotHeader)
	if err := readFull(readAt, head, 0); err != nil {
		return nil, 0, err
	}
	switch {
	case !bytes.Equal(head[:8], []byte(snapshotMagic)):
		return nil, 0, damaged("begins with %q, want %q", head[:8], snapshotMagic)
	case crc32.Checksum(head[:32], castagnoli) != le.Uint32(head[32:]):
		return nil, 0, damaged("checksum of the header differs")
	case le.Uint32(head[36:]) != 0:
		return nil, 0, damaged("the header does not end with zeros")
	case le.Uint64(head[24:]) != uint64(length):
		return nil, 0, damaged("%d bytes long, the header says %d", length, le.Uint64(head[24:]))
	}
	all := new(keys)
	for off := int64(snapshotHeader); off < length; {
		n, err := readFrame(readAt, off, length, all)
		if err != nil {
			return nil, 0, err
		}
		off += n
	}
	if n := le.Uint64(head[16:]); n != uint64(all.Len()) {
		return nil, 0, damaged("%d keys, the header says %d", all.Len(), n)
	}
	return all, le.Uint64(head[8:]), nil
}

// readFrame adds the keys of the frame at off to all and returns the frame's length.
func readFrame(readAt func([]byte, int64) (int, error), off, length int64, all *keys) (int64, error) {
	if length-off < frameHead {
		return 0, damaged("%d bytes left at byte %d", length-off, off)
	}
	var head [frameHead]byte
	if err := readFull(readAt, head[:], off); err != nil {
		return 0, err
	}
	n := int64(le.Uint32(head[:]))
	if n == 0 || n > maxFrame || n > length-off-frameHead {
		return 0, damaged("frame of %d bytes at byte %d", n, off)
	}
	body := make([]byte, n)
	if err := readFull(readAt, body, off+frameHead); err != nil {
		return 0, err
	}
	if crc32.Update(crc32.Checksum(head[:4], castagnoli), castagnoli, body) != le.Uint32(head[4:]) {
		return 0, damaged("checksum of the frame at byte %d differs", off)
	}
	for len(body) > 0 {
		key, rest, err := cutField(body, MaxKey)
		if err != nil {
			return 0, damaged("key in the frame at byte %d: %v", off, err)
		}
		value, rest, err := cutField(rest, MaxTransaction)
		if err != nil {
			return 0, damaged("value in the frame at byte %d: %v", off, err)
		}
		if err := sortedPut(all, key, value); err != nil {
			return 0, damaged("frame at byte %d: %v", off, err)
		}
		body = rest
	}
	return frameHead + n, nil
}

func readFull(readAt func([]byte, int64) (int, error), p []byte, off int64) error {
	if n, err := readAt(p, off); n < len(p) {
		return fmt.Errorf("read %d bytes at byte %d: %w", len(p), off, err)
	}
	return nil
}

package wasm

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// This file reads, writes and waits for a guest. The runtime's functions that do so go through as many vectors or subscriptions as the
// guest's memory holds, without a look at the time.

const (
	// maxVectors is how many vectors, or subscriptions, one call takes: IOV_MAX of Linux.
	maxVectors = 1024
	vectorSize = 8 // bytes: address and length
	// maxWrite is how much is written at once, in bytes, before the time is looked at again.
	maxWrite = 16 << 10
)

// vectors returns n vectors at an address.
func vectors(mem api.Memory, at, n uint32) ([]byte, errno) {
	if n > maxVectors {
		return nil, errnoInval
	}
	b, ok := mem.Read(at, n*vectorSize)
	if !ok {
		return nil, errnoFault
	}
	return b, 0
}

// part returns the memory of the first vector.
func part(mem api.Memory, vectors []byte) ([]byte, errno) {
	b, ok := mem.Read(binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:]))
	if !ok {
		return nil, errnoFault
	}
	return b, 0
}

// store writes how much was read or written to where the guest wants it.
func store(mem api.Memory, at uint64, n int) errno {
	if !mem.WriteUint32Le(uint32(at), uint32(n)) {
		return errnoFault
	}
	return 0
}

// fdRead is fd_read(fd, iovs, iovs_len, nread). It reads once, into the first part that has room.
func fdRead(i *instance, mem api.Memory, params []uint64) errno {
	if uint32(params[0]) != 0 {
		return errnoBadf
	}
	list, e := vectors(mem, uint32(params[1]), uint32(params[2]))
	for ; e == 0 && len(list) > 0; list = list[vectorSize:] {
		var b []byte
		if b, e = part(mem, list); len(b) == 0 {
			continue
		}
		n := 0
		if i.stdin != nil {
			var err error
			if n, err = i.stdin.Read(b); err != nil && n == 0 && !errors.Is(err, io.EOF) {
				return errnoIO
			}
		}
		return store(mem, params[3], n)
	}
	if e != 0 {
		return e
	}
	return store(mem, params[3], 0)
}

// fdWrite is fd_write(fd, iovs, iovs_len, nwritten).
func fdWrite(i *instance, mem api.Memory, params []uint64) errno {
	fd := uint32(params[0])
	if fd == 0 || fd > lastDescriptor {
		return errnoBadf
	}
	list, e := vectors(mem, uint32(params[1]), uint32(params[2]))
	written := 0
	for ; e == 0 && len(list) > 0; list = list[vectorSize:] {
		var b []byte
		for b, e = part(mem, list); len(b) > 0; b = b[min(len(b), maxWrite):] {
			i.checkTime()
			n, err := i.outputs[fd].Write(b[:min(len(b), maxWrite)])
			if written += n; err != nil {
				return errnoIO
			}
		}
	}
	if e != 0 {
		return e
	}
	return store(mem, params[3], written)
}

// The structs subscription and event of WASI, in bytes.
const (
	subscriptionSize                     = 48
	subKind, subFD, subTimeout, subFlags = 8, 16, 24, 40
	eventSize                            = 32
	eventErrno, eventKind                = 8, 10
	pollClock, pollFDRead, pollFDWrite   = 0, 1, 2
	userData                             = 8 // at the beginning of both
)

// pollOneoff is poll_oneoff(in, out, nsubscriptions, nevents). Of clocks it takes times from now, as sleeping does. To read from a descriptor is
// always possible, for all that is known; to wait until one can be written to is not supported.
func pollOneoff(i *instance, mem api.Memory, params []uint64) errno {
	n := uint32(params[2])
	if n == 0 || n > maxVectors {
		return errnoInval
	}
	subs, ok := mem.Read(uint32(params[0]), n*subscriptionSize)
	events, room := mem.Read(uint32(params[1]), n*eventSize)
	if !ok || !room {
		return errnoFault
	}
	nap := uint64(math.MaxInt64)
	at := func(s uint32) []byte { return subs[s*subscriptionSize:] }
	for s := range n {
		switch b := at(s); b[subKind] {
		case pollClock:
			switch binary.LittleEndian.Uint16(b[subFlags:]) {
			case 0:
				nap = min(nap, binary.LittleEndian.Uint64(b[subTimeout:]))
			case 1: // a point in time
				return errnoNotsup
			default:
				return errnoInval
			}
		case pollFDRead, pollFDWrite:
			nap = 0 // there is something to say at once
		default:
			return errnoInval
		}
	}
	i.sleep(time.Duration(nap))
	count := 0
	for s := range n {
		b, failed := at(s), errno(0)
		switch fd := binary.LittleEndian.Uint32(b[subFD:]); {
		case b[subKind] == pollClock:
			if binary.LittleEndian.Uint64(b[subTimeout:]) > nap {
				continue
			}
		case fd > lastDescriptor:
			failed = errnoBadf
		case b[subKind] == pollFDWrite:
			failed = errnoNotsup
		}
		var e [eventSize]byte
		copy(e[:userData], b)
		e[eventErrno], e[eventKind] = byte(failed), b[subKind]
		copy(events[count*eventSize:], e[:])
		count++
	}
	return store(mem, params[3], count)
}

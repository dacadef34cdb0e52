package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/transforms/wasm/abi"
)

// atDescriptors returns an instance whose memory is that of a guest which reads and writes these.
func atDescriptors(t *testing.T, stdin io.Reader, stdout io.Writer) *instance {
	i, err := open(t, Config{Bytes: newAssembly().bytes(), Instances: 2}).instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.close(context.Background()) })
	i.until, i.stdin, i.outputs[1] = time.Time{}, stdin, stdout
	return i
}

// numbers puts numbers of 32 bits into the memory.
func (i *instance) numbers(at uint32, numbers ...uint32) {
	for n, v := range numbers {
		i.mod.Memory().WriteUint32Le(at+uint32(4*n), v)
	}
}

func (i *instance) number(at uint32) uint32 {
	n, _ := i.mod.Memory().ReadUint32Le(at)
	return n
}

func TestVectorsAreReadAndWrittenInOrderUpToALimit(t *testing.T) {
	const list, text, many, result = 1024, 64 << 10, 128 << 10, 16
	var out bytes.Buffer
	i := atDescriptors(t, strings.NewReader("some input"), &out)
	mem := i.mod.Memory()
	mem.Write(text, []byte("hello, world"))
	i.numbers(list, text+7, 5, 0, 0, text, 5, 1<<31, 1) // a part, an empty one, a part, one outside
	for _, c := range []struct {
		do     func(*instance, api.Memory, []uint64) errno
		params []uint64
		errno  errno
		n      uint32
	}{
		{fdWrite, []uint64{1, list, 3, result}, 0, 10},
		{fdWrite, []uint64{1, list, 0, result}, 0, 0},
		{fdWrite, []uint64{1, many, maxVectors, result}, 0, 0},
		{fdWrite, []uint64{1, many, maxVectors + 1, result}, errnoInval, 99},
		{fdWrite, []uint64{1, many, 1<<29 + 1, result}, errnoInval, 99}, // of 8 bytes each, 8 in 32 bits
		{fdWrite, []uint64{1, list, 4, result}, errnoFault, 99},
		{fdWrite, []uint64{1, 1 << 31, 1, result}, errnoFault, 99},
		{fdWrite, []uint64{1, list, 0, 1 << 31}, errnoFault, 99},
		{fdWrite, []uint64{0, list, 3, result}, errnoBadf, 99},
		{fdWrite, []uint64{3, list, 3, result}, errnoBadf, 99},
		{fdRead, []uint64{0, list + 8, 2, result}, 0, 5},
		{fdRead, []uint64{0, list, 1, result}, 0, 5},
		{fdRead, []uint64{0, list, 1, result}, 0, 0}, // the end
		{fdRead, []uint64{0, list, 0, result}, 0, 0},
		{fdRead, []uint64{0, many, maxVectors, result}, 0, 0},
		{fdRead, []uint64{0, many, maxVectors + 1, result}, errnoInval, 99},
		{fdRead, []uint64{0, list + 24, 1, result}, errnoFault, 99},
		{fdRead, []uint64{1, list, 1, result}, errnoBadf, 99},
	} {
		i.numbers(result, 99)
		if e := c.do(i, mem, c.params); e != c.errno || i.number(result) != c.n {
			t.Errorf("%d: error %d and %d bytes, want %d and %d", c.params, e, i.number(result), c.errno, c.n)
		}
	}
	read, _ := mem.Read(text, 12)
	if out.String() != "worldhello"+"worldhello" || string(read) != "some , input" {
		t.Errorf("%q was written, %q read", &out, read)
	}
	i.stdin, i.outputs[1] = iotest.ErrReader(errors.New("broken")), &fails{}
	for _, e := range []errno{fdRead(i, mem, []uint64{0, list, 1, result}), fdWrite(i, mem, []uint64{1, list, 1, result})} {
		if e != errnoIO {
			t.Errorf("error %d of what is broken", e)
		}
	}
}

type fails struct{}

func (fails) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestPollsSayWhatHasHappened(t *testing.T) {
	const in, out, result = 1024, 256 << 10, 16
	i := atDescriptors(t, nil, nil)
	mem := i.mod.Memory()
	type sub struct {
		kind, fd uint32
		timeout  uint64
		flags    uint32
	}
	hour := uint64(time.Hour)
	read, write, clock := uint32(pollFDRead), uint32(pollFDWrite), uint32(pollClock)
	many := make([]sub, maxVectors+1)
	for _, c := range []struct {
		subs  []sub
		errno errno
		want  string // number of the subscription: its kind, its error
	}{
		{[]sub{{kind: clock}}, 0, "0:0,0"},
		{[]sub{{kind: clock, timeout: hour}, {kind: clock, timeout: 1}, {kind: clock}}, 0, "2:0,0"},
		{[]sub{{kind: clock, timeout: hour}, {kind: read}}, 0, "1:1,0"},
		{[]sub{{kind: read, fd: 7}, {kind: read, fd: 1 << 31}, {kind: write, fd: 1}, {kind: write, fd: 3}}, 0, "0:1,8 1:1,8 2:2,58 3:2,8"},
		{[]sub{{kind: clock, flags: 1}}, errnoNotsup, ""},
		{[]sub{{kind: clock, flags: 2}}, errnoInval, ""},
		{[]sub{{kind: 3}}, errnoInval, ""},
		{nil, errnoInval, ""},
		{many, errnoInval, ""},
	} {
		i.numbers(result, 0)
		for n, s := range c.subs {
			at := uint32(in + n*subscriptionSize)
			mem.WriteUint64Le(at, uint64(n))
			i.numbers(at+subKind, s.kind)
			i.numbers(at+subFD, s.fd)
			mem.WriteUint64Le(at+subTimeout, s.timeout)
			i.numbers(at+subFlags, s.flags)
		}
		if e := pollOneoff(i, mem, []uint64{in, out, uint64(len(c.subs)), result}); e != c.errno {
			t.Errorf("%d subscriptions: error %d, want %d", len(c.subs), e, c.errno)
		}
		var got []string
		for n := range i.number(result) {
			e, _ := mem.Read(out+n*eventSize, eventSize)
			got = append(got, fmt.Sprintf("%d:%d,%d", e[0], e[eventKind], binary.LittleEndian.Uint16(e[eventErrno:])))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %s, want %s", c.subs, got, c.want)
		}
	}
	for _, params := range [][]uint64{{1 << 31, out, 1, result}, {in, 1 << 31, 1, result}, {in, out, 1, 1 << 31}} {
		mem.Write(in, make([]byte, subscriptionSize))
		if e := pollOneoff(i, mem, params); e != errnoFault {
			t.Errorf("%d: error %d", params, e)
		}
	}
}

// sleeper is a module that sleeps for an hour, in one call of the host.
func sleeper() []byte {
	a := newAssembly()
	a.imports, a.global = []string{"wasi_snapshot_preview1.poll_oneoff"}, 0
	a.data = make([]byte, subscriptionSize)
	binary.LittleEndian.PutUint64(a.data[subTimeout:], uint64(time.Hour))
	a.body(abi.ExportTransform, code(konst(dataAt), konst(4096), konst(1), konst(16), opCall, 0, opDrop, konst64(0)))
	return a.bytesImporting(signature{[]byte{i32, i32, i32, i32}, []byte{i32}})
}

func TestSleepEndsWithTheCall(t *testing.T) {
	for _, guard := range []Guard{Metered, Interrupt, None} {
		m := open(t, Config{Bytes: sleeper(), Guard: guard, Timeout: time.Hour, Instances: 1})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(10*time.Millisecond, cancel)
		if err := m.Apply(ctx, batch("a"), output()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", guard, err)
		}
	}
	for _, guard := range []Guard{Metered, Interrupt} {
		m := open(t, Config{Bytes: sleeper(), Guard: guard, Timeout: 200 * time.Millisecond, Instances: 1})
		if _, _, err := apply(t, m, "a"); fault.CodeOf(err) != CodeTimeout {
			t.Errorf("%s: %v", guard, err)
		}
	}
}

package meter

import "slices"

// Go's compiler has no goto to write: it makes a function one loop that begins with a jump table,
//
//	loop
//	  block … block
//	    local.get $pc
//	    br_table 0 0 1 2 …
//	  end
//	  … end …
//	end
//
// and turns each jump to basic block k, forwards or backwards, into a branch back to that loop, `i32.const k; local.set $pc; br $loop`. Taken
// as they are, all of these would be paid for and checked as repetitions. The decoder therefore threads those that go forwards: as k is
// known, so is the end of a block to which the table leads, and where that block is still open the branch goes there at once. What
// the rewriter meters, and writes, is the program after threading.
//
// A threaded branch does what the one to the loop would: the two set the same variable, nothing lies between the loop's beginning and
// its table but blocks that neither take nor leave values, and both throw away what is on the stack above the loop's own height, which
// is the height of those blocks as well. No infinite execution escapes by it: a branch to the end of a block goes forwards, as
// every other, and each branch that goes back remains one to a loop.

// progress is how much of a jump, or of a loop's beginning, the instructions just decoded make up.
type progress uint8

const (
	nothing    progress = iota
	inHead              // a loop and blocks, all without values
	readLocal           // and local.get
	afterConst          // i32.const
	afterSet            // and local.set
)

// opened is a block that is open where the decoder is.
type opened struct {
	// id is one more than that of the block that began before.
	id int
	// table is that of a loop which begins with one.
	table *jumpTable
}

type jumpTable struct {
	local   uint64
	targets []uint32
	// depth is how many blocks are open where the table stands.
	depth int
}

// threader follows blocks and constants to find jumps by way of a loop's table.
type threader struct {
	open     []opened
	blocks   int // that have begun
	at       progress
	head     int // index in open of the loop that begins
	local    uint64
	constant uint32
}

// tableCost is what the instructions that a threaded branch skips cost: local.get and br_table.
const tableCost = 2

// follow takes note of an instruction and, if it is a jump that can be threaded, changes where it goes.
func (t *threader) follow(in *instr) {
	before := t.at
	t.at = nothing
	switch in.op {
	case opBlock, opLoop, opIf:
		t.blocks++
		t.open = append(t.open, opened{id: t.blocks})
		void := int64(in.a) == blockVoid
		if in.op == opLoop && void {
			t.at, t.head = inHead, len(t.open)-1
		} else if in.op == opBlock && void && before == inHead {
			t.at = inHead
		}
	case opEnd:
		t.open = t.open[:max(0, len(t.open)-1)]
	case opLocalGet:
		if before == inHead {
			t.at, t.local = readLocal, in.a
		}
	case opBrTable:
		if before == readLocal {
			t.open[t.head].table = &jumpTable{t.local, slices.Clone(in.targets), len(t.open)}
		}
	case opI32Const:
		t.at, t.constant = afterConst, uint32(in.a)
	case opLocalSet:
		if before == afterConst {
			t.at, t.local = afterSet, in.a
		}
	case opBr:
		if before == afterSet {
			t.thread(in)
		}
	}
}

// thread changes a branch to a loop with a table, for which the local variable has just been set, if it leads to the end of an open block.
func (t *threader) thread(in *instr) {
	loop := len(t.open) - 1 - int(in.a)
	if loop < 0 || t.open[loop].table == nil || t.open[loop].table.local != t.local {
		return
	}
	table := t.open[loop].table
	target := table.targets[min(uint64(t.constant), uint64(len(table.targets)-1))]
	to := table.depth - 1 - int(target)
	// The blocks between loop and table began one after the other, and other blocks may have taken their places since.
	if to <= loop || to >= len(t.open) || t.open[to].id != t.open[loop].id+to-loop {
		return
	}
	in.a, in.b = uint64(len(t.open)-1-to), tableCost
}

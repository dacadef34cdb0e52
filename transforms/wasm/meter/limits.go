package meter

// Limits of a module. Those without another reason are the limits that browsers agreed on (WebAssembly JavaScript Interface,
// "Implementation-defined Limits"); they keep a small file from making the compiler allocate gigabytes.
const (
	maxTypes         = 1_000_000
	maxFunctions     = 1_000_000
	maxImports       = 100_000
	maxExports       = 100_000
	maxGlobals       = 1_000_000
	maxSegments      = 100_000
	maxTables        = 100_000
	maxParams        = 1000 // and results
	maxLocals        = 50_000
	maxAllLocals     = 10_000_000 // of all functions, for which the runtime keeps a byte each
	maxFunctionBytes = 7_654_321
	maxBranchTargets = 65_520
	// maxItems bounds what the section's length bounds already.
	maxItems = 1 << 30

	// MaxTableElements is how many elements all tables of a module have together, at the start or grown: 1 MiB of the host's memory,
	// which a memory limit does not count, and the longest that one table instruction can work without a safepoint.
	MaxTableElements = 1 << 17
	// pieceBytes is the most that one bulk memory instruction works on without a safepoint: about 0.1 ms.
	pieceBytes = 1 << 20
)

// The runtime's compiler takes a time that grows with the square of a function's branches, and cannot be interrupted: 16,000 loops, in a
// file of 110 KB, took it a minute.
const (
	jointTime     = 40  // ns, for each pair of joints
	loopTime      = 200 // ns, for each pair of loops
	valueTime     = 100 // ns, for each value of a call or of a block's type
	targetsAJoint = 10
	// maxCompileTime is the most for a whole module, in nanoseconds. A module of Go with 6 MB takes 1.4 s by this measure.
	maxCompileTime = 60_000_000_000
)

// Costs, in units of fuel. One unit is about one instruction.
const (
	costCall         = 3       // beyond the instruction itself: frame and stack check
	costCallIndirect = maxFree // the checks of the table, and functions that are charged to their callers
	costCallImport   = 100     // leaving the guest and coming back
	costDivide       = 6
	costBulk         = 8
	costGrowPage     = 2048 // a page's first use: 16 page faults
	bytesPerUnit     = 16   // of bulk memory instructions
	elemsPerUnit     = 2    // of table instructions

	// slice is how much fuel is spent between two safepoints: at one cache miss an instruction still under 2 ms, and a
	// safepoint takes less than a hundredth of it.
	slice = 1 << 14
	// prepaid is how much of it each function on the stack takes in advance and spends in a local variable.
	prepaid = 1 << 10
	// maxPending is how much a straight run of instructions may cost before it is paid.
	maxPending = 1 << 11
	// maxFree is how much a function may cost that is charged to its caller.
	maxFree = 40
	// straightMax is how much a function without loops may cost to be charged as a whole when it is entered, by its longest way: with
	// 4096, Go with encoding/json is 2 % quicker and spends 2.0 units an instruction rather than 1.6.
	straightMax = 1 << 8
)

// The stack of calls. wazero keeps it in the host's memory and lets it grow to some 100 MiB; what a frame takes there is not known
// before it is compiled, so that frames are weighed.
const (
	// MaxStackBytes is how large the frames of functions that may recurse become together, by their weights.
	MaxStackBytes = 4 << 20
	frameBytes    = 96
	// bytesPerInstruction makes up for values that are neither parameters nor locals.
	bytesPerInstruction = 1
	weightUnit          = 16
	// maxChain bounds the frames of functions that cannot recurse and are therefore not counted, in units of weightUnit.
	maxChain = 1 << 20 / weightUnit
)

const (
	// threshold is how much more may be pending on one of the ways that meet at a label than on the others, before it is paid apart: how
	// far fuel may be from the number of instructions at each label.
	threshold = 32
	// dispatch is how much may be pending at a br_table without being paid there.
	dispatch = 8
	// freeBytes is the length up to which a bulk memory instruction costs no more than its flat price.
	freeBytes = 64
)

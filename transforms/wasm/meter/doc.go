// Package meter rewrites WebAssembly modules so that they count the work they do and stop when it is too much.
//
// Go cannot interrupt compiled WebAssembly: a guest that spins blocks not only its caller but, as soon as a garbage collection
// waits for it, the whole process. The runtime's own remedy, a check of a context at every loop, costs a module most of its speed (5 to 35
// times slower loops, measured with wazero 1.12). [Rewrite] puts checks into the module itself that the compiler can optimize.
//
// # What always holds
//
//   - A module that is invalid is refused, here or by the runtime afterwards: every index that the module uses is checked to be below its
//     own counts, so that nothing appended can be named, and instructions are written anew in their shortest form, so that the runtime
//     reads what was read here. The caller has the original validated all the same.
//   - A metered module does what the original does: same results, same traps, same memory. It may trap where the original would not, for
//     one of the causes in [ExportCause]; tables may fail to grow beyond [MaxTableElements]; the start function runs when the host calls it.
//   - The fuel spent is the same on every machine, and no less than the number of instructions executed, nop and what only begins and
//     ends blocks apart.
//   - Between two safepoints, where Go's collector can stop the goroutine, lies a bounded amount of work: some ten thousand instructions,
//     or a piece of 1 MiB of a bulk memory instruction.
//   - The stack of functions that may recurse is bounded, long before the runtime's own limit of 100 MiB.
//
// # What is injected
//
// A module gets four mutable globals, exported under reserved names, and some functions. One global, work, holds the fuel up to the next
// safepoint and the depth of the stack in one word, so that one addition and one test do for both. When it is exhausted a function refills it
// from the second, budget, and executes memory.grow 0, which is a safepoint; or it sets cause and traps. The third, stop, lets the host end
// a call from another goroutine.
//
// Each function is metered in one of four ways (mode). Short functions that call nothing else are paid for by their callers. Functions
// without loops pay once, when they are entered, what the longest way through them costs. Functions with loops count in a local variable, which
// starts with an advance; a branch back to a loop subtracts what ran since the last payment and asks for a new advance when it is
// spent; the rest is settled at the function's end, behind a block that wraps its body. Functions that may be on the stack twice,
// by the graph of calls, also add their weight to the stack's depth when they are entered and take it off at the end.
//
// Go's compiler writes each jump of the source as a branch back to a loop around the function, which begins with a jump table. Those
// that go forwards are threaded first: they branch to where the table leads (thread.go). What is left are the loops of the source.
//
// What ran since the last payment is known at each place of the code (pending), because it is made the same on all ways that meet there:
// at a label the cost of the most expensive one counts, unless it is dearer by threshold: then it pays before. A branch back pays what it
// has pending beyond what the loop began with. The payments on any way that comes back to a place are therefore together no less than
// what it costs, which is never nothing, and each such way passes a check, in a branch back or where a function begins or ends. Between
// two checks runs no more than the straight code of one function, of which maxPending is paid and checked at once.
//
// Instructions on memory and tables whose work depends on an operand are charged by its value; long ones are done in pieces.
//
// # What it costs
//
// Measured against no metering at all, amd64, the quickest of many turns: C loops -3 to 2 % on the average of eight alignments of the code, each
// of them up to 7 % more or less; calls through pointers 6 %, a filter of JSON in C 8 %, calls in short loops 13 to 34 % as the code
// lies, plain recursion 20 %; Go with loops over bytes 9 to 25 %, with JSON -5 to 1 %: threaded jumps save as much as metering costs, 26 %
// without them. Compiling takes a tenth longer.
//
// The forms of the checks are chosen for what wazero's compiler makes of them; BenchmarkLoops shows what another form costs:
//
//   - A check must not be where a loop begins: values that change in the loop would be kept in memory because of the call that it
//     makes. It stands at the branch back, in an if whose then-branch is the common case (measured 23 % against 0).
//   - The common case comes first in an if with else: the compiler takes the registers of the branch that it sees first for those behind.
package meter

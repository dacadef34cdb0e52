// Package stage defines what a transform is, runs a chain of them over a batch, and isolates the records that break one.
//
// A transform maps a batch to an [Output]: exactly one [Result] for each input, and the outputs that the results refer
// to. An error of Apply is about the whole batch; the chain then finds the records that cause it.
//
// # What always holds
//
// Whatever a transform does (it returns an error, panics, answers with results that do not fit, blames the wrong record),
// for a batch that [Chain.Run] does not refuse as a whole:
//
//  1. Every record has exactly one fate: its outputs, or that it was dropped, or one failure.
//  2. Outputs come in the order of their records, each once. A call that failed leaves nothing behind, but for the results
//     that its error says are complete ([Partial]).
//  3. A record fails for one of two reasons: its own result says so; or a call with this record alone failed, and not in a
//     state that other records may have spoilt ([Tainted], [Fresh]). Suspicion is no proof, be it the module's own cursor
//     ([Culprit]) or that all others passed.
//  4. The failure carries a code, a reason and the record as it entered the stage. A record is dead as a whole: siblings of
//     an output that failed are not delivered, so that the dead letter, sent in again, makes each output once.
//  5. A stage makes at most 1 + 2n + 3·max(32, n/16) calls for a batch of n records, and two for each part more: one full of
//     poison is worked off record by record. If g of them are guilty, it makes at most 1 + 2g·(4 + log2 n), unless the
//     transform suspects the wrong records, has a state that breaks, or fails at a high price ([Dear]).
//  6. What the stages make of a batch takes bounded memory, however much that is. A stage holds the outputs of one call, and of more
//     only up to 16 MiB; those of one record of the stream take at most [MaxOutput], or the record fails. A call is as large
//     as the transform makes it: one that can make much of little asks [Output.Full] between records.
//  7. A record that has passed a stage does not enter it again: only the records of a call that failed are tried again, and, of a
//     record of the stream that has become several, those whose siblings the stage refused.
//
// An error that does not blame a record refuses its records, and those after them: if its class is not Permanent, the transform cannot
// work for now. What it has made of those before them counts.
//
// # How the guilty are found
//
// Those before the record that the error suspects are tried, then that record alone, then those after it. Without a suspect the batch
// is halved. After max(32, n/16) failed calls with several records, or one that was dear, the rest is tried one by one.
//
// # Parts
//
// Once a stage's outputs are full, the rest of its input waits; these outputs go on through the stages after it, and each of those
// may become full too. What comes out at the end is a part: the fates of the first records of the batch, all of what each of
// them became. The next part begins at the deepest stage that has records in front of it.
//
// # A stage that fails too often, or cannot work
//
// A [Tolerance] watches the share of records that a stage fails. What it does beyond a limit is the pipeline's choice, but
// it is always said: once in the log, and for as long as it lasts by [Tolerance.Check]. A stage that cannot work rests until it can:
// its records wait where they are, and one call at a time tries it with a few of them, ever less often.
package stage

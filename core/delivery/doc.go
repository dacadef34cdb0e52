// Package delivery carries the records of one stream to one sink, exactly once where the sink is an object store.
//
// A [Delivery] does four things, again and again:
//
//  1. collect: it scans the stream's log, transforms the records, and appends each output to the buffer of its group (the
//     outputs whose prefix evaluates alike), across shards; within a buffer the records of a shard keep their order. A
//     buffer is compressed block by block; what exceeds the memory budget goes to a spool file that is not synced.
//  2. seal: a buffer that reaches its size or its age is finished in its spool file, which is synced; then a manifest is
//     made durable in core/state. It holds the object's key, size and checksum, where it goes, and the input positions
//     that it covers. Nothing leaves before its manifest is durable.
//  3. put: the spool file's bytes are put under the manifest's key, as often as it takes.
//  4. commit: one durable transaction marks the manifest's positions as delivered, moves the checkpoints and the counts
//     of the ledger. Then the spool file is removed.
//
// # After a crash
//
// Spool files without a manifest are removed; their records are read again from the log. Manifests without a commit are
// put again: the same bytes under the same key. Reading starts at the checkpoints, and positions that a manifest or a
// commit covers are passed over. None of this calls a transform or evaluates a prefix twice for the same object, so
// transforms may change between two runs, and need not be deterministic.
//
// An input whose outputs go to several buffers ties these buffers together: they are sealed in one transaction, so that
// either all outputs of an input are promised or none is.
//
// An error of the log, the state or the spool, or a permanent one of the chain, ends [Delivery.Run]. There is no other recovery than
// the one after a crash: the caller makes a new Delivery from what is durable. A chain that takes its time ends nothing, nor does a
// stage that cannot work for now, or rests: their records wait, and what was collected before is sealed at its age.
//
// # Ledger
//
// Every input is counted once: in = delivered + dropped + dead + expired + skipped + pending. An input is dead if any of
// its outputs cannot be delivered; then none of them is, and the input is written to the dead letters. The first five
// counts are durable per shard; pending is what the log holds and no commit covers. [Audit] checks it from durable state.
//
// An object that its sink refuses for good, or for longer than the retry time, goes to the dead letters as it is, and the
// inputs that it covers are dead. An input with outputs in several groups is covered by the object of its first output:
// if only another one is given up, it counts as delivered, and that object is among the dead letters all the same.
//
// # Bounds
//
// A batch whose outputs are many is collected in parts, in the order of its records; an input is whole within a part. A worker
// holds what the chain holds for one part ([stage.Chain.Run]) and, framed and compressed, that part until it is in its buffers;
// only small batches wait for their turn without a worker. So memory is bounded whatever a chain makes of a batch. After an
// error, or a crash, the parts that were collected are as good as batches: what is promised of them stays, and the rest
// is read again.
//
// Buffers are sealed before their size and age when there are too many of them for the memory budget (the oldest), when
// they take more of the disk than they leave free (the largest), and when the covered positions exceed their budget (the
// oldest). Nothing is collected while too many sealed objects, or too many positions that they cover, wait for their
// commit: the log keeps the rest.
package delivery

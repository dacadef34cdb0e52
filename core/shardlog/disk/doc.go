// Package disk is the embedded engine of [shardlog.Log]: the log of one stream in one directory.
//
// All shards share one commit order. Appends from any number of callers join a group; a group becomes one block, which is
// written with one WriteAt and one fdatasync, and then every caller is told. Blocks fill preallocated segment files.
// FORMAT.md, beside this file, is the specification of what is on the disk.
//
// What always holds:
//
//  1. An append that was acked is durable. Nothing that was acked is lost, reordered or stored twice.
//  2. Positions in a shard start at 1 and have no gap. Arrival times never go backwards within a shard.
//  3. Readers, scanners and State never show what is not durable yet.
//  4. A torn tail, which was never acked, is cut without a word. Damage below an offset that the log knows to be synced
//     (every block promises one, and an idle log writes a block for the promise alone) is reported as ErrCorrupt with
//     segment, offset and region; the log never shortens itself because of it.
//  5. The first write or sync error poisons the log: no more writes until it is opened again. A sync is never repeated
//     on the same file, for after an error the kernel may have dropped what it could not write.
//  6. After a recovery the log writes to a new segment, never behind a tail that was in doubt. What recovery keeps of a
//     tail without a promise it writes again before it syncs, for the reason in 5.
//  7. A mark is stored in the block of the records it belongs to; resharding is one block. Both are there or not.
//  8. A segment leaves as a whole and from the old end only; a damaged one is set aside, not deleted.
//  9. Footers are caches: every entry carries a checksum, what it points to must be the run that was asked for, and a
//     scan of the blocks can rebuild it.
//  10. Memory is bounded: two blocks in flight and one being filled, the run index of unsealed segments, and caches of a
//     fixed size for the sealed ones. An idle log has no goroutine and no buffer, and one timer.
//
// Who locks what: Log.mu guards the group being filled; Log.idx guards the shards, the segment list and the marks as
// readers see them. A group being committed owns the write position from the moment its predecessor is placed until it is
// placed itself. Locks are taken in the order mu, idx, and neither is held during i/o.
package disk

// Package state is a small transactional key-value store for everything that is not records: the stream map, checkpoints,
// manifests, consumers, tags.
//
// All keys are in memory. A transaction is one or more records of a journal, which is a [shardlog.Log] of one shard in
// the folder journal; transactions that arrive together share a sync. From time to time all keys are written to the file
// snapshot, and the journal behind it may go. FORMAT.md, beside this file, is the specification of both.
//
// What always holds:
//
//  1. A transaction whose Update returned nil is durable. One whose Update failed is not visible, and after a crash it is
//     there as a whole or not at all.
//  2. Transactions are serial: each sees all before it, and they are stored in that order. What is there after a crash is
//     a prefix of them that holds every acked one.
//  3. View shows durable transactions only, all of one moment, and never waits.
//  4. When the journal cannot be written the store takes no further updates until it is opened again; View goes on. A full
//     disk is no such case: updates fail with a retryable error until there is room.
//  5. The snapshot replaces the one before in one step. A damaged one is an error that names it; nothing is guessed.
package state

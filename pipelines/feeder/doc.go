// Package feeder tails files into a stream, as the Kinesis Agent does: each line becomes a record, exactly once.
//
//	f, err := feeder.New(feeder.Config{
//		Name:   "birdstrikes",
//		Inputs: []feeder.Input{{Paths: []string{"/data/*.csv"}, SkipLines: 1, Key: feeder.Key{CSVColumn: 5}}},
//	}, stream, logger)
//	err = f.Run(ctx) // until ctx is done or, with UntilIdle, until all is read
//
// # Lines
//
// A line ends with a newline (\n); one carriage return (\r) before it belongs to the line end. What remains is the record's
// data, byte for byte: no character set is assumed and a byte order mark is kept. Empty lines are passed over and counted.
// So is a line longer than [Input.MaxLine], or than the stream takes together with its key: half a row that still looks
// like one would be worse than none. It is counted (LongLines) and the first of a file is logged with its place. A row of
// CSV with a newline inside quotes is two lines.
//
// The first [Input.SkipLines] lines of each file are not records, empty or not; every new file at a path has them again.
// Files that begin as gzip, zstd, xz and zip archives or UTF-16 text do are refused.
//
// # A last line without a newline
//
// It may be half written, so it waits: until its newline comes, or until the file has been unchanged for [Config.Settle]
// (5 s). Then it is taken as it is. A run until idle takes it at once if the file's modification time is that long ago.
// When the file grows after its last line was taken:
//   - if a line end comes first, it only ends the line that was taken: appending "\nrow\n" makes exactly one record, row;
//   - anything else up to the next newline is a record of its own, counted as an interrupted line and logged.
//
// An unterminated header line and an unterminated line that is too long are never taken.
//
// # Keys
//
// A [Key] is a column, a JSON field, a constant, or random (new every few lines). A line in which it is not found gets [Keyless],
// is counted, and goes into the stream like all others: judging rows is the transforms' business. Columns are counted as RFC
// 4180 has them; a line whose quotes are broken up to the key's column is keyless. JSON is read as by package jq, so that the
// same path gives the same text as a partition key of a sink; a line that is not JSON from end to end is keyless. A key is
// cut off after 256 characters, and its invalid UTF-8 becomes U+FFFD.
//
// # Order
//
// The records of a file enter the stream in their order, and so those with the same key stay in order in their shard
// unless shards are split or merged under way. There is no order between files, but a renamed file and its successor at
// the path are two files.
//
// # Positions
//
// After each put the stream holds, stored in one step with the records, a mark: how far the file has been read. A crash at
// any moment leaves both or neither. A put whose outcome is unknown is looked up in the mark before it is tried again.
// There are as many marks as there were files at a time; the marks of deleted files are used again.
//
// The mark names a file by its device and inode, and proves it by two fingerprints: of the first 1,024 bytes (fewer if
// fewer were read), and of the 256 bytes before the position. Each read checks both in the file as it is then. Hence:
//   - A renamed file goes on where it was. The new file at its old path starts at its beginning.
//   - A file that replaces another (an editor that saves by renaming, sed -i, a copy) is a new file and is read from its
//     beginning, whatever is in it. Append to a file to have only the new rows read.
//   - A new file that was given the inode of a deleted one is noticed, because its bytes differ, and read from its beginning.
//   - Marks belong to the feeder's name. Under another one it reads all files from their beginning, and warns if they are in the stream
//     already ([Config.Others]).
//   - If only the device number has changed (a reboot, a remount), path and inode and both fingerprints must agree.
//
// # Rotation by renaming
//
// Nothing is lost or doubled. If the new name matches an input, the file is simply read on. If not, it is read to its end
// as long as it is held open ([Config.MaxOpen]; those unchanged for the longest time are closed first) or is found in its
// old folder by its inode, also after a restart; it is let go after [Config.RotateWait] without a change. A deleted file
// that is held open is read to its end likewise. What cannot be read: the last lines of a file that was not held open, or that was
// rotated while no feeder ran, if it was deleted, compressed or moved to another folder, if none of its lines had been stored,
// or if it was truncated as well, so that nothing proves that it is the file of the mark.
//
// A file that was let go and later matches again goes on at its position, unless 1,000 others were let go since.
//
// # Truncation
//
// A file that is shorter than the position, or whose fingerprints differ, was truncated or overwritten: it is read from
// its beginning. This is counted (Truncations) and logged. With logrotate's copytruncate, lines can be lost, and no reader
// can help it:
//   - lines written between the copy and the truncation are in neither file;
//   - lines not yet read at the truncation are only in the copy. If the copy matches an input, it is a new file, and all
//     its lines are read (again, those that had been read from the original). If it does not, they are lost. Bytes that had
//     been seen but not read by then are counted (LostBytes); they are a lower bound.
//
// A truncation goes unnoticed only if, before the next look at it, the file has grown to its position again with both
// fingerprints unchanged. Rename instead of copying where you can.
//
// # Pace
//
// Files are looked at every [Config.Poll] (250 ms), by their size and time, without a dependency on the kernel's
// notifications, which network file systems do not have. With very many files the pauses grow so that this takes at most
// a twentieth of a core. Up to [Config.Parallel] files are read at once. While one piece of a file is being put, the next
// is read and split. When the stream takes nothing, the same piece is tried again, with growing pauses and jitter, and
// nothing is skipped; when it is throttled, pieces are halved so that they fit a shard's write limit. Memory is bounded by
// two buffers for each file read at once, and some 500 bytes for each file that matches, up to 100,000 files.
//
// A file that cannot be read is logged once and tried again every 5 s, while the others go on.
package feeder

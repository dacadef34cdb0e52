// Package capacity lets on-demand streams follow their load.
//
// A [Follower] looks at all on-demand streams of a registry once a minute, with one goroutine for all of them, and splits
// and merges their shards as a [Controller] decides for each of them. Loads are counted in what one shard takes: 1 MiB/s
// or 1,000 records/s, whichever is nearer to being reached, or the stream's own write limit.
//
// # Rules
//
//  1. A stream has at least twice as many shards as it had load in its busiest minute of the last 30 days (a peak counts
//     for 30 to 31 days), from 4 up to 200. A warm throughput raises both bounds. These are the figures of the Kinesis
//     service, whose own pace is not documented.
//  2. It grows at once: in each minute every shard may be split, so that a stream doubles. A load that more than doubles
//     what it ever was is throttled until then: one that is tenfold at once, for three minutes.
//  3. A shard that is 80 % full, or turned records away, is split however little the others do; where, says a sample of the
//     hash keys of its records. It is not split if nearly all of them have one hash key, for nothing would be won.
//  4. It shrinks slowly: one merge in 15 minutes, of two neighbours that together were never more than 60 % full in the
//     last 30 days, as long as there are more shards than rule 1 asks for. Children of a split are first watched for a
//     whole day. A split and a merge therefore never undo each other while a load repeats itself from day to day.
//  5. A stream never grows beyond its ceiling, [stream.MaxShards], or the quota of the account, which do not take shards away
//     that it was created with.
//  6. What a stream needed is durable before its shards change: a restart forgets at most the minute under way. It takes
//     31 numbers for the stream and for each of its open shards, in the state store under "capacity/<incarnation>".
//  7. A stream that comes from the provisioned mode keeps its shards for 30 days, then rule 4 applies. One that goes there
//     keeps its shards, and its history is removed.
//
// # Forty days
//
//	day       load, MiB/s   shards   splits  merges  refused
//	1         1.0 to 4.1    4 to 9        5       0    0.00%
//	2 to 5    1.0 to 4.1    9             0       0    0.00%
//	6         1.0 to 41.1   9 to 83      74       0    0.77%
//	7 to 36   1.0 to 4.1    83            0       0    0.00%
//	37        1.0 to 4.1    10 to 83      0      73    0.00%
//	38 to 40  1.0 to 4.1    10            0       0    0.00%
//
//	minute of the spike   load, MiB/s   shards   refused
//	0                     4.0           9          0.00%
//	1                     40.9          9         78.01%
//	2                     39.0          18        54.32%
//	3                     40.6          36        18.55%
//	4                     40.7          67         0.00%
//	5                     39.5          82         0.00%
//	6                     41.0          82         0.00%
//	7                     40.0          83         0.00%
//
// The file simulation.png beside this one shows the same. It is a simulation with real streams, logs, limits and reshards, in
// a file system in memory and with a clock that jumps: only the records are smaller, for its shards take 20 bytes a second.
// The load goes up and down once a day, and is tenfold for two hours of the sixth; each midnight the process is killed.
// The producer does not repeat what was refused.
package capacity

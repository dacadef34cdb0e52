// Package observe is how leat shows what it does: logs, metrics, health, and the small server for the last two.
//
// Health is "ok", "degraded" or "failing". Failing means that something that should run does not, and /healthz answers 503,
// so that a supervisor may act on it. Degraded means that everything runs and a person should look, for instance at a
// pipeline file with errors whose good version before it runs on; /healthz answers 200 and says what it is.
//
// Metrics are injected. A part gets a small struct ([StreamMetrics], [StreamCalls], [ReaderMetrics], [DeliveryMetrics],
// [TransformMetrics], [APIMetrics]) whose methods are cheap, may be called concurrently, and do nothing on nil; only this
// package knows Prometheus. Where a seam exists already, nothing needs to be injected: [MeasureFS] times a file system's syncs,
// [MeasureAppends] and [MeasureReads] watch a log.
//
// A metric that CloudWatch has too keeps CloudWatch's name in snake case behind leat_, with the unit and the _total that
// Prometheus expects: IncomingBytes is leat_incoming_bytes_total, DeliveryToS3.Success is leat_delivery_to_s3_success_total.
// Metrics of single shards begin with leat_shard_ and are there for streams only for which EnableEnhancedMonitoring has
// turned them on. What belongs to a stream, a consumer or a shard goes with it.
package observe

// Uses a stream of leat through the AWS SDK for JavaScript, version 3, which speaks HTTP/2: main.mjs ENDPOINT.
//
// Ends with an error when anything is not as Kinesis has it. Endpoint and credentials apart, nothing here knows of leat.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Kinesis,
  ResourceInUseException,
  ResourceNotFoundException,
  waitUntilStreamExists,
  waitUntilStreamNotExists,
} from "@aws-sdk/client-kinesis";

const StreamName = "javascript";
const readInterval = 250; // ms between two reads of a shard, which may be read 5 times a second

const kinesis = new Kinesis({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});

const keyOf = (n) => `key-${n % 10}`;

// put puts a record for each number from first to before end; those of a key are in order. What is throttled is put again.
async function put(first, end) {
  let records = [];
  for (let n = first; n < end; n++) records.push({ Data: Buffer.from(String(n)), PartitionKey: keyOf(n) });
  for (const record of records.splice(0, 3)) {
    const answer = await kinesis.putRecord({ StreamName, ...record });
    assert.match(answer.ShardId, /^shardId-\d{12}$/);
    assert.match(answer.SequenceNumber, /^\d{56}$/);
  }
  while (records.length > 0) {
    const answer = await kinesis.putRecords({ StreamName, Records: records });
    assert.equal(answer.Records.length, records.length);
    const failed = records.filter((_, i) => answer.Records[i].ErrorCode);
    assert.equal(answer.FailedRecordCount, failed.length);
    records = failed;
  }
}

async function putSlowly(first, end) {
  for (let n = first; n < end; n += 50) {
    await put(n, n + 50);
    await sleep(200);
  }
}

// Reader reads a stream as it grows, a shard after all its parents.
class Reader {
  iterators = new Map(); // shard: next iterator, undefined after its end
  numbers = [];

  async begin() {
    const { Shards } = await kinesis.listShards({ StreamName, ShardFilter: { Type: "AT_TRIM_HORIZON" } });
    for (const { ShardId } of Shards) await this.open(ShardId);
  }

  async open(ShardId) {
    const { ShardIterator } = await kinesis.getShardIterator({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
    this.iterators.set(ShardId, ShardIterator);
  }

  ended = (shard) => this.iterators.has(shard) && this.iterators.get(shard) === undefined;

  // read reads until enough records have come.
  async read(enough) {
    for (const end = Date.now() + 60_000; this.numbers.length < enough; await sleep(readInterval)) {
      assert(Date.now() < end, `${this.numbers.length} records of ${enough} have come`);
      for (const [shard, ShardIterator] of [...this.iterators]) {
        if (ShardIterator === undefined) continue;
        const answer = await kinesis.getRecords({ ShardIterator });
        assert(answer.MillisBehindLatest >= 0);
        for (const record of answer.Records) {
          const n = Number(Buffer.from(record.Data).toString());
          assert.equal(record.PartitionKey, keyOf(n));
          assert(Math.abs(Date.now() - record.ApproximateArrivalTimestamp) < 120_000);
          this.numbers.push(n);
        }
        this.iterators.set(shard, answer.NextShardIterator);
        for (const child of answer.ChildShards ?? []) {
          if (!this.iterators.has(child.ShardId) && child.ParentShards.every(this.ended)) await this.open(child.ShardId);
        }
      }
    }
  }

  check(count) {
    assert.deepEqual(this.numbers.toSorted((a, b) => a - b), Array.from({ length: count }, (_, n) => n));
    for (let key = 0; key < 10; key++) {
      const ofKey = this.numbers.filter((n) => n % 10 === key);
      assert.deepEqual(ofKey, ofKey.toSorted((a, b) => a - b), "records of a key out of order");
    }
  }
}

async function active(shards) {
  await waitUntilStreamExists({ client: kinesis, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName });
  const { StreamDescriptionSummary: summary } = await kinesis.describeStreamSummary({ StreamName });
  assert.equal(summary.StreamStatus, "ACTIVE");
  assert.equal(summary.OpenShardCount, shards);
  return summary.StreamARN;
}

async function reshardWhileReading() {
  const reader = new Reader();
  await reader.begin();
  await reader.read(300);
  const producer = putSlowly(300, 1300);
  const answer = await kinesis.updateShardCount({ StreamName, TargetShardCount: 4, ScalingType: "UNIFORM_SCALING" });
  assert.equal(answer.CurrentShardCount, 2);
  assert.equal(answer.TargetShardCount, 4);
  await reader.read(500);
  await active(4);
  const { Shards } = await kinesis.listShards({ StreamName, ShardFilter: { Type: "AT_LATEST" } });
  const start = (shard) => BigInt(shard.HashKeyRange.StartingHashKey);
  Shards.sort((a, b) => (start(a) < start(b) ? -1 : 1));
  await kinesis.mergeShards({ StreamName, ShardToMerge: Shards[0].ShardId, AdjacentShardToMerge: Shards[1].ShardId });
  await active(3);
  const middle = (start(Shards[3]) + BigInt(Shards[3].HashKeyRange.EndingHashKey)) / 2n;
  await kinesis.splitShard({ StreamName, ShardToSplit: Shards[3].ShardId, NewStartingHashKey: String(middle) });
  await active(4);
  await producer;
  await reader.read(1300);
  reader.check(1300);
}

async function fanOut(StreamARN) {
  const { Consumer } = await kinesis.registerStreamConsumer({ StreamARN, ConsumerName: "fan" });
  const { ConsumerARN } = Consumer;
  for (let status = ""; status !== "ACTIVE"; await sleep(100)) {
    status = (await kinesis.describeStreamConsumer({ ConsumerARN })).ConsumerDescription.ConsumerStatus;
  }
  const first = await kinesis.putRecord({ StreamName, Data: Buffer.from("first"), PartitionKey: "fan" });
  const { EventStream } = await kinesis.subscribeToShard({
    ConsumerARN,
    ShardId: first.ShardId,
    StartingPosition: { Type: "AT_SEQUENCE_NUMBER", SequenceNumber: first.SequenceNumber },
  });
  const got = [];
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    assert.match(event.ContinuationSequenceNumber, /^\d+$/);
    for (const record of event.Records) {
      got.push(Buffer.from(record.Data).toString());
      if (got.length === 1) await kinesis.putRecord({ StreamName, Data: Buffer.from("second"), PartitionKey: "fan" });
    }
    if (got.length >= 2) break;
  }
  assert.deepEqual(got, ["first", "second"]);
  await kinesis.deregisterStreamConsumer({ ConsumerARN });
}

assert.equal(kinesis.config.requestHandler.metadata.handlerProtocol, "h2", "the protocol of this SDK is not the one to be tested");
await kinesis.createStream({ StreamName, ShardCount: 2 });
const arn = await active(2);
await assert.rejects(kinesis.createStream({ StreamName, ShardCount: 2 }), ResourceInUseException);
await put(0, 300);
await reshardWhileReading();
await fanOut(arn);
await kinesis.deleteStream({ StreamName });
await waitUntilStreamNotExists({ client: kinesis, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName });
await assert.rejects(kinesis.describeStream({ StreamName }), ResourceNotFoundException);
kinesis.destroy();

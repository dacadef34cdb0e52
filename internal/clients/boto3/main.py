"""Uses a stream of leat through boto3: main.py ENDPOINT.

Ends with an assertion when anything is not as Kinesis has it. Endpoint and credentials apart, nothing here knows of leat.
"""

import sys
import threading
import time

import boto3

STREAM = "boto3"
READ_INTERVAL = 0.25  # seconds between two reads of a shard, which may be read 5 times a second


def client(endpoint):
    return boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


def put(kinesis, numbers):
    """Puts a record for each number; those of a key are in order. What is throttled is put again."""
    records = [{"Data": b"%d" % n, "PartitionKey": "key-%d" % (n % 10)} for n in numbers]
    for record in records[:3]:
        answer = kinesis.put_record(StreamName=STREAM, **record)
        assert answer["ShardId"].startswith("shardId-") and answer["SequenceNumber"].isdigit(), answer
    records = records[3:]
    while records:
        answer = kinesis.put_records(StreamName=STREAM, Records=records)
        failed = [r for r, a in zip(records, answer["Records"], strict=True) if "ErrorCode" in a]
        assert answer["FailedRecordCount"] == len(failed), answer
        records = failed


def put_slowly(kinesis, first, end):
    for n in range(first, end, 50):
        put(kinesis, range(n, n + 50))
        time.sleep(0.2)


class Reader:
    """Reads a stream as it grows, a shard after all its parents."""

    def __init__(self, kinesis):
        self.kinesis = kinesis
        self.iterators = {}  # shard: next iterator, None after its end
        self.numbers = []
        shards = kinesis.list_shards(StreamName=STREAM, ShardFilter={"Type": "AT_TRIM_HORIZON"})["Shards"]
        for shard in shards:
            self.open(shard["ShardId"])

    def open(self, shard):
        answer = self.kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        self.iterators[shard] = answer["ShardIterator"]

    def read(self, enough):
        """Reads until enough records have come."""
        end = time.time() + 60
        while len(self.numbers) < enough:
            assert time.time() < end, "%d records of %d have come, shards %s" % (len(self.numbers), enough, self.iterators)
            for shard, iterator in list(self.iterators.items()):
                if iterator is None:
                    continue
                answer = self.kinesis.get_records(ShardIterator=iterator)
                assert answer["MillisBehindLatest"] >= 0
                for record in answer["Records"]:
                    self.numbers.append(int(record["Data"]))
                    assert record["PartitionKey"] == "key-%d" % (self.numbers[-1] % 10), record
                    age = time.time() - record["ApproximateArrivalTimestamp"].timestamp()
                    assert -5 < age < 120, record
                self.iterators[shard] = answer.get("NextShardIterator")
                for child in answer.get("ChildShards", []):
                    known = child["ShardId"] in self.iterators
                    if not known and all(self.iterators.get(p, "") is None for p in child["ParentShards"]):
                        self.open(child["ShardId"])
            time.sleep(READ_INTERVAL)

    def check(self, count):
        assert sorted(self.numbers) == list(range(count)), "lost or doubled records"
        for key in range(10):
            of_key = [n for n in self.numbers if n % 10 == key]
            assert of_key == sorted(of_key), "records of a key out of order"


def wait_active(kinesis, shards):
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    summary = kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]
    assert summary["StreamStatus"] == "ACTIVE" and summary["OpenShardCount"] == shards, summary
    return summary["StreamARN"]


def reshard_while_reading(kinesis):
    reader = Reader(kinesis)
    reader.read(300)
    producer = threading.Thread(target=put_slowly, args=(kinesis, 300, 1300))
    producer.start()
    answer = kinesis.update_shard_count(StreamName=STREAM, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4), answer
    reader.read(500)
    wait_active(kinesis, 4)
    shards = kinesis.list_shards(StreamName=STREAM, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    shards.sort(key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))
    kinesis.merge_shards(StreamName=STREAM, ShardToMerge=shards[0]["ShardId"], AdjacentShardToMerge=shards[1]["ShardId"])
    wait_active(kinesis, 3)
    first, last = (int(shards[3]["HashKeyRange"][k]) for k in ("StartingHashKey", "EndingHashKey"))
    kinesis.split_shard(StreamName=STREAM, ShardToSplit=shards[3]["ShardId"], NewStartingHashKey=str((first + last) // 2))
    wait_active(kinesis, 4)
    producer.join()
    reader.read(1300)
    reader.check(1300)


def fan_out(kinesis, arn):
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="fan")["Consumer"]
    while kinesis.describe_stream_consumer(ConsumerARN=consumer["ConsumerARN"])["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
        time.sleep(0.1)
    shard = kinesis.put_record(StreamName=STREAM, Data=b"first", PartitionKey="fan")
    events = kinesis.subscribe_to_shard(
        ConsumerARN=consumer["ConsumerARN"],
        ShardId=shard["ShardId"],
        StartingPosition={"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": shard["SequenceNumber"]},
    )["EventStream"]
    got = []
    for event in events:
        event = event["SubscribeToShardEvent"]
        assert event["ContinuationSequenceNumber"].isdigit() and event["MillisBehindLatest"] >= 0, event
        got += [r["Data"] for r in event["Records"]]
        if got == [b"first"]:
            kinesis.put_record(StreamName=STREAM, Data=b"second", PartitionKey="fan")
        if len(got) == 2:
            break
    events.close()
    assert got == [b"first", b"second"], got
    kinesis.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])


def main(endpoint):
    kinesis = client(endpoint)
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    arn = wait_active(kinesis, 2)
    try:
        kinesis.create_stream(StreamName=STREAM, ShardCount=2)
        raise AssertionError("a stream was made twice")
    except kinesis.exceptions.ResourceInUseException:
        pass
    put(kinesis, range(300))
    reshard_while_reading(kinesis)
    fan_out(kinesis, arn)
    kinesis.delete_stream(StreamName=STREAM)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    try:
        kinesis.describe_stream(StreamName=STREAM)
        raise AssertionError("a deleted stream is there")
    except kinesis.exceptions.ResourceNotFoundException:
        pass


if __name__ == "__main__":
    main(sys.argv[1])

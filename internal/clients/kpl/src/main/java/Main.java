import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;
import software.amazon.kinesis.retrieval.AggregatorUtil;
import software.amazon.kinesis.retrieval.KinesisClientRecord;

/**
 * Puts aggregated records into a stream of leat through the Kinesis Producer Library, which speaks TLS alone: Main ENDPOINT
 * PORT CA, where PORT is that of TLS on localhost and CA the file with the certificate to trust. They are read back without
 * TLS, and taken apart by the Kinesis Client Library.
 *
 * <p>Ends with an exception when anything is not as Kinesis has it. Endpoints and credentials apart, nothing here knows of leat.
 */
public final class Main {
  private static final String STREAM = "kpl";
  private static final int RECORDS = 5000;

  public static void main(String[] args) throws Exception {
    StaticCredentialsProvider credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
    KinesisAsyncClient kinesis = KinesisAsyncClient.builder().endpointOverride(URI.create(args[0])).region(Region.US_EAST_1)
        .credentialsProvider(credentials).build();
    kinesis.createStream(r -> r.streamName(STREAM).shardCount(2)).join();
    kinesis.waiter().waitUntilStreamExists(r -> r.streamName(STREAM)).join();

    int port = Integer.parseInt(args[1]);
    KinesisProducer producer = new KinesisProducer(new KinesisProducerConfiguration()
        .setCredentialsProvider(credentials).setRegion("us-east-1")
        .setKinesisEndpoint("localhost").setKinesisPort(port).setCaCertFile(args[2])
        .setStsEndpoint("localhost").setStsPort(port) // it asks for the account's id, and goes on without
        .setMetricsLevel("none"));
    List<Future<UserRecordResult>> results = new ArrayList<>();
    for (int n = 0; n < RECORDS; n++) {
      results.add(producer.addUserRecord(STREAM, "key-" + n % 10, ByteBuffer.wrap(("record " + n).getBytes(StandardCharsets.UTF_8))));
    }
    producer.flush();
    for (Future<UserRecordResult> result : results) {
      UserRecordResult put = result.get(60, TimeUnit.SECONDS);
      check(put.isSuccessful() && put.getSequenceNumber().length() == 56, "a record was not put: " + put.getAttempts());
    }
    producer.destroy();
    readBack(kinesis);
    kinesis.deleteStream(r -> r.streamName(STREAM)).join();
    kinesis.close();
  }

  private static void check(boolean ok, String otherwise) {
    if (!ok) {
      throw new AssertionError(otherwise);
    }
  }

  private static void readBack(KinesisAsyncClient kinesis) throws Exception {
    List<Integer> numbers = new ArrayList<>();
    Map<String, Integer> inside = new HashMap<>(); // how many records an aggregated one holds, by its sequence number
    for (Shard shard : kinesis.listShards(r -> r.streamName(STREAM)).join().shards()) {
      String iterator = kinesis.getShardIterator(r -> r.streamName(STREAM).shardId(shard.shardId()).shardIteratorType(ShardIteratorType.TRIM_HORIZON))
          .join().shardIterator();
      for (GetRecordsResponse answer;; iterator = answer.nextShardIterator()) {
        String from = iterator;
        answer = kinesis.getRecords(r -> r.shardIterator(from)).join();
        List<KinesisClientRecord> stored = answer.records().stream().map(KinesisClientRecord::fromRecord).toList();
        for (KinesisClientRecord record : new AggregatorUtil().deaggregate(stored)) {
          int n = Integer.parseInt(StandardCharsets.UTF_8.decode(record.data()).toString().substring("record ".length()));
          check(record.partitionKey().equals("key-" + n % 10), record.toString());
          numbers.add(n);
          inside.merge(record.sequenceNumber(), 1, Integer::sum);
        }
        if (answer.millisBehindLatest() == 0 && answer.records().isEmpty()) {
          break;
        }
        Thread.sleep(250); // a shard may be read 5 times a second
      }
    }
    check(numbers.stream().sorted().toList().equals(IntStream.range(0, RECORDS).boxed().toList()), "lost or doubled records: " + numbers.size());
    check(inside.size() < RECORDS / 10, RECORDS + " records in " + inside.size() + ": they were not aggregated");
  }
}

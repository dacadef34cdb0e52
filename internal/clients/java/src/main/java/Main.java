import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.interceptor.SdkExecutionAttribute;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;

/**
 * Uses a stream of leat through the AWS SDK for Java, version 2: Main ENDPOINT. Its asynchronous client speaks HTTP/2 with
 * prior knowledge, and CBOR.
 *
 * <p>Ends with an exception when anything is not as Kinesis has it. Endpoint and credentials apart, nothing here knows of leat.
 */
public final class Main {
  private static final String STREAM = "java";
  private static final Duration READ_INTERVAL = Duration.ofMillis(250); // of a shard, which may be read 5 times a second

  private final KinesisAsyncClient kinesis;

  private Main(KinesisAsyncClient kinesis) {
    this.kinesis = kinesis;
  }

  public static void main(String[] args) throws Exception {
    try (KinesisAsyncClient kinesis = KinesisAsyncClient.builder()
        .endpointOverride(java.net.URI.create(args[0]))
        .region(Region.US_EAST_1)
        .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")))
        .overrideConfiguration(o -> o.addExecutionInterceptor(new TypeOfRequests()))
        .build()) {
      new Main(kinesis).everything();
    }
  }

  /** Makes sure that what is tested is what this SDK does by default: CBOR, but for the one operation with an event stream. */
  private static final class TypeOfRequests implements ExecutionInterceptor {
    @Override
    public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
      String type = context.httpRequest().firstMatchingHeader("Content-Type").orElse("none");
      boolean events = attributes.getAttribute(SdkExecutionAttribute.OPERATION_NAME).equals("SubscribeToShard");
      check(type.equals(events ? "application/x-amz-json-1.1" : "application/x-amz-cbor-1.1"), "a request of the type " + type);
    }
  }

  private void everything() throws Exception {
    kinesis.createStream(r -> r.streamName(STREAM).shardCount(2)).join();
    String arn = active(2);
    refused(ResourceInUseException.class, kinesis.createStream(r -> r.streamName(STREAM).shardCount(2)));
    put(0, 300);
    reshardWhileReading();
    fanOut(arn);
    kinesis.deleteStream(r -> r.streamName(STREAM)).join();
    kinesis.waiter().waitUntilStreamNotExists(r -> r.streamName(STREAM)).join();
    refused(ResourceNotFoundException.class, kinesis.describeStream(r -> r.streamName(STREAM)));
  }

  private static void check(boolean ok, String otherwise) {
    if (!ok) {
      throw new AssertionError(otherwise);
    }
  }

  private static void refused(Class<? extends KinesisException> with, CompletableFuture<?> call) {
    try {
      call.join();
    } catch (CompletionException e) {
      check(with.isInstance(e.getCause()), "refused otherwise than with " + with + ": " + e.getCause());
      return;
    }
    throw new AssertionError("not refused with " + with);
  }

  private String active(int shards) {
    kinesis.waiter().waitUntilStreamExists(r -> r.streamName(STREAM)).join();
    StreamDescriptionSummary summary = kinesis.describeStreamSummary(r -> r.streamName(STREAM)).join().streamDescriptionSummary();
    check(summary.streamStatus() == StreamStatus.ACTIVE && summary.openShardCount() == shards, summary.toString());
    check(Duration.between(summary.streamCreationTimestamp(), Instant.now()).abs().toMinutes() < 5, summary.toString());
    return summary.streamARN();
  }

  private static String keyOf(int n) {
    return "key-" + n % 10;
  }

  /** Puts a record for each number from first to before end; those of a key are in order. What is throttled is put again. */
  private void put(int first, int end) {
    for (int n = first; n < first + 3; n++) {
      SdkBytes data = SdkBytes.fromUtf8String(Integer.toString(n));
      String key = keyOf(n);
      PutRecordResponse answer = kinesis.putRecord(r -> r.streamName(STREAM).partitionKey(key).data(data)).join();
      check(answer.shardId().startsWith("shardId-") && answer.sequenceNumber().length() == 56, answer.toString());
    }
    List<PutRecordsRequestEntry> records = IntStream.range(first + 3, end)
        .mapToObj(n -> PutRecordsRequestEntry.builder().partitionKey(keyOf(n)).data(SdkBytes.fromUtf8String(Integer.toString(n))).build())
        .toList();
    while (!records.isEmpty()) {
      List<PutRecordsRequestEntry> all = records;
      PutRecordsResponse answer = kinesis.putRecords(r -> r.streamName(STREAM).records(all)).join();
      records = IntStream.range(0, all.size()).filter(i -> answer.records().get(i).errorCode() != null).mapToObj(all::get).toList();
      check(answer.failedRecordCount() == records.size() && answer.records().size() == all.size(), answer.toString());
    }
  }

  /** Reads a stream as it grows, a shard after all its parents. */
  private final class Reader {
    private static final String ENDED = "";
    private final Map<String, String> iterators = new HashMap<>(); // by shard
    private final List<Integer> numbers = new ArrayList<>();

    Reader() {
      for (Shard shard : shards(ShardFilterType.AT_TRIM_HORIZON)) {
        open(shard.shardId());
      }
    }

    private void open(String shard) {
      iterators.put(shard, kinesis.getShardIterator(r -> r.streamName(STREAM).shardId(shard).shardIteratorType(ShardIteratorType.TRIM_HORIZON))
          .join().shardIterator());
    }

    /** Reads until enough records have come. */
    void read(int enough) throws InterruptedException {
      for (Instant end = Instant.now().plusSeconds(60); numbers.size() < enough; Thread.sleep(READ_INTERVAL.toMillis())) {
        check(Instant.now().isBefore(end), numbers.size() + " records of " + enough + " have come");
        for (String shard : List.copyOf(iterators.keySet())) {
          if (!iterators.get(shard).equals(ENDED)) {
            readOnce(shard);
          }
        }
      }
    }

    private void readOnce(String shard) {
      GetRecordsResponse answer = kinesis.getRecords(r -> r.shardIterator(iterators.get(shard))).join();
      for (software.amazon.awssdk.services.kinesis.model.Record record : answer.records()) {
        int n = Integer.parseInt(record.data().asUtf8String());
        Duration age = Duration.between(record.approximateArrivalTimestamp(), Instant.now());
        check(record.partitionKey().equals(keyOf(n)) && age.abs().toMinutes() < 2, record.toString());
        numbers.add(n);
      }
      iterators.put(shard, answer.nextShardIterator() == null ? ENDED : answer.nextShardIterator());
      for (ChildShard child : answer.childShards()) {
        boolean known = iterators.containsKey(child.shardId());
        if (!known && child.parentShards().stream().allMatch(p -> ENDED.equals(iterators.get(p)))) {
          open(child.shardId());
        }
      }
    }

    void verify(int count) {
      check(numbers.stream().sorted().toList().equals(IntStream.range(0, count).boxed().toList()), "lost or doubled records: " + numbers);
      for (int key = 0; key < 10; key++) {
        int wanted = key;
        List<Integer> ofKey = numbers.stream().filter(n -> n % 10 == wanted).toList();
        check(ofKey.equals(ofKey.stream().sorted().toList()), "records of a key out of order: " + ofKey);
      }
    }
  }

  private List<Shard> shards(ShardFilterType type) {
    return kinesis.listShards(r -> r.streamName(STREAM).shardFilter(f -> f.type(type))).join().shards();
  }

  private void reshardWhileReading() throws Exception {
    Reader reader = new Reader();
    reader.read(300);
    CompletableFuture<Void> producer = CompletableFuture.runAsync(() -> {
      for (int n = 300; n < 1300; n += 50) {
        put(n, n + 50);
        sleep(200);
      }
    });
    UpdateShardCountResponse answer =
        kinesis.updateShardCount(r -> r.streamName(STREAM).targetShardCount(4).scalingType(ScalingType.UNIFORM_SCALING)).join();
    check(answer.currentShardCount() == 2 && answer.targetShardCount() == 4, answer.toString());
    reader.read(500);
    active(4);
    List<Shard> open = new ArrayList<>(shards(ShardFilterType.AT_LATEST));
    open.sort(Comparator.comparing(s -> new BigInteger(s.hashKeyRange().startingHashKey())));
    kinesis.mergeShards(r -> r.streamName(STREAM).shardToMerge(open.get(0).shardId()).adjacentShardToMerge(open.get(1).shardId())).join();
    active(3);
    HashKeyRange last = open.get(3).hashKeyRange();
    BigInteger middle = new BigInteger(last.startingHashKey()).add(new BigInteger(last.endingHashKey())).shiftRight(1);
    kinesis.splitShard(r -> r.streamName(STREAM).shardToSplit(open.get(3).shardId()).newStartingHashKey(middle.toString())).join();
    active(4);
    producer.join();
    reader.read(1300);
    reader.verify(1300);
  }

  private static void sleep(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private void fanOut(String arn) throws Exception {
    String consumer = kinesis.registerStreamConsumer(r -> r.streamARN(arn).consumerName("fan")).join().consumer().consumerARN();
    while (kinesis.describeStreamConsumer(r -> r.consumerARN(consumer)).join().consumerDescription().consumerStatus() != ConsumerStatus.ACTIVE) {
      sleep(100);
    }
    PutRecordResponse first =
        kinesis.putRecord(r -> r.streamName(STREAM).partitionKey("fan").data(SdkBytes.fromUtf8String("first"))).join();
    List<String> got = Collections.synchronizedList(new ArrayList<>());
    CompletableFuture<Void> both = new CompletableFuture<>();
    SubscribeToShardResponseHandler handler = SubscribeToShardResponseHandler.builder()
        .onError(both::completeExceptionally)
        .subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(event -> {
          check(event.continuationSequenceNumber().matches("\\d+"), event.toString());
          for (software.amazon.awssdk.services.kinesis.model.Record record : event.records()) {
            got.add(record.data().asString(StandardCharsets.UTF_8));
            if (got.size() == 1) {
              kinesis.putRecord(r -> r.streamName(STREAM).partitionKey("fan").data(SdkBytes.fromUtf8String("second")));
            } else {
              both.complete(null);
            }
          }
        }).build())
        .build();
    CompletableFuture<Void> subscription = kinesis.subscribeToShard(r -> r.consumerARN(consumer).shardId(first.shardId())
        .startingPosition(p -> p.type(ShardIteratorType.AT_SEQUENCE_NUMBER).sequenceNumber(first.sequenceNumber())), handler);
    both.get(30, java.util.concurrent.TimeUnit.SECONDS);
    subscription.cancel(true);
    check(got.equals(List.of("first", "second")), got.toString());
    kinesis.deregisterStreamConsumer(r -> r.consumerARN(consumer)).join();
  }
}

import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.ScalingType;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * Reads a stream of leat through the Kinesis Client Library: Main ENDPOINT DYNAMODB fan-out|polling. Two workers share its 4
 * shards; the stream is resharded to 8 while records come in; then one worker stops and the other takes its shards over.
 *
 * <p>Ends with an exception when anything is not as Kinesis has it. Endpoints and credentials apart, nothing here knows of leat.
 */
public final class Main {
  private final String stream;
  private final boolean polling;
  private final String[] endpoints;
  private final KinesisAsyncClient kinesis;

  /** What the workers have seen; records come at least once, those of a shard in order. */
  private final Map<Integer, String> numbers = new ConcurrentHashMap<>(); // with the worker that saw them first
  private final Map<String, String> owners = new ConcurrentHashMap<>(); // of shards under way
  private final Set<String> ended = ConcurrentHashMap.newKeySet(); // shards
  private final List<String> complaints = new CopyOnWriteArrayList<>();

  private Main(String[] args) {
    endpoints = args;
    polling = args[2].equals("polling");
    stream = "kcl-" + args[2];
    kinesis = KinesisClientUtil.createKinesisAsyncClient(at(KinesisAsyncClient.builder(), args[0]));
  }

  public static void main(String[] args) throws Exception {
    Main main = new Main(args);
    try {
      main.everything();
      System.exit(0); // the library leaves threads behind
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(1);
    }
  }

  private static <B extends AwsClientBuilder<B, ?>> B at(B builder, String endpoint) {
    return builder.endpointOverride(URI.create(endpoint)).region(Region.US_EAST_1)
        .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")));
  }

  private void everything() throws Exception {
    kinesis.createStream(r -> r.streamName(stream).shardCount(4)).join();
    kinesis.waiter().waitUntilStreamExists(r -> r.streamName(stream)).join();
    put(0, 200);
    Scheduler a = worker("a"); // one after the other: two that make the lease table at once confuse this library
    await("worker a to read all shards", () -> numbers.size() == 200 && owners.size() == 4);
    Scheduler b = worker("b");
    await("both workers to have shards", () -> owners.size() == 4 && Set.copyOf(owners.values()).size() == 2);

    CompletableFuture<Void> producer = CompletableFuture.runAsync(() -> {
      for (int n = 200; n < 1200; n += 50) {
        put(n, n + 50);
        sleep(100);
      }
    });
    kinesis.updateShardCount(r -> r.streamName(stream).targetShardCount(8).scalingType(ScalingType.UNIFORM_SCALING)).join();
    producer.join();
    await("all records of the reshard", () -> numbers.size() == 1200 && ended.size() >= 4 && owners.size() == 8);
    await("both workers to have children", () -> Set.copyOf(owners.values()).size() == 2);

    check(a.startGracefulShutdown().get(60, TimeUnit.SECONDS), "worker a has not stopped in order");
    put(1200, 1400);
    await("worker b to take over", () -> numbers.size() == 1400);
    check(Set.copyOf(owners.values()).equals(Set.of("b")), "shards belong to " + owners);
    check(b.startGracefulShutdown().get(60, TimeUnit.SECONDS), "worker b has not stopped in order");
    check(complaints.isEmpty(), complaints.toString());
    kinesis.deleteStream(r -> r.streamName(stream).enforceConsumerDeletion(true)).join();
    kinesis.waiter().waitUntilStreamNotExists(r -> r.streamName(stream)).join();
  }

  private static void check(boolean ok, String otherwise) {
    if (!ok) {
      throw new AssertionError(otherwise);
    }
  }

  private static void sleep(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private void await(String what, BooleanSupplier done) {
    Instant began = Instant.now();
    for (Instant end = began.plusSeconds(90); !done.getAsBoolean(); sleep(100)) {
      check(complaints.isEmpty(), complaints.toString());
      check(Instant.now().isBefore(end), "waited in vain for " + what + ": " + numbers.size() + " records, shards of workers "
          + owners + ", ended " + new TreeSet<>(ended));
    }
    System.out.printf("%s: %d s%n", what, Duration.between(began, Instant.now()).toSeconds());
  }

  private void put(int first, int end) {
    List<PutRecordsRequestEntry> records = new java.util.ArrayList<>();
    for (int n = first; n < end; n++) {
      records.add(PutRecordsRequestEntry.builder().partitionKey("key-" + n % 40).data(SdkBytes.fromUtf8String(Integer.toString(n))).build());
    }
    int failed = kinesis.putRecords(r -> r.streamName(stream).records(records)).join().failedRecordCount();
    check(failed == 0, failed + " records were refused");
  }

  private Scheduler worker(String name) {
    ConfigsBuilder config = new ConfigsBuilder(stream, "app-" + stream, kinesis, at(DynamoDbAsyncClient.builder(), endpoints[1]).build(),
        at(CloudWatchAsyncClient.builder(), "http://127.0.0.1:1").build(), name, () -> new Processor(name));
    var retrieval = config.retrievalConfig().initialPositionInStreamExtended(
        InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON));
    if (polling) {
      retrieval = retrieval.retrievalSpecificConfig(new PollingConfig(stream, kinesis));
    }
    Scheduler scheduler = new Scheduler(config.checkpointConfig(),
        config.coordinatorConfig().parentShardPollIntervalMillis(1000).shardConsumerDispatchPollIntervalMillis(200),
        config.leaseManagementConfig().failoverTimeMillis(4000).shardSyncIntervalMillis(2000)
            .initialPositionInStream(InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
        config.lifecycleConfig(), config.metricsConfig().metricsFactory(new NullMetricsFactory()), config.processorConfig(), retrieval);
    Thread thread = new Thread(scheduler, name);
    thread.setDaemon(true);
    thread.start();
    return scheduler;
  }

  /** Processes the records of a shard, and checkpoints them. */
  private final class Processor implements ShardRecordProcessor {
    private final String worker;
    private String shard;
    private final Map<Integer, Integer> lastOfKey = new ConcurrentHashMap<>();

    Processor(String worker) {
      this.worker = worker;
    }

    @Override
    public void initialize(InitializationInput input) {
      shard = input.shardId();
      owners.put(shard, worker);
    }

    @Override
    public void processRecords(ProcessRecordsInput input) {
      for (KinesisClientRecord record : input.records()) {
        byte[] data = new byte[record.data().remaining()];
        record.data().get(data);
        int n = Integer.parseInt(new String(data));
        Integer last = lastOfKey.put(n % 40, n);
        if (!record.partitionKey().equals("key-" + n % 40) || last != null && last >= n) {
          complaints.add(shard + ": record " + n + " with key " + record.partitionKey() + " after " + last);
        }
        numbers.putIfAbsent(n, worker);
      }
      checkpoint(input.checkpointer());
    }

    private void checkpoint(RecordProcessorCheckpointer checkpointer) {
      try {
        checkpointer.checkpoint();
      } catch (ShutdownException e) {
        // the lease is another worker's by now, which will see these records again
      } catch (InvalidStateException e) {
        complaints.add(shard + ": " + e);
      }
    }

    @Override
    public void leaseLost(LeaseLostInput input) {
      owners.remove(shard, worker);
    }

    @Override
    public void shardEnded(ShardEndedInput input) {
      checkpoint(input.checkpointer());
      ended.add(shard);
      owners.remove(shard, worker);
    }

    @Override
    public void shutdownRequested(ShutdownRequestedInput input) {
      checkpoint(input.checkpointer());
      owners.remove(shard, worker);
    }
  }
}

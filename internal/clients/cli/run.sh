#!/usr/bin/env bash
# Uses a stream of leat through the AWS CLI, version 1: run.sh ENDPOINT.
#
# Ends with an error when anything is not as Kinesis has it. The CLI has no subscribe-to-shard, for it speaks no event
# streams; what it has of fan-out are the consumers.
set -euo pipefail

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 AWS_DEFAULT_OUTPUT=text
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
endpoint=$1
stream=cli
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

kinesis() { aws --endpoint-url "$endpoint" kinesis "$@"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# equal GOT WANT WHAT
equal() { [[ $1 == "$2" ]] || fail "$3: got '$1', want '$2'"; }

# refused CODE COMMAND... runs what must fail with that error.
refused() {
  local code=$1
  shift
  if "$@" 2>"$work/error"; then
    fail "$* has worked, want $code"
  fi
  grep -q "($code)" "$work/error" || fail "$* was refused otherwise than with $code: $(cat "$work/error")"
}

# put FIRST LAST puts a record for each number, the first one by itself.
put() {
  local first=$1 last=$2 n
  kinesis put-record --stream-name "$stream" --partition-key "key-$first" --data "record $first" --query ShardId >/dev/null
  {
    printf '['
    for ((n = first + 1; n <= last; n++)); do
      printf '{"Data":"record %d","PartitionKey":"key-%d"}%s' "$n" "$n" "$([[ $n -lt $last ]] && echo ,)"
    done
    printf ']'
  } >"$work/records"
  equal "$(kinesis put-records --stream-name "$stream" --records "file://$work/records" --query FailedRecordCount)" 0 "failed records"
}

# read_shard SHARD reads from the iterator that was kept for the shard, or from its beginning, to the tip or the end.
read_shard() {
  local shard=$1 iterator behind
  if [[ -e $work/iterator-$shard ]]; then
    iterator=$(<"$work/iterator-$shard")
  else
    iterator=$(kinesis get-shard-iterator --stream-name "$stream" --shard-id "$shard" --shard-iterator-type TRIM_HORIZON --query ShardIterator)
  fi
  while [[ $iterator != None ]]; do
    kinesis get-records --shard-iterator "$iterator" --output json >"$work/answer"
    python3 - "$work/answer" >"$work/next" 3>>"$work/got" <<'PYTHON'
import base64, json, os, sys
answer = json.load(open(sys.argv[1]))
for record in answer["Records"]:
    os.write(3, base64.b64decode(record["Data"]) + b"\n")
print(answer.get("NextShardIterator", "None"), len(answer["Records"]) + answer["MillisBehindLatest"])
PYTHON
    read -r iterator behind <"$work/next"
    [[ $behind -eq 0 ]] && break
  done
  printf '%s' "$iterator" >"$work/iterator-$shard"
}

shards() { kinesis list-shards --stream-name "$stream" --query 'Shards[].ShardId' "$@"; }

active() {
  kinesis wait stream-exists --stream-name "$stream"
  equal "$(kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.OpenShardCount)" "$1" "open shards"
}

kinesis create-stream --stream-name "$stream" --shard-count 2
active 2
refused ResourceInUseException kinesis create-stream --stream-name "$stream" --shard-count 2
put 1 100
for shard in $(shards); do read_shard "$shard"; done
put 101 200

kinesis update-shard-count --stream-name "$stream" --target-shard-count 4 --scaling-type UNIFORM_SCALING >/dev/null
active 4
put 201 300
for shard in $(shards); do read_shard "$shard"; done # parents have the lower numbers
for parent in shardId-000000000000 shardId-000000000001; do
  equal "$(<"$work/iterator-$parent")" None "the iterator at the end of $parent"
done
equal "$(sort -k2n "$work/got")" "$(for ((n = 1; n <= 300; n++)); do echo "record $n"; done)" "records that were read"

arn=$(kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.StreamARN)
consumer=$(kinesis register-stream-consumer --stream-arn "$arn" --consumer-name fan --query Consumer.ConsumerARN)
equal "$(kinesis list-stream-consumers --stream-arn "$arn" --query 'Consumers[].ConsumerName')" fan "consumers"
refused ResourceInUseException kinesis delete-stream --stream-name "$stream"
kinesis deregister-stream-consumer --consumer-arn "$consumer"
equal "$(kinesis list-stream-consumers --stream-arn "$arn" --query 'Consumers[?ConsumerStatus==`ACTIVE`].ConsumerName')" "" "consumers after the last one"

kinesis add-tags-to-stream --stream-name "$stream" --tags team=data
equal "$(kinesis list-tags-for-stream --stream-name "$stream" --query 'Tags[].[Key,Value]')" $'team\tdata' "tags"
kinesis increase-stream-retention-period --stream-name "$stream" --retention-period-hours 48
kinesis delete-stream --stream-name "$stream"
kinesis wait stream-not-exists --stream-name "$stream"
refused ResourceNotFoundException kinesis describe-stream --stream-name "$stream"

package kinesis

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func hours(n int) doc { return doc{"StreamName": "s", "RetentionPeriodHours": n} }

func TestTheRetentionChangesInItsOwnDirection(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	must[any](s, "IncreaseStreamRetentionPeriod", hours(24)) // the same is neither shorter nor longer
	must[any](s, "IncreaseStreamRetentionPeriod", hours(8760))
	s.restart()
	if got := s.summary("s").RetentionPeriodHours; got != 8760 {
		t.Errorf("the retention is %d hours", got)
	}
	must[any](s, "DecreaseStreamRetentionPeriod", hours(48))
	s.refused("IncreaseStreamRetentionPeriod", hours(47), "InvalidArgumentException",
		"Requested retention period (47 hours) for stream s can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API.")
	s.refused("DecreaseStreamRetentionPeriod", hours(49), "InvalidArgumentException",
		"Requested retention period (49 hours) for stream s can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API.")
	for _, operation := range []string{"IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"} {
		s.refused(operation, hours(23), "InvalidArgumentException",
			"Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
		s.refused(operation, hours(8761), "InvalidArgumentException",
			"Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
		s.refused(operation, doc{"StreamName": "t", "RetentionPeriodHours": 25}, "ResourceNotFoundException",
			"Stream t under account 123456789012 not found.")
	}
	if got := s.summary("s").RetentionPeriodHours; got != 48 {
		t.Errorf("the retention is %d hours", got)
	}
}

func TestSettingsChangeOnlyWhileTheStreamIsActive(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now, Transition: time.Minute})
	s.create("s", 1)
	for operation, in := range map[string]doc{
		"IncreaseStreamRetentionPeriod": hours(48),
		"EnableEnhancedMonitoring":      {"StreamName": "s", "ShardLevelMetrics": []string{"ALL"}},
		"UpdateShardCount":              target("s", 2),
		"StartStreamEncryption":         {"StreamName": "s", "EncryptionType": "KMS", "KeyId": "k"},
	} {
		s.refused(operation, in, "ResourceInUseException", "Stream s under account 123456789012 not ACTIVE, instead in state CREATING")
	}
}

func TestMetricsOfShardsAreTurnedOnAndOff(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	for _, step := range []struct {
		operation string
		named     []string
		want      []string
	}{
		{"EnableEnhancedMonitoring", []string{"OutgoingBytes", "IncomingBytes"}, []string{"IncomingBytes", "OutgoingBytes"}},
		{"EnableEnhancedMonitoring", []string{"IncomingBytes"}, []string{"IncomingBytes", "OutgoingBytes"}},
		{"DisableEnhancedMonitoring", []string{"IncomingBytes", "IteratorAgeMilliseconds"}, []string{"OutgoingBytes"}},
		{"EnableEnhancedMonitoring", []string{"ALL"}, shardMetrics},
		{"DisableEnhancedMonitoring", []string{"ALL"}, []string{}},
	} {
		before := s.summary("s").EnhancedMonitoring[0].ShardLevelMetrics
		out := must[EnableEnhancedMonitoringOutput](s, step.operation, doc{"StreamName": "s", "ShardLevelMetrics": step.named})
		s.restart()
		after := s.summary("s").EnhancedMonitoring[0].ShardLevelMetrics
		if out.StreamName != "s" || out.StreamARN != s.summary("s").StreamARN || !reflect.DeepEqual(out.CurrentShardLevelMetrics, before) ||
			!reflect.DeepEqual(out.DesiredShardLevelMetrics, step.want) || !reflect.DeepEqual(after, step.want) {
			t.Errorf("%s of %v: %+v, then on are %v", step.operation, step.named, out, after)
		}
	}
}

const policyOf = `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["1"]},"Action":["kinesis:PutRecord"],"Resource":%q}]}`

func TestPoliciesAreKeptAsTheyAre(t *testing.T) {
	s := newServer(t, Config{})
	stream, consumer := s.resources()
	for _, arn := range []string{stream, consumer} {
		none := "No resource policy found for resource " + arn + "."
		s.refused("GetResourcePolicy", doc{"ResourceARN": arn}, "ResourceNotFoundException", none)
		s.refused("DeleteResourcePolicy", doc{"ResourceARN": arn}, "ResourceNotFoundException", none)
		must[any](s, "PutResourcePolicy", doc{"ResourceARN": arn, "Policy": `{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"kinesis:*","Resource":"*"}}`})
		must[any](s, "PutResourcePolicy", doc{"ResourceARN": arn, "Policy": fmt.Sprintf(policyOf, arn)})
	}
	s.restart()
	for _, arn := range []string{stream, consumer} {
		if got := must[GetResourcePolicyOutput](s, "GetResourcePolicy", doc{"ResourceARN": arn}); got.Policy != fmt.Sprintf(policyOf, arn) {
			t.Errorf("the policy of %s is %s", arn, got.Policy)
		}
	}
	must[any](s, "DeleteResourcePolicy", doc{"ResourceARN": stream})
	s.refused("GetResourcePolicy", doc{"ResourceARN": stream}, "ResourceNotFoundException", "No resource policy found for resource "+stream+".")
	must[GetResourcePolicyOutput](s, "GetResourcePolicy", doc{"ResourceARN": consumer})
}

func TestWhatIsNoPolicyIsRefused(t *testing.T) {
	s := newServer(t, Config{})
	stream, _ := s.resources()
	good := fmt.Sprintf(policyOf, stream)
	for policy, why := range map[string]string{
		"":                                  "it ends too early",
		"policy":                            "invalid character 'p' looking for beginning of value",
		"[]":                                "a JSON array stands where an object should",
		"{}":                                "it has no Statement",
		`{"Statement":[]}`:                  "it has no Statement",
		`{"Version":7}`:                     "its Version is a JSON number",
		`{"Statement":["x"]}`:               "statement 1: a JSON string stands where an object should",
		good + "{}":                         "something follows the document",
		good[:len(good)-1]:                  "it ends too early",
		`{"Statements":[]}`:                 `unknown field "Statements"`,
		`{"Version":"2025","Statement":[]}`: `its Version is "2025", not one of ["2012-10-17" "2008-10-17"]`,
		strings.Replace(good, "Allow", "allow", 1):                       `statement 1: its Effect is "allow", not Allow or Deny`,
		strings.Replace(good, `"Action"`, `"NotResource"`, 1):            "statement 1: it must have either Action or NotAction",
		strings.Replace(good, `"Principal":{"AWS":["1"]},`, "", 1):       "statement 1: it must have either Principal or NotPrincipal",
		strings.Replace(good, `{"AWS":["1"]}`, "null", 1):                "statement 1: its Principal is neither a string nor a list of strings",
		strings.Replace(good, `["1"]`, "[]", 1):                          "statement 1: its Principal of a kind is neither a string nor a list of strings",
		strings.Replace(good, `["kinesis:PutRecord"]`, "7", 1):           "statement 1: its Action is neither a string nor a list of strings",
		`{"Statement":{"Effect":"` + strings.Repeat("x", 20<<10) + `"}}`: "it has 20507 bytes, at most 20480 are allowed",
	} {
		s.refused("PutResourcePolicy", doc{"ResourceARN": stream, "Policy": policy}, "InvalidArgumentException", "The resource policy is malformed: "+why+".")
	}
}

func FuzzCheckPolicy(f *testing.F) {
	f.Add(fmt.Sprintf(policyOf, "arn"))
	f.Add(`{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"kinesis:*","Resource":"*","Condition":{"StringEquals":{"a":"b"}}}}`)
	f.Fuzz(func(t *testing.T, policy string) {
		if checkPolicy(policy) == nil && !strings.Contains(policy, "{") {
			t.Errorf("%q is a policy", policy)
		}
	})
}

func TestWhatIsNotBuiltSaysSo(t *testing.T) {
	s := newServer(t, Config{})
	stream, _ := s.resources()
	encryption := doc{"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/a"}
	s.refused("StartStreamEncryption", encryption, "KMSNotFoundException",
		"Key alias/a does not exist: streams can not be encrypted here, for there is no KMS.")
	s.refused("StopStreamEncryption", encryption, "InvalidArgumentException", "Stream s under account 123456789012 is not encrypted.")
	for _, operation := range []string{"StartStreamEncryption", "StopStreamEncryption"} {
		s.refused(operation, doc{"StreamName": "t", "EncryptionType": "KMS", "KeyId": "k"}, "ResourceNotFoundException",
			"Stream t under account 123456789012 not found.")
		s.refused(operation, doc{"StreamName": "s", "EncryptionType": "NONE", "KeyId": "k"}, "InvalidArgumentException", "EncryptionType must be KMS.")
	}

	channel := func(destinations doc) doc {
		in := doc{"ChannelName": "c", "ServiceExecutionRoleARN": "arn:aws:iam::123456789012:role/r",
			"StreamConfigurationList": []doc{{"StreamARN": stream, "RecordConfiguration": doc{"RecordFormatType": "JSON"}}}}
		for name, destination := range destinations {
			in[name] = destination
		}
		return in
	}
	bucket := doc{"StorageConfiguration": doc{"BucketARN": "arn:aws:s3:::b", "CompressionType": "GZIP", "ExpectedBucketOwner": "123456789012"}}
	s.refused("CreateChannel", channel(doc{"S3DestinationConfiguration": bucket}), "InvalidArgumentException", "Channels are not supported here.")
	s.refused("CreateChannel", channel(nil), "InvalidArgumentException",
		"Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be provided.")
	s.refused("ListChannels", doc{}, "InvalidArgumentException", "Channels are not supported here.")
	for _, operation := range []string{"DescribeChannel", "UpdateChannel", "DeleteChannel"} {
		s.refused(operation, doc{"ChannelARN": "arn:c"}, "ResourceNotFoundException",
			"Channel arn:c under account 123456789012 not found: channels are not supported here.")
	}
}

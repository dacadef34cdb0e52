package kinesis

import (
	"fmt"
	"strings"
	"testing"
)

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

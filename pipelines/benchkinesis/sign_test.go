package benchkinesis

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func TestRequestsAreSignedAsTheSDKSignsThem(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	for _, session := range []string{"", "token/with+signs=="} {
		s := signer{Credentials{"AKID", "secret", session}, "kinesis.example.com:4567", "eu-west-1"}
		body := []byte(`{"StreamName":"s"}`)
		raw := s.request("ListShards", body, now)
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if sent, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(sent, body) {
			t.Errorf("body %q, %v", sent, err)
		}

		want, err := http.NewRequest(http.MethodPost, "http://"+s.host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		want.Header.Set("Content-Type", contentType)
		want.Header.Set("X-Amz-Target", "Kinesis_20131202.ListShards")
		// No Content-Length: it is not signed here, and need not be.
		err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.Secret, SessionToken: session},
			want, hexSum(body), "kinesis", s.region, now)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := got.Header.Get("Authorization"), want.Header.Get("Authorization"); got != want {
			t.Errorf("signed with\n%s, the SDK signs with\n%s", got, want)
		}
	}
}

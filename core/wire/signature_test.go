package wire

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzSignatures(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=0f", "")
	f.Add("AWS4- Signature=b,Credential=a", "X-Amz-Algorithm")
	f.Add("", "X-Amz-Algorithm=a&X-Amz-Credential=a%2fb/c/d/e&X-Amz-Signature=s&X-Amz-SignedHeaders=host&X-Amz-Date=d")
	f.Fuzz(func(t *testing.T, authorization, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {authorization}, "Date": {"d"}}}
		s, err := parseSignature(r)
		if err == nil {
			if s.Hex == "" || s.SignedHeaders == "" {
				t.Fatalf("accepted %+v", s)
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Status != 0 || e.Code == "" || !utf8.ValidString(e.Message) {
			t.Fatalf("refused with %v", err)
		}
		if body := appendError(JSON, nil, e); !strings.Contains(string(body), e.Code) {
			t.Fatalf("told as %s", body)
		}
	})
}

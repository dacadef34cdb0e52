package benchkinesis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Credentials sign the requests.
type Credentials struct {
	AccessKey, Secret string
	// Session is the token of temporary credentials; empty: none.
	Session string
}

// signer makes complete HTTP/1.1 requests with a signature of version 4.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type signer struct {
	Credentials
	host, region string
}

// request is the bytes of a request, headers and body. Its signature is good for 5 minutes.
func (s *signer) request(operation string, body []byte, now time.Time) []byte {
	stamp := now.UTC().Format("20060102T150405Z")
	target := "Kinesis_20131202." + operation
	session, names := "", "content-type;host;x-amz-date;x-amz-target"
	headers := "content-type:" + contentType + "\nhost:" + s.host + "\nx-amz-date:" + stamp + "\n"
	if s.Session != "" {
		session, names = "X-Amz-Security-Token: "+s.Session+"\r\n", "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
		headers += "x-amz-security-token:" + s.Session + "\n"
	}
	headers += "x-amz-target:" + target + "\n"
	canonical := strings.Join([]string{"POST", "/", "", headers, names, hexSum(body)}, "\n")
	scope := strings.Join([]string{stamp[:8], s.region, "kinesis", "aws4_request"}, "/")
	key := []byte("AWS4" + s.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hexSum([]byte(canonical)))

	out := fmt.Appendf(make([]byte, 0, len(body)+1024), "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"+
		"X-Amz-Date: %s\r\nX-Amz-Target: %s\r\n%sAuthorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x\r\n\r\n",
		s.host, contentType, len(body), stamp, target, session, s.AccessKey, scope, names, signature)
	return append(out, body...)
}

func hexSum(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

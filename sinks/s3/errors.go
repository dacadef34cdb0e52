package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/leatstream/leat/core/fault"
)

// isTaken says that a conditional write found the key taken, or another write to it under way.
func isTaken(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && (r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict &&
		(r.Code == "ConditionalRequestConflict" || r.Code == "Conflict"))
}

// isMismatch says that the store received a body with another hash than announced.
func isMismatch(err error) bool {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return false
	}
	switch r.Code {
	case "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "BadDigest", "InvalidDigest":
		return true
	}
	return false
}

// meaning is what an error code of S3 means for delivery. Classes follow one rule: what a person can put right without
// touching the data is never Permanent, or the data would go to the dead letters meanwhile: it is Unauthorized if nothing but a
// person will put it right.
type meaning struct {
	class fault.Class
	code  string
	hint  string
}

const hintKeys = "check the access key and the secret key, and that they belong to this endpoint"

var meanings = map[string]meaning{
	"NoSuchBucket":                   {fault.Unauthorized, "sink.s3.no_such_bucket", "create the bucket, or correct its name or the endpoint"},
	"AccessDenied":                   {fault.Unauthorized, "sink.s3.access_denied", "allow s3:PutObject, s3:GetObject and s3:AbortMultipartUpload on the bucket"},
	"AllAccessDisabled":              {fault.Unauthorized, "sink.s3.access_denied", "the store has disabled access to the bucket"},
	"AccountProblem":                 {fault.Unauthorized, "sink.s3.access_denied", "the store has a problem with the account"},
	"InvalidAccessKeyId":             {fault.Unauthorized, "sink.s3.bad_credentials", hintKeys},
	"SignatureDoesNotMatch":          {fault.Unauthorized, "sink.s3.bad_credentials", hintKeys},
	"InvalidToken":                   {fault.Unauthorized, "sink.s3.bad_credentials", "renew the session token"},
	"ExpiredToken":                   {fault.Unauthorized, "sink.s3.expired_credentials", "renew the session token; leat reads it again by itself"},
	"ExpiredTokenException":          {fault.Unauthorized, "sink.s3.expired_credentials", "renew the session token; leat reads it again by itself"},
	"RequestTimeTooSkewed":           {fault.Unavailable, "sink.s3.clock_skew", "set this machine's clock: it differs from the store's by more than 15 minutes"},
	"SlowDown":                       {fault.Throttled, "sink.s3.slow_down", ""},
	"SlowDownRead":                   {fault.Throttled, "sink.s3.slow_down", ""},
	"SlowDownWrite":                  {fault.Throttled, "sink.s3.slow_down", ""},
	"Throttling":                     {fault.Throttled, "sink.s3.slow_down", ""},
	"ThrottlingException":            {fault.Throttled, "sink.s3.slow_down", ""},
	"RequestLimitExceeded":           {fault.Throttled, "sink.s3.slow_down", ""},
	"RequestThrottled":               {fault.Throttled, "sink.s3.slow_down", ""},
	"TooManyRequests":                {fault.Throttled, "sink.s3.slow_down", ""},
	"AuthorizationHeaderMalformed":   {fault.Unauthorized, "sink.s3.wrong_region", "set region to that of the bucket"},
	"PermanentRedirect":              {fault.Unauthorized, "sink.s3.wrong_region", "set region to that of the bucket"},
	"InvalidRegion":                  {fault.Unauthorized, "sink.s3.wrong_region", "set region to that of the bucket"},
	"NotImplemented":                 {fault.Unauthorized, "sink.s3.not_implemented", "the store lacks a feature that leat needs, or this storage_class"},
	"InvalidStorageClass":            {fault.Unauthorized, "sink.s3.bad_storage_class", "the store does not have this storage_class"},
	"XMinioStorageFull":              {fault.Unavailable, "sink.s3.store_full", "make room in the store"},
	"XMinioAdminBucketQuotaExceeded": {fault.Unavailable, "sink.s3.store_full", "raise the bucket's quota"},
	"QuotaExceeded":                  {fault.Unavailable, "sink.s3.store_full", "raise the bucket's quota"},
	"KeyTooLongError":                {fault.Permanent, "sink.bad_key", ""},
	"InvalidObjectName":              {fault.Permanent, "sink.bad_key", ""},
	"InvalidURI":                     {fault.Permanent, "sink.bad_key", ""},
	"XMinioInvalidResourceName":      {fault.Permanent, "sink.bad_key", ""},
	"XMinioInvalidObjectName":        {fault.Permanent, "sink.bad_key", ""},
	"XMinioObjectExistsAsDirectory":  {fault.Permanent, "sink.conflict", "let no other program write below this prefix"},
	"XMinioParentIsObject":           {fault.Permanent, "sink.conflict", "an object stands where this store needs a folder: let no other program write below this prefix"},
	"EntityTooLarge":                 {fault.Permanent, "sink.s3.too_large", "lower the buffer size"},
}

// failed gives an error of a request about key a class; key is empty for the bucket. It has the credentials read again
// when a person has to act: they may be what is wrong.
func (s *Sink) failed(key string, err error) error {
	var classed *fault.Error
	if errors.As(err, &classed) {
		return err
	}
	where := s.where(key)
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		m := s.meaningOf(r)
		if m.class == fault.Unauthorized {
			s.client.Refused()
		}
		e := fault.New(m.class, m.code, "%s: %s (%w)", where, r.Code, err)
		if m.hint != "" {
			e = e.WithHint("%s", m.hint)
		}
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Retryable, "sink.s3.cancelled", "%s: %w", where, err)
	}
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return fault.New(fault.Unauthorized, "sink.s3.tls", "%s: %w", where, err).
			WithHint("give the CA that signed the store's certificate as ca_file")
	case errors.As(err, &hostname), errors.As(err, &invalid):
		return fault.New(fault.Unauthorized, "sink.s3.tls", "%s: %w", where, err).
			WithHint("the store's certificate is not for this endpoint, or not valid today")
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fault.New(fault.Unauthorized, "sink.s3.tls", "%s: %w", where, err).
			WithHint("the endpoint does not speak TLS: does its URL begin with http://?")
	}
	return fault.New(fault.Unavailable, "sink.s3.unreachable", "%s: %w", where, err).
		WithHint("is the endpoint %s right, and up?", s.cfg.Endpoint)
}

// meaningOf knows the codes above, and goes by the status for others.
func (s *Sink) meaningOf(r minio.ErrorResponse) meaning {
	if m, ok := meanings[r.Code]; ok {
		return m
	}
	switch {
	case r.StatusCode == http.StatusTooManyRequests:
		return meaning{fault.Throttled, "sink.s3.slow_down", ""}
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return meaning{fault.Unauthorized, "sink.s3.access_denied", hintKeys}
	case r.StatusCode >= 300 && r.StatusCode < 400:
		return meaning{fault.Unauthorized, "sink.s3.wrong_region", "the store redirects: check endpoint and region"}
	case r.StatusCode == http.StatusInsufficientStorage:
		return meaning{fault.Unavailable, "sink.s3.store_full", "make room in the store"}
	case r.StatusCode == http.StatusBadGateway, r.StatusCode == http.StatusServiceUnavailable, r.StatusCode == http.StatusGatewayTimeout:
		return meaning{fault.Unavailable, "sink.s3.unavailable", ""}
	}
	return meaning{fault.Retryable, "sink.s3.failed", ""}
}

package s3client

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
)

// Credentials says where the keys come from: the first of these that is given.
//
//  1. AccessKey and SecretKey, with SessionToken for temporary ones
//  2. File or Profile: the profile of a shared credentials file of AWS's tools
//  3. the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//  4. the shared credentials file that AWS's tools use: AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, and there AWS_PROFILE
//     or default
//
// All are looked at again as time goes by, so that keys can be rotated under a running process.
type Credentials struct {
	// AccessKey, SecretKey and SessionToken return the current value, from wherever the pipeline file says the secret is.
	// They are called again after reloadEvery and when the store has refused the keys.
	AccessKey, SecretKey, SessionToken func() (string, error)
	// File is the path of a shared credentials file, empty for the usual one. It is read again when it changes.
	File string
	// Profile is a section of the file, empty for AWS_PROFILE or default.
	Profile string
}

// Given are the credentials of a pipeline file; nil is none.
func Given(c *setting.Credentials) Credentials {
	if c == nil {
		return Credentials{}
	}
	given := Credentials{File: c.File, Profile: c.Profile}
	if !c.AccessKeyID.IsZero() {
		given.AccessKey, given.SecretKey = c.AccessKeyID.Resolve, c.SecretAccessKey.Resolve
	}
	if !c.SessionToken.IsZero() {
		given.SessionToken = c.SessionToken.Resolve
	}
	return given
}

// reloadEvery is how long values of resolvers are used.
const reloadEvery = 10 * time.Second

func (c Credentials) check(o Owner) error {
	if (c.AccessKey == nil) != (c.SecretKey == nil) || c.SessionToken != nil && c.AccessKey == nil {
		return o.fault(fault.Permanent, "bad_config", "the credentials are not complete").
			WithHint("give access_key_id and secret_access_key together; a session_token needs both")
	}
	return nil
}

// source is where minio-go asks for credentials before each request.
type source struct {
	owner       Owner
	from        Credentials
	credentials *credentials.Credentials

	mu    sync.Mutex
	until time.Time   // the values are to be resolved again then
	path  string      // the file they came from, if any
	seen  os.FileInfo // what it was then
	file  *credentials.FileAWSCredentials
}

var _ credentials.Provider = (*source)(nil)

func newSource(owner Owner, from Credentials) *source {
	s := &source{owner: owner, from: from}
	s.credentials = credentials.New(s)
	return s
}

// IsExpired reports whether the credentials have to be read again.
func (s *source) IsExpired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		return time.Now().After(s.until)
	}
	now, err := os.Stat(s.path)
	return err != nil || !os.SameFile(now, s.seen) || !now.ModTime().Equal(s.seen.ModTime()) || now.Size() != s.seen.Size() || s.file.IsExpired()
}

// Retrieve is what minio-go no longer calls.
func (s *source) Retrieve() (credentials.Value, error) {
	return s.RetrieveWithCredContext(&credentials.CredContext{})
}

// RetrieveWithCredContext reads the credentials.
func (s *source) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := s.retrieve(cc)
	if err != nil {
		return value, err
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return value, s.owner.fault(fault.Unauthorized, "no_credentials", "the access key or the secret key is empty").
			WithHint("set both, as values or in the credentials file")
	}
	value.SignerType = credentials.SignatureV4
	return value, nil
}

func (s *source) retrieve(cc *credentials.CredContext) (credentials.Value, error) {
	s.until, s.path = time.Now().Add(reloadEvery), ""
	if s.from.AccessKey != nil {
		return s.resolve()
	}
	if s.from.File == "" && s.from.Profile == "" {
		if key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"); key != "" || secret != "" {
			return credentials.Value{AccessKeyID: key, SecretAccessKey: secret, SessionToken: os.Getenv("AWS_SESSION_TOKEN")}, nil
		}
	}
	path := s.from.File
	if path == "" {
		path = os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return credentials.Value{}, s.missing(err)
		}
		path = filepath.Join(home, ".aws", "credentials")
	}
	// What is seen is from before the reading: a change in between is noticed next time.
	seen, err := os.Stat(path)
	if err != nil {
		return credentials.Value{}, s.missing(err)
	}
	file := &credentials.FileAWSCredentials{Filename: path, Profile: s.from.Profile}
	value, err := file.RetrieveWithCredContext(cc)
	if err != nil {
		return credentials.Value{}, s.missing(err)
	}
	s.path, s.seen, s.file = path, seen, file
	return value, nil
}

// resolve calls the resolvers.
func (s *source) resolve() (credentials.Value, error) {
	var value credentials.Value
	for _, v := range []struct {
		name string
		from func() (string, error)
		to   *string
	}{
		{"access_key_id", s.from.AccessKey, &value.AccessKeyID},
		{"secret_access_key", s.from.SecretKey, &value.SecretAccessKey},
		{"session_token", s.from.SessionToken, &value.SessionToken},
	} {
		if v.from == nil {
			continue
		}
		var err error
		if *v.to, err = v.from(); err != nil {
			return value, s.owner.fault(fault.Unauthorized, "no_credentials", "%s: %w", v.name, err)
		}
	}
	return value, nil
}

func (s *source) missing(err error) error {
	return s.owner.fault(fault.Unauthorized, "no_credentials", "no credentials: %w", err).
		WithHint("give access_key_id and secret_access_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a shared credentials file")
}

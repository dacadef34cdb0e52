package kinesis

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/state"
)

// tokenKind says what a token is for. A token of one kind does not open as another.
type tokenKind byte

const (
	tokenIterator  tokenKind = 1 // of GetShardIterator and GetRecords
	tokenShards    tokenKind = 2 // of ListShards
	tokenConsumers tokenKind = 3 // of ListStreamConsumers
	tokenStreams   tokenKind = 4 // of ListStreams
)

// Sizes within a token, in bytes.
const (
	tokenVersion = 8  // what the iterators of the service begin with: the number 1
	tokenTag     = 16 // tells that nothing was changed, and is where the encryption starts
	tokenHead    = 16 // when it was made, salt, kind and length of the payload
	// maxToken is the longest token in characters: no shard iterator may be longer.
	maxToken = 512
	// maxPayload is what then remains for the payload: 512 characters are 384 bytes.
	maxPayload = maxToken/4*3/aes.BlockSize*aes.BlockSize - aes.BlockSize - tokenTag - tokenHead
)

// errToken says that a string is no token of ours, or one of another kind, or has been changed.
var errToken = errors.New("kinesis: not a token of this service")

// tokens seals what a client has to hand back later: shard iterators and the next-tokens of lists. A client can neither
// read nor change one, and the key survives a restart, so that readers do too. A token is, in standard base64,
//
//	8 bytes   the number 1
//	16 bytes  the first half of the HMAC-SHA-256 of the content
//	n * 16    the content, encrypted by AES-256 in counter mode from the tag on
//
// and the content is
//
//	8 bytes   when it was made, in nanoseconds since the Unix epoch
//	4 bytes   random, so that no two tokens are the same
//	1 byte    kind
//	1 byte    0
//	2 bytes   length of the payload
//	          payload, filled up with zeros
//
// all numbers big-endian. A tag that is also where the encryption starts (as in RFC 5297) needs no nonce: a key lasts for
// any number of tokens, and a server makes thousands a second for years.
type tokens struct {
	now    func() time.Time
	cipher cipher.Block
	desks  sync.Pool // of *tokenDesk
}

// tokenDesk is the working memory for one token: a read of records opens one and seals one.
type tokenDesk struct {
	mac   hash.Hash
	sum   [sha256.Size]byte
	text  [maxToken]byte
	bytes [maxToken / 4 * 3]byte
}

// tokenKey is where the state store has the key: 32 bytes for the encryption, then 32 for the tag.
const (
	tokenKey     = "kinesis-tokens/key"
	tokenKeySize = 64
)

// newTokens reads the key, and makes it when there is none.
func newTokens(st *state.Store, now func() time.Time) (*tokens, error) {
	var key []byte
	err := st.Update(context.Background(), func(tx *state.Tx) error {
		stored, ok := tx.Get(tokenKey)
		if ok && len(stored) != tokenKeySize {
			return fmt.Errorf("kinesis: the key of iterators and next-tokens has %d bytes, want %d", len(stored), tokenKeySize)
		}
		if key = stored; ok {
			return nil
		}
		key = make([]byte, tokenKeySize)
		rand.Read(key) // it never fails
		tx.Put(tokenKey, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tokensOf([tokenKeySize]byte(key), now), nil
}

func tokensOf(key [tokenKeySize]byte, now func() time.Time) *tokens {
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		panic(err) // it is about the size of the key only
	}
	t := &tokens{now: now, cipher: block}
	t.desks.New = func() any { return &tokenDesk{mac: hmac.New(sha256.New, key[32:])} }
	return t
}

// seal makes a token of a payload, at most maxPayload bytes.
func (t *tokens) seal(kind tokenKind, payload []byte) string {
	if len(payload) > maxPayload {
		panic(fmt.Sprintf("kinesis: the payload of a token has %d bytes, at most %d fit", len(payload), maxPayload))
	}
	size := (tokenHead + len(payload) + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	desk := t.desks.Get().(*tokenDesk)
	defer t.desks.Put(desk)
	p := desk.bytes[:tokenVersion+tokenTag+size]
	clear(p)
	p[tokenVersion-1] = 1
	tag, content := p[tokenVersion:tokenVersion+tokenTag], p[tokenVersion+tokenTag:]
	binary.BigEndian.PutUint64(content, uint64(t.now().UnixNano()))
	binary.BigEndian.PutUint32(content[8:], mathrand.Uint32())
	content[12] = byte(kind)
	binary.BigEndian.PutUint16(content[14:], uint16(len(payload)))
	copy(content[tokenHead:], payload)
	copy(tag, desk.tag(content))
	cipher.NewCTR(t.cipher, tag).XORKeyStream(content, content)
	return string(base64.StdEncoding.AppendEncode(desk.text[:0], p))
}

// open returns the payload of a token and how long ago it was made. The error is errToken. The age is negative if the
// clock has been set back since.
func (t *tokens) open(kind tokenKind, token string) (payload []byte, age time.Duration, err error) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which the decoder would pass over
		return nil, 0, errToken
	}
	desk := t.desks.Get().(*tokenDesk)
	defer t.desks.Put(desk)
	n, err := tokenEncoding.Decode(desk.bytes[:], desk.text[:copy(desk.text[:], token)])
	p := desk.bytes[:n]
	if err != nil || n < tokenVersion+tokenTag+tokenHead || n%aes.BlockSize != tokenVersion || binary.BigEndian.Uint64(p) != 1 {
		return nil, 0, errToken
	}
	tag, content := p[tokenVersion:tokenVersion+tokenTag], p[tokenVersion+tokenTag:]
	cipher.NewCTR(t.cipher, tag).XORKeyStream(content, content)
	if !hmac.Equal(tag, desk.tag(content)) || content[12] != byte(kind) {
		return nil, 0, errToken
	}
	made := time.Unix(0, int64(binary.BigEndian.Uint64(content)))
	return bytes.Clone(content[tokenHead:][:binary.BigEndian.Uint16(content[14:])]), t.now().Sub(made), nil
}

// tokenEncoding takes only one text for each token.
var tokenEncoding = base64.StdEncoding.Strict()

// tag is valid until the next call.
func (d *tokenDesk) tag(content []byte) []byte {
	d.mac.Reset()
	d.mac.Write(content)
	return d.mac.Sum(d.sum[:0])[:tokenTag]
}

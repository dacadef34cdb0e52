package kinesis

import (
	"context"

	"github.com/leatstream/leat/core/wire"
)

var keyID = text{least: 1, most: 2048}

// encryptionOperations are the operations on the encryption of streams with keys of KMS. There is no KMS here, and no
// stream is encrypted: after the checks both answer with the error of the service that says so.
func (a *API) encryptionOperations(ops map[string]wire.Handler) {
	ops["StartStreamEncryption"] = operation(a.startStreamEncryption)
	ops["StopStreamEncryption"] = operation(a.stopStreamEncryption)
}

func (in *StartStreamEncryptionInput) validate(v *violations) {
	checkEncryption(v, in.EncryptionType, in.KeyId, in.StreamName, in.StreamARN)
}

func (a *API) startStreamEncryption(_ context.Context, in *StartStreamEncryptionInput) (none, error) {
	if _, err := a.encryptable(in.EncryptionType, in.StreamName, in.StreamARN); err != nil {
		return nil, err
	}
	return nil, fail(codeKMSNotFound, "Key %s does not exist: streams can not be encrypted here, for there is no KMS.", *in.KeyId)
}

func (in *StopStreamEncryptionInput) validate(v *violations) {
	checkEncryption(v, in.EncryptionType, in.KeyId, in.StreamName, in.StreamARN)
}

func (a *API) stopStreamEncryption(_ context.Context, in *StopStreamEncryptionInput) (none, error) {
	k, err := a.encryptable(in.EncryptionType, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, fail(codeInvalidArgument, "Stream %s under account %s is not encrypted.", k.Name(), a.cfg.Account)
}

func checkEncryption(v *violations, encryption, key, name, arn *string) {
	v.required("encryptionType", encryption == nil)
	v.enum("encryptionType", encryption, "NONE", "KMS")
	keyID.need(v, "keyId", key)
	streamName.check(v, "streamName", name)
	streamARN.check(v, "streamARN", arn)
}

// encryptable finds an ACTIVE stream for a change of its encryption, which has one type.
func (a *API) encryptable(encryption, name, arn *string) (*known, error) {
	k, err := a.find(name, arn)
	if err != nil {
		return nil, err
	}
	if *encryption != "KMS" {
		return nil, fail(codeInvalidArgument, "EncryptionType must be KMS.")
	}
	return k, k.active()
}

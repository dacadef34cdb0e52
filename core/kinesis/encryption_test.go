package kinesis

import (
	"testing"
)

func TestEncryptionSaysThatThereIsNone(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	encryption := doc{"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/a"}
	s.refused("StartStreamEncryption", encryption, "KMSNotFoundException",
		"Key alias/a does not exist: streams can not be encrypted here, for there is no KMS.")
	s.refused("StopStreamEncryption", encryption, "InvalidArgumentException", "Stream s under account 123456789012 is not encrypted.")
	for _, operation := range []string{"StartStreamEncryption", "StopStreamEncryption"} {
		s.refused(operation, doc{"StreamName": "t", "EncryptionType": "KMS", "KeyId": "k"}, "ResourceNotFoundException",
			"Stream t under account 123456789012 not found.")
		s.refused(operation, doc{"StreamName": "s", "EncryptionType": "NONE", "KeyId": "k"}, "InvalidArgumentException", "EncryptionType must be KMS.")
	}
}

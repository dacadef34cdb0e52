package wire

// Signature is what a request says about who signed it. It is parsed, not verified.
type Signature struct {
	// AccessKey is the id of the key it was signed with; empty for a request without a signature.
	AccessKey string
	// Region and Service are those of the credential's scope.
	Region, Service string
}

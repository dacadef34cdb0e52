package wire

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Signature is what a request says about who signed it, by Signature Version 4. It is parsed, not verified.
type Signature struct {
	// AccessKey is the id of the key it was signed with; empty if the credential is not of the form that has one.
	AccessKey string
	// Date, Region and Service are those of the credential's scope; Date is YYYYMMDD.
	Date, Region, Service string
	// Algorithm is AWS4-HMAC-SHA256, most of the time.
	Algorithm string
	// SignedHeaders are the names of the headers that were signed, in lower case, with ; between them.
	SignedHeaders string
	// Hex is the signature itself.
	Hex string
	// Presigned is whether it came in the query, not in the header Authorization.
	Presigned bool
}

// parseSignature reads a request's signature. Texts and codes are the service's.
func parseSignature(r *http.Request) (Signature, error) {
	header := r.Header.Get("Authorization")
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	presigned := query.Has("X-Amz-Algorithm")
	switch {
	case header != "" && presigned:
		return Signature{}, &Error{Code: codeInvalidSignature,
			Message: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}
	case header != "":
		return parseAuthorization(header, r.Header.Get("X-Amz-Date") != "" || r.Header.Get("Date") != "")
	case presigned:
		return parsePresigned(query)
	}
	return Signature{}, &Error{Code: codeMissingToken, Message: "Missing Authentication Token"}
}

func parseAuthorization(header string, dated bool) (Signature, error) {
	algorithm, rest, _ := strings.Cut(header, " ")
	s := Signature{Algorithm: algorithm}
	var credential string
	for part := range strings.FieldsFuncSeq(rest, func(c rune) bool { return c == ',' || c == ' ' }) {
		switch key, v, _ := strings.Cut(part, "="); key {
		case "Credential":
			credential = v
		case "SignedHeaders":
			s.SignedHeaders = v
		case "Signature":
			s.Hex = v
		}
	}
	var missing strings.Builder
	for _, p := range [...]struct{ name, value string }{{"Credential", credential}, {"Signature", s.Hex}, {"SignedHeaders", s.SignedHeaders}} {
		if p.value == "" {
			missing.WriteString("Authorization header requires '" + p.name + "' parameter. ") // fmt would cost every request an allocation
		}
	}
	if !dated {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() > 0 {
		return Signature{}, incomplete(missing.String() + "Authorization=" + strings.ToValidUTF8(header, "?"))
	}
	return s, s.setCredential(credential)
}

func parsePresigned(query url.Values) (Signature, error) {
	var missing strings.Builder
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query.Get(name) == "" {
			fmt.Fprintf(&missing, "AWS query-string parameters must include '%s'. ", name)
		}
	}
	if missing.Len() > 0 {
		return Signature{}, incomplete(missing.String() + "Re-examine the query-string parameters.")
	}
	s := Signature{
		Algorithm: query.Get("X-Amz-Algorithm"), Hex: query.Get("X-Amz-Signature"), Presigned: true,
		SignedHeaders: query.Get("X-Amz-SignedHeaders"),
	}
	return s, s.setCredential(query.Get("X-Amz-Credential"))
}

// setCredential takes a credential apart: key/date/region/service/aws4_request, where the key may have slashes.
func (s *Signature) setCredential(credential string) error {
	rest, parts := credential, [4]string{} // from the end
	for i := range parts {
		slash := strings.LastIndexByte(rest, '/')
		if slash < 0 {
			return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
				strings.ToValidUTF8(credential, "?") + "'")
		}
		rest, parts[i] = rest[:slash], rest[slash+1:]
	}
	s.AccessKey, s.Date, s.Region, s.Service = rest, parts[3], parts[2], parts[1]
	return nil
}

func incomplete(message string) error { return &Error{Code: codeIncomplete, Message: message} }

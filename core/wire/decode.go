package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Decode reads the body into in, a pointer to a struct with json tags or a [Decoder]. Members that in does not have are
// ignored, and so is a null; the names are case sensitive, and of a name that comes twice the last counts. The error is a
// SerializationException.
func (r *Request) Decode(in any) error { return Unmarshal(r.Format, r.Body, in) }

// Unmarshal is [Request.Decode] for a body of one's own. What it puts into in is a copy.
func Unmarshal(f Format, body []byte, in any) error {
	if d, ok := in.(Decoder); ok {
		return d.DecodeWire(f, body)
	}
	var r reader = &jsonReader{body: body}
	if f == CBOR {
		r = &cborReader{body: body}
	}
	top, err := r.next()
	if err == nil && top.kind != kindMap {
		err = errToken
	}
	if err == nil {
		err = decodeStructure(r, reflect.ValueOf(in).Elem())
	}
	if err == nil {
		err = r.end()
	}
	if _, known := errors.AsType[*Error](err); err == nil || known {
		return err
	}
	return SerializationError(err.Error())
}

// SerializationError is the answer to a body that cannot be read.
func SerializationError(message string) *Error {
	return &Error{Code: codeSerialization, Message: message}
}

const codeSerialization = "SerializationException"

// mismatch words that a value is not of a member's type: texts of the service, from what its clients report. to has its
// article: "an Integer".
func (v value) mismatch(to string) error {
	switch v.kind {
	case kindList:
		return SerializationError("Start of list found where not expected")
	case kindMap:
		return SerializationError("Start of structure or map found where not expected.")
	}
	name := [...]string{kindFalse: "FALSE_VALUE", kindTrue: "TRUE_VALUE", kindNumber: "NUMBER_VALUE", kindText: "STRING_VALUE",
		kindBlob: "BLOB_VALUE"}[v.kind]
	return fmt.Errorf("%s can not be converted to %s", name, to)
}

// expect is the error for a value that should be a list, a map or a structure.
func (v value) expect(want kind, otherwise string) error {
	switch {
	case v.kind == want:
		return nil
	case v.kind == kindList || v.kind == kindMap:
		return v.mismatch("")
	}
	return errors.New(otherwise)
}

// decodeStructure reads the members of a structure whose head has been read.
func decodeStructure(r reader, into reflect.Value) error {
	s := structureOf(into.Type())
	for {
		if ok, err := r.more(); !ok {
			return err
		}
		key, err := r.next()
		if err != nil {
			return err
		}
		i, ok := s.byName[string(key.bytes)]
		if !ok {
			err = skip(r)
		} else {
			err = decodeValue(r, into.Field(s.members[i].index))
		}
		if err != nil {
			return err
		}
	}
}

// decodeValue reads the next value into a member or element; null leaves it as it is.
func decodeValue(r reader, into reflect.Value) error {
	v, err := r.next()
	if err != nil || v.kind == kindNull {
		return err
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if into.Type() == timestampType {
		return decodeTimestamp(r, v, into.Addr().Interface().(*Timestamp))
	}
	switch into.Kind() {
	case reflect.String:
		if v.kind != kindText {
			return v.mismatch("a String")
		}
		into.SetString(string(v.bytes))
	case reflect.Bool:
		return decodeBool(v, into)
	case reflect.Int32:
		n, err := v.integer("an Integer")
		into.SetInt(min(max(n, math.MinInt32), math.MaxInt32))
		return err
	case reflect.Int64:
		n, err := v.integer("a Long")
		into.SetInt(n)
		return err
	case reflect.Float64:
		if v.kind != kindNumber {
			return v.mismatch("a Double")
		}
		into.SetFloat(v.number)
	case reflect.Slice:
		if into.Type().Elem().Kind() == reflect.Uint8 {
			p, err := v.blob()
			into.SetBytes(p)
			return err
		}
		if err := v.expect(kindList, "Expected list or null"); err != nil {
			return err
		}
		return decodeList(r, into)
	case reflect.Map:
		if err := v.expect(kindMap, "Expected map or null"); err != nil {
			return err
		}
		return decodeMap(r, into)
	case reflect.Struct:
		if err := v.expect(kindMap, "Expected null"); err != nil {
			return err
		}
		return decodeStructure(r, into)
	default:
		panic(fmt.Sprintf("wire: %s is no type of a member", into.Type()))
	}
	return nil
}

func decodeList(r reader, into reflect.Value) error {
	list := reflect.MakeSlice(into.Type(), 0, 0)
	for {
		ok, err := r.more()
		if err != nil {
			return err
		}
		if !ok {
			into.Set(list)
			return nil
		}
		if list.Len() == maxElements {
			return errElements
		}
		list = reflect.Append(list, reflect.Zero(into.Type().Elem()))
		if err := decodeValue(r, list.Index(list.Len()-1)); err != nil {
			return err
		}
	}
}

func decodeMap(r reader, into reflect.Value) error {
	of := reflect.MakeMap(into.Type())
	for {
		ok, err := r.more()
		if err != nil {
			return err
		}
		if !ok {
			into.Set(of)
			return nil
		}
		key, err := r.next()
		if err != nil {
			return err
		}
		if of.Len() == maxElements {
			return errElements
		}
		name := string(key.bytes)
		element := reflect.New(into.Type().Elem()).Elem()
		if err := decodeValue(r, element); err != nil {
			return err
		}
		of.SetMapIndex(reflect.ValueOf(name), element)
	}
}

// decodeBool takes the texts true and false too, as the service does.
func decodeBool(v value, into reflect.Value) error {
	switch {
	case v.kind == kindTrue || v.kind == kindFalse:
		into.SetBool(v.kind == kindTrue)
		return nil
	case v.kind != kindText:
		return v.mismatch("a Boolean")
	}
	switch text := strings.ToUpper(string(v.bytes)); text {
	case "TRUE", "FALSE":
		into.SetBool(text == "TRUE")
		return nil
	default:
		return fmt.Errorf("'%.100s' can not be converted to an Boolean", text)
	}
}

// integer is a number without its fraction, and as near as an int64 comes, as the service takes it.
func (v value) integer(to string) (int64, error) {
	switch {
	case v.kind != kindNumber:
		return 0, v.mismatch(to)
	case v.integral:
		return v.whole, nil
	case v.number >= math.MaxInt64:
		return math.MaxInt64, nil
	case v.number <= math.MinInt64:
		return math.MinInt64, nil
	case math.IsNaN(v.number):
		return 0, v.mismatch(to)
	}
	return int64(math.Floor(v.number)), nil
}

// blob is the bytes of a blob: those of CBOR, or the base64 of a text, in the standard alphabet and padded.
func (v value) blob() ([]byte, error) {
	if v.kind == kindBlob {
		return append([]byte{}, v.bytes...), nil
	}
	if v.kind != kindText {
		return nil, v.mismatch("a Blob")
	}
	return DecodeBlob(v.bytes)
}

// DecodeBlob is the blob of a base64 text of JSON. The error is a SerializationException with the service's text.
func DecodeBlob(text []byte) ([]byte, error) {
	if len(text)%4 != 0 {
		return nil, badBlob(text, fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", len(text)))
	}
	p := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(p, text)
	if err == nil {
		return p[:n], nil
	}
	for i, c := range text {
		padding := c == '=' && i >= len(text)-2
		if !padding && !strings.ContainsRune(base64Alphabet, rune(c)) {
			return nil, badBlob(text, fmt.Sprintf("Invalid Base64 character: '%c'", c))
		}
	}
	return nil, badBlob(text, "Invalid last non-pad Base64 character dectected") // the service's spelling
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func badBlob(text []byte, why string) error {
	return SerializationError(fmt.Sprintf("'%.100s' can not be converted to a Blob: %s", text, why))
}

// decodeTimestamp takes numbers only: seconds in JSON, milliseconds in CBOR.
func decodeTimestamp(r reader, v value, into *Timestamp) error {
	if v.kind != kindNumber {
		return v.mismatch("milliseconds since epoch")
	}
	return into.set(v.number * r.milliseconds())
}

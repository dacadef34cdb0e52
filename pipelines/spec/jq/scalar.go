package jq

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/leatstream/leat/core/jsonpath"
)

// scalarOf returns the text of a result of gojq.
func scalarOf(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, errNull
	case string:
		return []byte(strings.ToValidUTF8(v, "\uFFFD")), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case *big.Int:
		return v.Append(nil, 10), nil
	case json.Number:
		return jsonpath.Canonical([]byte(v)), nil
	case float64:
		if math.IsNaN(v) { // jq's text for it is null
			return nil, errNull
		}
		return jsonpath.AppendFloat(nil, v), nil
	default:
		return nil, errNotScalar
	}
}

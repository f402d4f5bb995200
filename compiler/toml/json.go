package toml

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// MarshalJSON gives the table as a JSON object: the same keys in the order of the document, drop-ins last. Dates become
// texts, and so do the numbers inf and nan, which JSON lacks.
func (t *Table) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t *Table) appendJSON(out []byte) []byte {
	out = append(out, '{')
	for i, key := range t.values.keys {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendScalar(out, key), ':')
		out = t.values.values[i].appendJSON(out)
	}
	return append(out, '}')
}

func (v Value) appendJSON(out []byte) []byte {
	switch data := v.Data.(type) {
	case *Table:
		return data.appendJSON(out)
	case []Value:
		out = append(out, '[')
		for i, item := range data {
			if i > 0 {
				out = append(out, ',')
			}
			out = item.appendJSON(out)
		}
		return append(out, ']')
	case float64:
		if math.IsInf(data, 0) || math.IsNaN(data) {
			return appendScalar(out, fmt.Sprint(data))
		}
	case time.Time:
		return appendScalar(out, data.Format(time.RFC3339Nano))
	}
	return appendScalar(out, v.Data)
}

// appendScalar writes a text, a number or a boolean.
func appendScalar(out []byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the parser gives no other values
	}
	return append(out, text...)
}

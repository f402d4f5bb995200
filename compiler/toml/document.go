package toml

import (
	"math"
	"strconv"
	"time"
)

// Document gives the table as a value of its own that JSON can hold: strings, int64, float64, bool, []any and
// map[string]any. Dates, times, inf and nan become strings, as they have no form in JSON (RFC 8259) and no meaning in a
// farm. No key becomes known by it.
func (t *Table) Document() map[string]any {
	out := make(map[string]any, len(t.values.keys))
	for i, key := range t.values.keys {
		out[key] = plainData(t.values.values[i].Data)
	}
	return out
}

func plainData(data any) any {
	switch data := data.(type) {
	case *Table:
		return data.Document()
	case []Value:
		list := make([]any, len(data))
		for i, item := range data {
			list[i] = plainData(item.Data)
		}
		return list
	case float64:
		if math.IsInf(data, 0) || math.IsNaN(data) {
			return strconv.FormatFloat(data, 'g', -1, 64)
		}
	case time.Time:
		return data.Format(timeLayout(data))
	}
	return data
}

// timeLayout is the layout of a date or time, by the names that toml gives the locations of local ones.
func timeLayout(t time.Time) string {
	switch t.Location().String() {
	case "datetime-local":
		return "2006-01-02T15:04:05.999999999"
	case "date-local":
		return time.DateOnly
	case "time-local":
		return "15:04:05.999999999"
	}
	return time.RFC3339Nano
}

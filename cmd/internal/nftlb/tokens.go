package nftlb

import (
	"bytes"
	"encoding/json"
	"slices"

	"farmc/cmd/internal/edit"
	"farmc/compiler/toml"
)

// An object is a JSON object in its order.
type object []member

type member struct {
	key   string
	value any // string, object, or list; nil for null
}

type list []any

// readJSON reads an object that package edit takes. Numbers and booleans become texts. Twice admits names that stand
// twice in an object, which configurations of nftlb have.
func readJSON(text []byte, twice bool) (object, []edit.Fault) {
	_, faults := edit.Decode(bytes.NewReader(text))
	if twice && len(faults) < maxFaults {
		faults = slices.DeleteFunc(faults, isDuplicate)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	o, _ := readValue(d).(object)
	return o, nil
}

// maxFaults is the number of faults after which package edit has not read the rest of a text.
const maxFaults = toml.MaxFaults

// isDuplicate reports whether a fault is a name that stands twice. The last one counts in nftlb.
func isDuplicate(f edit.Fault) bool { return f.Message == "the name stands here twice" }

// readValue reads a value of a text that is known to be JSON of few levels.
func readValue(d *json.Decoder) any {
	token, _ := d.Token()
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return readObject(d)
		}
		return readList(d)
	case string:
		return token
	case json.Number:
		return token.String()
	case bool:
		if token {
			return "on"
		}
		return "off"
	}
	return nil
}

func readObject(d *json.Decoder) object {
	out := object{}
	for d.More() {
		key, _ := d.Token()
		name, _ := key.(string)
		out = append(out, member{name, readValue(d)})
	}
	_, _ = d.Token()
	return out
}

func readList(d *json.Decoder) list {
	out := list{}
	for d.More() {
		out = append(out, readValue(d))
	}
	_, _ = d.Token()
	return out
}

// nameFirst returns the object with its name before all other keys, as the keys are about the object of the name.
func (o object) nameFirst(key string) object {
	i := slices.IndexFunc(o, func(m member) bool { return m.key == key })
	if i <= 0 {
		return o
	}
	return slices.Concat(object{o[i]}, o[:i], o[i+1:])
}

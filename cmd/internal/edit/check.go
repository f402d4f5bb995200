package edit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// A checker finds the parts of a document that TOML cannot hold.
type checker struct {
	removes bool // null has a meaning: the document is a merge patch
	faults  []Fault
}

// check finds all faults of a document, or of a merge patch. A value of a type that no Document has is a mistake of
// the program, and a panic.
func check(document map[string]any, isPatch bool) []Fault {
	c := checker{removes: isPatch}
	c.object(nil, document)
	return c.faults
}

func (c *checker) fault(at path, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{Key: at.String(), Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) object(at path, object map[string]any) {
	if len(at) >= maxDepth {
		c.fault(at, tooDeep)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		below := at.with(name)
		c.text(below, "the name", name)
		if object[name] == nil && c.removes {
			continue
		}
		if name == "" { // BurntSushi/toml 1.6.0 loses keys beside an empty one
			c.fault(below, "the name is empty")
		}
		c.value(below, object[name])
	}
}

// list checks the items of a list. A merge patch replaces lists as a whole, so null has no meaning in them.
func (c *checker) list(at path, items []any) {
	if len(at) >= maxDepth {
		c.fault(at, tooDeep)
		return
	}
	inList := checker{faults: c.faults}
	for i, item := range items {
		inList.value(at.with(i), item)
	}
	c.faults = inList.faults
}

func (c *checker) value(at path, value any) {
	switch value := value.(type) {
	case nil:
		c.fault(at, "null is no value of TOML; leave the key out")
	case string:
		c.text(at, "the string", value)
	case float64:
		if math.IsInf(value, 0) || math.IsNaN(value) {
			c.fault(at, "%v is no number of JSON", value)
		}
	case map[string]any:
		c.object(at, value)
	case []any:
		c.list(at, value)
	case int64, bool:
	default:
		panic(fmt.Sprintf("%s has a value of type %T", at, value))
	}
}

func (c *checker) text(at path, kind, text string) {
	if len(text) > maxString {
		c.fault(at, "%s has %d bytes, at most %d", kind, len(text), maxString)
	}
	if !utf8.ValidString(text) {
		c.fault(at, "%s is not UTF-8", kind)
	}
}

const tooDeep = "more than 16 levels deep"

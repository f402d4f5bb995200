package farm

import (
	"fmt"
	"strconv"
	"strings"

	"farmc/compiler/toml"
)

// A Mark sets the bits of its mask in the connection mark (ct mark). The zero Mark sets nothing.
type Mark struct {
	Value, Mask uint32
}

// All reports whether the mask holds all bits.
func (m Mark) All() bool { return m.Mask == 1<<32-1 }

// Others is the mask of the bits that are left alone.
func (m Mark) Others() uint32 { return ^m.Mask }

// String writes the mark as a farm does.
func (m Mark) String() string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }

// readMark reads "0x10/0xff", or a plain number, which stands for all bits.
func readMark(t *toml.Table, key string) Mark {
	v, text, ok := t.NumberOrText(key, `"0x10/0xff"`)
	if !ok {
		return Mark{}
	}
	const rule = `mark = "0x10/0xff", or a plain number, 1 to 4294967295`
	if n, isNumber := v.Data.(int64); isNumber && (n < 1 || n > 1<<32-1) {
		t.Fault(v.Place, rule, "mark is %s, not a mark", text)
		return Mark{}
	}
	number, bits, masked := strings.Cut(text, "/")
	if !masked {
		bits = "0xffffffff"
	}
	n, errN := strconv.ParseUint(number, 0, 32)
	m, errM := strconv.ParseUint(bits, 0, 32)
	switch {
	case errN != nil || errM != nil || m == 0 || n == 0 && !masked:
		t.Fault(v.Place, rule, "mark: %q is not a mark", text)
	case n&^m != 0:
		t.Fault(v.Place, "", "mark: %s has bits outside of its mask", text)
	}
	return Mark{uint32(n), uint32(m)}
}

package foreign

import "bytes"

// registers are the data registers of nf_tables: 16 words of 4 bytes. The registers 1 to 4 of the old numbering are
// four words each.
type registers struct{ data, known [64]byte }

// word returns the offset of a register, or -1 for the verdict register.
func word(register uint32) int {
	switch {
	case register >= 1 && register <= 4:
		return int(register-1) * 16
	case register >= 8 && register < 24:
		return int(register-8) * 4
	}
	return -1
}

// put stores a value, and zeroes the rest of its last word.
func (r *registers) put(register uint32, v value) {
	at := word(register)
	if at < 0 {
		return
	}
	for i := 0; i < (len(v.data)+3)/4*4 && at+i < len(r.data); i++ {
		r.data[at+i], r.known[at+i] = 0, 0xff
		if i < len(v.data) {
			r.data[at+i], r.known[at+i] = v.data[i], v.known[i]
		}
	}
}

// get returns a value that is valid until the next put.
func (r *registers) get(register uint32, size int) value {
	at := word(register)
	if at < 0 || size < 0 || at+size > len(r.data) {
		return unknown(max(size, 0))
	}
	return value{r.data[at : at+size], r.known[at : at+size]}
}

// forget makes all registers unknown.
func (r *registers) forget() { *r = registers{} }

// A truth is the result of a match.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func truthOf(holds bool) truth {
	if holds {
		return yes
	}
	return no
}

func (t truth) inverted(invert bool) truth {
	if !invert {
		return t
	}
	return yes - t
}

func (v value) isKnown() bool {
	for _, mask := range v.known {
		if mask != 0xff {
			return false
		}
	}
	return true
}

// compare compares a value with a constant of the same size: the sign of their difference, and whether it is known.
func (v value) compare(constant []byte) (sign int, isKnown bool) {
	for i := range min(len(v.data), len(constant)) {
		if v.known[i] != 0xff {
			return 0, false
		}
	}
	return bytes.Compare(v.data, constant), true
}

// equals compares a value with a constant. A known bit that differs decides.
func (v value) equals(constant []byte) truth {
	result := yes
	for i := range min(len(v.data), len(constant)) {
		if (v.data[i]^constant[i])&v.known[i] != 0 {
			return no
		}
		if v.known[i] != 0xff {
			result = maybe
		}
	}
	return result
}

package slots

import (
	"encoding/binary"
	"math/bits"
)

// Jhash is the hash of nft's jhash: Bob Jenkins's lookup3 as the kernel has it (jhash of include/linux/jhash.h). Words
// of four bytes are read in the byte order of the machine, the last ones byte by byte.
func Jhash(data []byte, seed uint32) uint32 {
	start := 0xdeadbeef + uint32(len(data)) + seed
	a, b, c := start, start, start
	for ; len(data) > 12; data = data[12:] {
		a += binary.NativeEndian.Uint32(data)
		b += binary.NativeEndian.Uint32(data[4:])
		c += binary.NativeEndian.Uint32(data[8:])
		a, b, c = jhashMix(a, b, c)
	}
	if len(data) == 0 {
		return c
	}
	var last [12]byte
	copy(last[:], data)
	a += binary.LittleEndian.Uint32(last[:])
	b += binary.LittleEndian.Uint32(last[4:])
	c += binary.LittleEndian.Uint32(last[8:])
	return jhashFinal(a, b, c)
}

// jhashMix is __jhash_mix.
func jhashMix(a, b, c uint32) (_, _, _ uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 4)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 6)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 8)
	b += a
	a = (a - c) ^ bits.RotateLeft32(c, 16)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 19)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

// jhashFinal is __jhash_final.
func jhashFinal(a, b, c uint32) uint32 {
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	return (c ^ b) - bits.RotateLeft32(b, 24)
}

// Scale maps a hash to a number below most: reciprocal_scale of include/linux/math.h, which nft's mod is.
func Scale(hash, most uint32) uint32 { return uint32(uint64(hash) * uint64(most) >> 32) }

package slots

import "hash/fnv"

// Hash64 is FNV-1a, with a finalizer (that of MurmurHash3) as keys differ in their last characters only.
func Hash64(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

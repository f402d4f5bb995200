package slots

import "hash/fnv"

// Hash64 is the hash of Maglev's keys: FNV-1a with the finalizer of MurmurHash3 (fmix64, Appleby 2011). The finalizer
// spreads the last characters, which are often the only difference of two keys, over all 64 bits.
func Hash64(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

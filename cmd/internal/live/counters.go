package live

import (
	"context"
	"encoding/binary"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/compiler/reload"
)

// counters reads the counters of elements. The result is zero for an element with a key that appendKey cannot encode.
func (e *Engine) counters(ctx context.Context, counted []reload.CountedElement) ([]reload.Counter, error) {
	read, err := e.Nft.Counters(ctx, kernelElements(counted))
	counters := make([]reload.Counter, len(read))
	for i, c := range read {
		counters[i] = reload.Counter(c)
	}
	return counters, err
}

// kernelElements encodes the keys of elements. The keys stand one after another in few pieces of memory.
func kernelElements(counted []reload.CountedElement) []nft.Element {
	const usual = 16 // bytes of a key
	elements, keys := make([]nft.Element, len(counted)), make([]byte, 0, usual*len(counted))
	for i, c := range counted {
		from := len(keys)
		keys = appendKey(keys, c)
		elements[i] = nft.Element{Family: c.Table, Set: c.Map, Key: keys[from:len(keys):len(keys)]}
	}
	return elements
}

// appendKey encodes a key as the kernel does: its fields in order, each padded to a multiple of 4 bytes if there are
// several.
func appendKey(keys []byte, c reload.CountedElement) []byte {
	if strings.Count(c.Key, " . ") != len(c.Keys)-1 {
		return keys
	}
	begin, rest := len(keys), c.Key
	for _, field := range c.Keys {
		var word string
		word, rest, _ = strings.Cut(rest, " . ")
		keys = appendField(keys, field, word)
		for len(c.Keys) > 1 && (len(keys)-begin)%4 != 0 {
			keys = append(keys, 0)
		}
	}
	return keys
}

var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// appendField adds a field of a key. 100,000 keys are encoded at once, so it allocates nothing for usual fields.
func appendField(key []byte, field reload.Field, word string) []byte {
	if bits := field.Raw(); bits > 0 {
		payload, ok := new(big.Int).SetString(word, 0)
		if !ok || payload.BitLen() > bits {
			return key
		}
		return append(key, payload.FillBytes(make([]byte, bits/8))...)
	}
	switch field {
	case reload.ProtocolField:
		return append(key, protocols[word])
	case reload.IP4Field, reload.IP6Field:
		return appendAddress(key, word)
	case reload.PortField:
		return binary.BigEndian.AppendUint16(key, uint16(numberOf(word)))
	case reload.IntegerField, reload.MarkField:
		return binary.NativeEndian.AppendUint32(key, uint32(numberOf(word)))
	case reload.MACField:
		address, _ := net.ParseMAC(word)
		return append(key, address...)
	}
	return key
}

func appendAddress(key []byte, word string) []byte {
	address, _ := netip.ParseAddr(word)
	switch {
	case address.Is4():
		four := address.As4()
		return append(key, four[:]...)
	case address.Is6():
		sixteen := address.As16()
		return append(key, sixteen[:]...)
	}
	return key
}

// numberOf gives a number that a script writes; 0 if it is none.
func numberOf(word string) uint64 {
	number, _ := strconv.ParseUint(word, 0, 32)
	return number
}

package live

import (
	"context"
	"encoding/binary"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/compiler/reload"
)

// counters reads the counters of elements. The result is zero for an element with a key that keyBytes cannot encode.
func (e *Engine) counters(ctx context.Context, counted []reload.CountedElement) ([]reload.Counter, error) {
	elements := make([]nft.Element, len(counted))
	for i, c := range counted {
		elements[i] = nft.Element{Family: c.Table, Set: c.Map, Key: keyBytes(c)}
	}
	read, err := e.Nft.Counters(ctx, elements)
	counters := make([]reload.Counter, len(read))
	for i, c := range read {
		counters[i] = reload.Counter(c)
	}
	return counters, err
}

// keyBytes encodes a key as the kernel does: its fields in order, each padded to a multiple of 4 bytes if there are
// several.
func keyBytes(c reload.CountedElement) []byte {
	var key []byte
	words := strings.Split(c.Key, " . ")
	if len(words) != len(c.Keys) {
		return nil
	}
	for i, field := range c.Keys {
		bytes := fieldBytes(field, words[i])
		if len(c.Keys) > 1 {
			bytes = append(slices.Clip(bytes), make([]byte, (4-len(bytes)%4)%4)...)
		}
		key = append(key, bytes...)
	}
	return key
}

var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

func fieldBytes(field reload.Field, word string) []byte {
	number, _ := strconv.ParseUint(word, 0, 32)
	if bits := field.Raw(); bits > 0 {
		payload, ok := new(big.Int).SetString(word, 0)
		if !ok || payload.BitLen() > bits {
			return nil
		}
		return payload.FillBytes(make([]byte, bits/8))
	}
	switch field {
	case reload.ProtocolField:
		return []byte{protocols[word]}
	case reload.IP4Field, reload.IP6Field:
		address, _ := netip.ParseAddr(word)
		return address.AsSlice()
	case reload.PortField:
		return binary.BigEndian.AppendUint16(nil, uint16(number))
	case reload.IntegerField, reload.MarkField:
		return binary.NativeEndian.AppendUint32(nil, uint32(number))
	case reload.MACField:
		address, _ := net.ParseMAC(word)
		return address
	}
	return nil
}

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSetValues: values are set in one transaction, or none if the kernel refuses one. More values are set, too, in a
// user namespace in several transactions: the tests of a plain user run in one.
func TestSetValues(t *testing.T) {
	nft, _ := realNft(t)
	const some, many = 1200, 3000
	var elements []string
	for i := range many {
		elements = append(elements, fmt.Sprint(i, " : 10.0.0.1"))
	}
	const table = "table inet farmc {\nmap slots { type mark : ipv4_addr; size %d; elements = { %s }\n}\n}\n"
	load(t, nft, fmt.Appendf(nil, table, 2*many, strings.Join(elements, ", ")))
	values := func(n int, backend byte) (out []MapValue) {
		for slot := range uint32(n) {
			out = append(out, slotValue(slot, backend))
		}
		return out
	}
	if err := nft.SetValues(t.Context(), append(values(some, 2), slotValue(many, 2))); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a key that the map lacks: %v", err)
	}
	checkValues(t, nft, 1, many)
	if err := errors.Join(nft.SetValues(t.Context(), nil), nft.SetValues(t.Context(), values(many, 3))); err != nil {
		t.Error(err)
	}
	checkValues(t, nft, 3, many)
}

func slotValue(slot uint32, backend byte) MapValue {
	return MapValue{"slots", binary.NativeEndian.AppendUint32(nil, slot), []byte{10, 0, 0, backend}}
}

// checkValues checks how many slots a backend has.
func checkValues(t *testing.T, nft Nft, backend byte, want int) {
	t.Helper()
	n := 0
	err := nft.MapValues(t.Context(), "inet", "slots", func(value []byte) {
		if value[3] == backend {
			n++
		}
	})
	if err != nil || n != want {
		t.Errorf("%d slots of 10.0.0.%d, want %d; %v", n, backend, want, err)
	}
}

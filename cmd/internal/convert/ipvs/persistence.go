package ipvs

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"

	"farmc/cmd/internal/convert"
)

// Persistence is the persistence of a service.
type Persistence struct {
	At      convert.Place
	Seconds int    // how long a client is remembered
	Mask    Option // of client addresses: a netmask of IPv4, or the length of a prefix of IPv6; "": whole addresses
	Engine  Option // the persistence engine; "": by address
}

// longestPersistence is the longest time of persistence.timeout, in seconds.
const longestPersistence = 365 * 24 * 3600

func (i *importer) persistence() {
	p := i.Persistence
	if p == nil {
		return
	}
	i.farm.Set(p.At, []string{"source-address"}, "persistence", "on")
	seconds := p.Seconds
	if seconds > longestPersistence {
		seconds = longestPersistence
		i.Lose(p.At, "farmc remembers clients for 365 days at most", "the farm has 365 days")
	}
	i.farm.Set(p.At, Seconds(seconds), "persistence", "timeout")
	if i.kind == Masquerade {
		i.farm.Set(p.At, "packet", "persistence", "renew")
	}
	if p.Mask.Value != "" {
		i.mask(p.Mask)
	}
	if p.Engine.Value != "" {
		i.Lose(p.Engine.At, "farmc has no persistence engines, such as "+p.Engine.Value+" for Call-ID",
			"the farm knows clients by their address")
	}
}

// mask sets the length of the clients' networks.
func (i *importer) mask(mask Option) {
	length, family := prefixLength(mask.Value)
	switch whole := map[int]int{4: 32, 6: 128}[family]; {
	case length < 1:
		i.Lose(mask.At, mask.Value+" is not a netmask that farmc has", "the farm knows clients by their whole address")
	case length == whole:
	case family == 4:
		i.farm.Set(mask.At, []any{int64(length), int64(128)}, "persistence", "prefix")
	default:
		i.farm.Set(mask.At, []any{int64(32), int64(length)}, "persistence", "prefix")
	}
}

// prefixLength reads 255.255.255.0, or 64 for IPv6; 0 for another text.
func prefixLength(text string) (length, family int) {
	if n, err := strconv.Atoi(text); err == nil && 0 < n && n <= 128 {
		return n, 6
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is4() {
		return 0, 0
	}
	b := ip.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	if n := bits.LeadingZeros32(^mask); mask<<n == 0 || n == 32 {
		return n, 4
	}
	return 0, 0
}

// Seconds writes a number of seconds as farms have it, at least one.
func Seconds(n int) string { return fmt.Sprintf("%ds", max(1, n)) }

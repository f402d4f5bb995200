package ruleset

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// TestDisjointSessions: each address belongs to the smallest network that holds it, and to one range alone.
func TestDisjointSessions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for range 300 {
		sessions := randomSessions(r)
		ranges := disjoint(sessions)
		for a := netip.MustParseAddr("10.0.0.0"); a != netip.MustParseAddr("10.0.0.64"); a = a.Next() {
			for _, port := range []string{"1", "2"} {
				var got []string
				for _, s := range ranges {
					if s.session.Client[1] == port && s.holds(sessionRange{Network: addr.Network{First: a, Last: a},
						session: s.session}) {
						got = append(got, s.session.Backend)
					}
				}
				if want := smallest(sessions, a, port); !slices.Equal(got, want) {
					t.Fatalf("%v: %s . %s goes to %v, want %v", sessions, a, port, got, want)
				}
			}
		}
	}
}

func randomSessions(r *rand.Rand) (out []farm.Session) {
	seen := map[string]bool{}
	for i := range 1 + r.IntN(12) {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(64))})
		p := netip.PrefixFrom(a, 26+r.IntN(7)).Masked().String()
		port := fmt.Sprint(1 + r.IntN(2))
		if key := p + port; !seen[key] {
			seen[key] = true
			out = append(out, farm.Session{Client: []string{p, port}, Network: true, Backend: fmt.Sprint("b", i)})
		}
	}
	return out
}

func smallest(sessions []farm.Session, a netip.Addr, port string) (backend []string) {
	bits := -1
	for _, s := range sessions {
		if p := netip.MustParsePrefix(s.Client[0]); s.Client[1] == port && p.Contains(a) && p.Bits() > bits {
			bits, backend = p.Bits(), []string{s.Backend}
		}
	}
	return backend
}

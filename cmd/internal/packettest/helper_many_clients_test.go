package packettest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"farmc/cmd/internal/netlab"
)

// udpDatagram has the destination port 80 and no checksum, which nothing checks in prerouting.
var udpDatagram = []byte{0x13, 0x88, 0, 80, 0, 8, 0, 0}

// The number of clients, and of networks in the list. The test has also passed with 500,000 networks.
const (
	accessClients = 10_000
	listLength    = 20_000
)

func (s *testbed) sendFromMany(r *rand.Rand) error {
	networks, text := randomList(r)
	err := steps{
		nftScript(`table inet spy {
			set seen4 { type ipv4_addr; size 65535; flags dynamic; }
			set seen6 { type ipv6_addr; size 65535; flags dynamic; }
			counter passed { }
			chain prerouting {
				type filter hook prerouting priority -305
				udp dport 80 ip daddr 192.0.2.1 update @seen4 { ip saddr } counter name passed drop
				udp dport 80 ip6 daddr 2001:db8::1 update @seen6 { ip6 saddr } counter name passed drop
			}
		}`),
		farms{"web": oneBackend("dnat", listen1, "b1", 0) + "\n[access]\ndeny = \"@many\"", "many.list": text},
	}.do(s)
	if err != nil {
		return err
	}
	inside, known := map[netip.Addr]bool{}, prefixSet{}
	for _, p := range networks {
		known[p] = true
	}
	for len(inside) < accessClients {
		if a := randomClient(r, networks); validClient(a) {
			inside[a] = known.contains(a)
		}
	}
	knocked := 0
	for a := range inside {
		to := netip.MustParseAddr(map[bool]string{true: "192.0.2.1", false: "2001:db8::1"}[a.Is4()])
		if err := s.Client.SendPacket(netlab.Packet(a, to, protocolUDP, udpDatagram)); err != nil {
			return err
		}
		if knocked++; knocked%500 == 0 || knocked == len(inside) { // a queue holds no more at once
			if err := s.awaitPackets(knocked); err != nil {
				return err
			}
		}
	}
	passed := map[netip.Addr]bool{}
	for _, set := range []string{"seen4", "seen6"} {
		out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "set", "inet", "spy", set)
		if err != nil {
			return err
		}
		_, elements, _ := strings.Cut(out, "elements = {")
		for _, word := range strings.FieldsFunc(elements,
			func(r rune) bool { return strings.ContainsRune(" ,}\n\t", r) }) {
			passed[netip.MustParseAddr(word)] = true
		}
	}
	for a, is := range inside {
		if passed[a] == is {
			return fmt.Errorf("%s is in the list: %t, and passed: %t", a, is, passed[a])
		}
	}
	s.t.Logf("%d networks, %d of %d clients denied", len(networks), len(inside)-len(passed), len(inside))
	return nil
}

type prefixSet map[netip.Prefix]bool

// contains tries prefixes of all lengths.
func (known prefixSet) contains(a netip.Addr) bool {
	for length := range a.BitLen() + 1 {
		if p, _ := a.Prefix(length); known[p] {
			return true
		}
	}
	return false
}

// awaitPackets waits until n packets are denied or passed.
func (s *testbed) awaitPackets(n int) error {
	for end := deadline(); ; {
		turnedAway, err := denied{}.count(s)
		if err != nil {
			return err
		}
		passed, err := nftCounter(s, "spy", "passed")
		if err != nil || turnedAway+passed == n {
			return err
		}
		if end.over() {
			return fmt.Errorf("%d packets of %d are denied, %d passed", turnedAway, n, passed)
		}
	}
}

// randomList has networks of both families and many lengths, nested and adjacent networks, and ranges.
func randomList(r *rand.Rand) ([]netip.Prefix, string) {
	var networks []netip.Prefix
	var text strings.Builder
	for range listLength {
		a := randomClient(r, networks)
		length := a.BitLen() - []int{0, 0, 1, 4, 8, 8, 8, 11, 20}[r.IntN(9)]
		p := netip.PrefixFrom(a, length).Masked()
		networks = append(networks, p)
		if length == a.BitLen()-1 { // two addresses
			fmt.Fprintf(&text, "%s - %s ; SBL\n", p.Addr(), p.Addr().Next())
			continue
		}
		fmt.Fprintf(&text, "%s # SBL\n", p)
	}
	return networks, text.String()
}

// randomClient is at an edge of a network, or anywhere.
func randomClient(r *rand.Rand, networks []netip.Prefix) netip.Addr {
	if len(networks) > 0 && r.IntN(3) > 0 {
		p := networks[r.IntN(len(networks))]
		last := p.Addr().AsSlice()
		for i := p.Bits(); i < p.Addr().BitLen(); i++ {
			last[i/8] |= 0x80 >> (i % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		if a := []netip.Addr{p.Addr(), p.Addr().Prev(), end, end.Next()}[r.IntN(4)]; a.IsValid() {
			return a
		}
	}
	if r.IntN(4) == 0 {
		return netip.AddrFrom16([16]byte{0x2a, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256)),
			4: byte(r.IntN(4)), 15: byte(r.IntN(256))})
	}
	return netip.AddrFrom4([4]byte{byte(11 + r.IntN(100)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
}

// validClient says whether the kernel accepts the address as the source of a packet.
func validClient(a netip.Addr) bool {
	return a.IsGlobalUnicast() && (a.Is6() || a.As4()[0] < 127 && a.As4()[0] > 10)
}

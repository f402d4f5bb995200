package packettest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
)

// TestAccess: whom a farm denies is dropped and counted, and whom it allows passes, in every mode, wherever the address
// of the service lives.
func TestAccess(t *testing.T) {
	t.Parallel()
	play(t, accessScenes())
}

// The clients of these scenes: one that no list names, one that is denied, and one that is denied and allowed.
const (
	anybody = "198.51.100.9 2001:db8:c::9"
	outcast = "198.51.100.65 2001:db8:c::65"
	friend  = "198.51.100.66 2001:db8:c::66"
)

// accessOwn and accessLists say the same.
const (
	accessOwn = `
		[access]
		allow = ["198.51.100.66", "2001:db8:c::66"]
		deny  = ["198.51.100.64/26", "192.0.2.200", "2001:db8:c::60/124"]
	`
	accessLists = `
		[access]
		allow = "@friends"
		deny  = ["@outcasts", "192.0.2.200"]
	`
	friends = `
		# of ours
		198.51.100.66
		2001:db8:c::66
	`
	outcasts = `
		198.51.100.64 - 198.51.100.66
		198.51.100.67 ; adjoins
		2001:db8:c::60/124
		203.0.113.128/25
	`
)

// accessModes are the ways in which packets meet a guard: in prerouting, or at the ingress of the interface.
var accessModes = []accessMode{
	{name: "snat", mode: "snat", sees: "balancer"},
	{name: "snat-routed", mode: "snat", sees: "balancer", lab: netlab.Options{NoVIPs: true}},
	{name: "snat-inside", mode: "snat", sees: "balancer", keys: inside},
	{name: "dnat", mode: "dnat"},
	{name: "dnat-routed", mode: "dnat", lab: netlab.Options{NoVIPs: true}},
	{name: "dnat-inside", mode: "dnat", keys: inside},
	{name: "dnat-inside-of-one-that-is-absent", mode: "dnat", keys: `interfaces = ["eth7", "eth0"]`},
	{name: "dsr", mode: "dsr", keys: inside, behind: behind, lab: directly},
	{name: "stateless", mode: "stateless"},
	{name: "stateless-routed", mode: "stateless", lab: netlab.Options{NoVIPs: true}},
	{name: "stateless-inside", mode: "stateless", keys: inside, behind: behind},
	{name: "local", mode: "local"},
	{name: "local-inside", mode: "local", keys: inside},
}

// directly has backends answer clients past the balancer.
var directly = netlab.Options{BackendVIPs: true, DirectReturn: true, NoForwarding: true}

type accessMode struct {
	name, mode   string
	keys, behind string // of the farm, and of its backend
	sees         string
	lab          netlab.Options
}

const inside, behind, denyAll = `interfaces = "eth0"`, "\tinterface = \"eth1\"\n", "\n[access]\ndeny = \"any\""

// farm is one of b1, with the lists of the scenes beside it.
func (m accessMode) farm(listen, access string) farms {
	farm := one(m.mode, listen, "b1", 0, m.keys) + m.behind
	if m.mode == "local" {
		farm = local(listen, m.keys)
	}
	return farms{"web": farm + access, "friends.list": friends, "outcasts.list": outcasts}
}

// serves has clients ask by all protocols, and b1 answer.
func (m accessMode) serves(to, clients string) step {
	port := to[strings.LastIndex(to, ":"):]
	if m.mode == "dsr" {
		return reach{by: "tcp udp", to: to, as: clients, shares: shares{"b1": 1}, clients: 2}
	}
	who := "b1"
	if m.mode == "local" {
		who = "balancer"
	}
	return ask{by: "tcp udp", to: to, as: clients, shares: shares{who + port: 1}, sees: m.sees, times: 2}
}

func accessScenes() (all []scene) {
	for _, m := range accessModes {
		for _, listen := range []struct{ name, listen, to string }{
			{"port", listenBoth, both},
			{"range", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "192.0.2.1:8050 [2001:db8::1]:8050"},
			{"whole", wholeSecond, bothSecond},
		} {
			turnedAway := denied{as: outcast, by: "tcp udp", to: listen.to}
			all = append(all, scene{name: m.name + "-" + listen.name, lab: m.lab, steps: steps{
				m.farm(listen.listen, ""), m.serves(listen.to, anybody), m.serves(listen.to, outcast), m.serves(listen.to, friend),
				m.farm(listen.listen, accessOwn), m.serves(listen.to, anybody), turnedAway, m.serves(listen.to, friend),
				m.farm(listen.listen, accessLists), m.serves(listen.to, anybody), turnedAway, m.serves(listen.to, friend),
				m.farm(listen.listen, "[access]\nallow = \"@friends\"\ndeny = \"any\""),
				denied{as: anybody, by: "tcp udp", to: listen.to}, turnedAway, m.serves(listen.to, friend),
			}})
		}
	}
	return append(all, furtherAccessScenes...)
}

var furtherAccessScenes = []scene{
	// every packet is asked of, so that what is open ends, and goes on once it may
	{name: "open-connections", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081)},
		hold{by: "tcp", to: both},
		farms{"web": one("snat", listenBoth, "b1", 8081) + denyAll},
		cut{},
		farms{"web": one("snat", listenBoth, "b1", 8081) + "\n[access]\ndeny = [\"203.0.113.0/24\", \"2001:db8:f::/64\"]"},
		echo{},
	}},
	// which list is told, of each packet; UDP sends none again
	{name: "logged", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 0, unhindered(`"denied"`)) + "\n[access]\ndeny = [\"@outcasts\", \"198.51.100.9\", \"2001:db8:c::9\"]", "outcasts.list": outcasts},
		toGroup,
		writes{denied{as: outcast, by: "udp", to: both}, udpLines(1, "web denied outcasts", "client", both)},
		writes{denied{as: anybody, by: "udp", to: both}, udpLines(1, "web denied inline", "client", both)},
		writes{ask{as: friend, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:443": 1}}, nil},
		farms{"web": one("snat", listenBoth, "b1", 0, unhindered(`"denied"`)) + denyAll},
		toGroup,
		writes{denied{as: friend, by: "udp", to: both}, udpLines(1, "web denied any", "client", both)},
	}},
	{name: "logged-inside", lab: directly, steps: steps{
		farms{"web": one("dsr", listenBoth, "b1", 0, inside, unhindered(`"denied"`)) + behind + "\n[access]\ndeny = \"@outcasts\"", "outcasts.list": outcasts},
		toGroup,
		writes{denied{as: outcast, by: "udp", to: both}, udpLines(1, "web denied outcasts", "client", both)},
		writes{reach{as: anybody, by: "tcp udp", to: both, shares: shares{"b1": 1}, clients: 2}, nil},
	}},
	// a list that changes is asked at once, and what was counted stays
	{name: "list-changes", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 0) + accessLists, "friends.list": friends, "outcasts.list": outcasts},
		denied{as: outcast, by: "tcp udp", to: both},
		ask{as: anybody, by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
		farms{"web": one("snat", listenBoth, "b1", 0) + accessLists, "friends.list": friends, "outcasts.list": outcasts + "198.51.100.9\n2001:db8:c::9\n"},
		deed(func(s *stage) error {
			if n, err := (denied{}).count(s); n < 4 || err != nil {
				return fmt.Errorf("%d packets are counted as denied: %w", n, err)
			}
			return nil
		}),
		denied{as: anybody, by: "tcp udp", to: both}, denied{as: outcast, by: "tcp udp", to: both},
		farms{"web": one("snat", listenBoth, "b1", 0) + accessLists, "friends.list": friends, "outcasts.list": "# nobody\n"},
		ask{as: anybody, by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
		ask{as: outcast, by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address", steps: steps{
		farms{"web": one("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0) + accessOwn},
		ask{as: friend, by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
		denied{as: outcast, by: "tcp udp", to: both + " 192.0.2.2:8050 [2001:db8::2]:8050 203.0.113.1:80 [2001:db8:f::1]:80"},
		// what is routed isn't this machine's
		ask{as: outcast, by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		// nor is what others have
		ask{as: outcast, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:443": 1}},
	}},
	{name: "any-address-inside", steps: steps{
		farms{"web": one("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: both + " 192.0.2.2:8050 [2001:db8::2]:8050"},
		ask{from: "b3", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
	}},
	// what comes in elsewhere isn't the farm's
	{name: "other-interface", steps: steps{
		farms{"web": one("dnat", everyDoor, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: both + " " + bothSecond},
		ask{from: "b3", by: "tcp udp", to: both + " " + bothSecond, shares: shares{"balancer:80": 1}},
	}},
	{name: "down", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081, `state = "down"`) + accessOwn},
		ask{as: anybody, by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		denied{as: outcast, by: "tcp udp", to: both},
	}},
	// who serves instead of a farm that is down has a say, too
	{name: "down-inside-another", steps: steps{
		farms{
			"web": one("snat", listenBoth, "b1", 0, `state = "down"`) + "\n[access]\n" + `deny = ["198.51.100.9", "2001:db8:c::9"]`,
			"all": one("snat", `"192.0.2.1", "2001:db8::1"`, "b2", 0) + "\n[access]\n" + `deny = ["198.51.100.65", "2001:db8:c::65"]`,
		},
		ask{as: friend, by: "tcp udp", to: both, shares: shares{"b2:80": 1}, sees: "balancer"},
		denied{as: anybody, by: "tcp udp", to: both},
		denied{as: outcast, by: "tcp udp", to: both, farm: "all"},
		ask{as: anybody, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
	}},
	{name: "no-backend", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 8081) + `state = "down"` + accessOwn},
		refused{by: "tcp udp", to: both, as: anybody},
		denied{as: outcast, by: "tcp udp", to: both},
	}},
	// of farms within one another each has its own say, and no other's
	{name: "precedence", steps: steps{
		farms{
			"port":  one("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 0),
			"range": one("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 0) + denyAll,
			"all":   one("dnat", `"192.0.2.1", "2001:db8::1"`, "b3", 0),
			"any":   one("snat", `"*:1-9000/tcp,udp"`, "b1", 0) + denyAll,
		},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, sees: "balancer"},
		denied{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", farm: "range"},
		ask{by: "tcp udp", to: both, shares: shares{"b3:80": 1}},
		denied{by: "tcp udp", to: bothSecond, farm: "any"},
	}},
	{name: "local-clients", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true") + "\n[access]\n" + `deny = ["192.0.2.1", "2001:db8::1"]`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		denied{from: "balancer", by: "tcp udp", to: both},
		farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true") + accessOwn},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	// connections of this machine to itself are none of a farm's that doesn't serve them
	{name: "no-local-clients", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081) + denyAll},
		denied{by: "tcp udp", to: both},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"},
	}},
	{name: "fragments", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 0) + accessOwn},
		carry{"udp", both, 4000},
		denied{as: outcast, by: "udp", to: both, size: 4000},
	}},
	{name: "fragments-inside", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 0, inside) + accessOwn},
		carry{"udp", both, 4000},
		denied{as: outcast, by: "udp", to: both, size: 4000, packets: 3},
	}},
	{name: "fragments-directly", lab: directly, steps: steps{
		farms{"web": one("dsr", listenBoth, "b1", 0, inside) + behind + accessOwn},
		denied{as: outcast, by: "udp", to: both, size: 4000, packets: 3},
	}},
	// what has no port isn't taken for another farm's
	{name: "fragments-beside", steps: steps{
		farms{
			"web": one("dnat", listenBoth, "b1", 0, inside),
			"all": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b2", 0, inside) + denyAll,
		},
		denied{by: "udp", to: "192.0.2.1:443 [2001:db8::1]:443", farm: "all"},
		carry{"udp", both, 4000},
	}},
	// errors of routers, whoever they are, are of connections that somebody else has
	{name: "errors", steps: steps{
		farms{"web": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b1", 0) + "\n[access]\nallow = \"@friends\"\ndeny = \"any\"", "friends.list": friends},
		ask{as: friend, by: "tcp udp", to: both, shares: shares{"b1:80": 1}},
		denied{as: anybody, by: "tcp udp", to: both},
		foreign(`table inet spy {
			counter errors { }
			chain prerouting {
				type filter hook prerouting priority -305
				icmp type destination-unreachable counter name errors
				icmpv6 type packet-too-big counter name errors
			}
		}`),
		deed(routersAreHeard),
	}},
	// a farm of the very address that neighbours know
	{name: "neighbour-discovery", steps: steps{
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0) + denyAll},
		denied{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", farm: "all"},
		deed(neighboursAnswer),
	}},
	{name: "neighbour-discovery-inside", steps: steps{
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", farm: "all"},
		deed(neighboursAnswer),
	}},
	// before the interface is there, a farm has nothing to do; once it is, nobody is let in until the next load
	{name: "interface-that-comes-later", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 0, `interfaces = "eth9"`) + accessOwn},
		ask{as: outcast, by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		renamed{"eth0", "eth9"},
		ask{as: anybody, by: "tcp udp", to: both, shares: shares{"b1:80": 1}},
		denied{as: outcast, by: "tcp udp", to: both},
	}},
}

// TestAccessByTheThousands has thousands of clients knock, each by one datagram: at the edges of the networks of a list
// and just beyond, and anywhere. Those in the list are dropped, the others aren't.
func TestAccessByTheThousands(t *testing.T) {
	t.Parallel()
	s := newStage(t, netlab.Options{Backends: 1})
	if err := s.throng(rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Error(err)
	}
}

// How many knock, and how long the list is. It was tried with 500,000 networks, too.
const (
	knocking   = 10_000
	listLength = 20_000
)

func (s *stage) throng(r *rand.Rand) error {
	networks, text := randomList(r)
	err := steps{
		foreign(`table inet spy {
			set seen4 { type ipv4_addr; size 65535; flags dynamic; }
			set seen6 { type ipv6_addr; size 65535; flags dynamic; }
			counter passed { }
			chain prerouting {
				type filter hook prerouting priority -305
				udp dport 80 ip daddr 192.0.2.1 update @seen4 { ip saddr } counter name passed drop
				udp dport 80 ip6 daddr 2001:db8::1 update @seen6 { ip6 saddr } counter name passed drop
			}
		}`),
		farms{"web": one("dnat", listenBoth, "b1", 0) + "\n[access]\ndeny = \"@many\"", "many.list": text},
	}.do(s)
	if err != nil {
		return err
	}
	inside, known := map[netip.Addr]bool{}, prefixes{}
	for _, p := range networks {
		known[p] = true
	}
	for len(inside) < knocking {
		if a := randomClient(r, networks); clientLike(a) {
			inside[a] = known.contains(a)
		}
	}
	knocked := 0
	for a := range inside {
		to := netip.MustParseAddr(map[bool]string{true: "192.0.2.1", false: "2001:db8::1"}[a.Is4()])
		if err := s.Client.SendPacket(netlab.Packet(a, to, protocolUDP, datagram)); err != nil {
			return err
		}
		if knocked++; knocked%500 == 0 || knocked == len(inside) { // no more at once than a queue holds
			if err := s.heardOf(knocked); err != nil {
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
		for _, word := range strings.FieldsFunc(elements, func(r rune) bool { return strings.ContainsRune(" ,}\n\t", r) }) {
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

type prefixes map[netip.Prefix]bool

// contains looks at networks of all lengths.
func (known prefixes) contains(a netip.Addr) bool {
	for length := range a.BitLen() + 1 {
		if p, _ := a.Prefix(length); known[p] {
			return true
		}
	}
	return false
}

// datagram is of UDP, to port 80, without a checksum, at which nothing looks so early.
var datagram = []byte{0x13, 0x88, 0, 80, 0, 8, 0, 0}

// heardOf waits until so many packets were either denied or passed.
func (s *stage) heardOf(n int) error {
	for end := deadline(); ; {
		turnedAway, err := denied{}.count(s)
		if err != nil {
			return err
		}
		passed, err := counted(s, "spy", "passed")
		if err != nil || turnedAway+passed == n {
			return err
		}
		if end.over() {
			return fmt.Errorf("%d packets of %d are denied, %d passed", turnedAway, n, passed)
		}
	}
}

// randomList is of networks of both families and all kinds of lengths, nested and adjacent ones, and ranges.
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
		return netip.AddrFrom16([16]byte{0x2a, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256)), 4: byte(r.IntN(4)), 15: byte(r.IntN(256))})
	}
	return netip.AddrFrom4([4]byte{byte(11 + r.IntN(100)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
}

// clientLike says whether the kernel takes a packet from there.
func clientLike(a netip.Addr) bool {
	return a.IsGlobalUnicast() && (a.Is6() || a.As4()[0] < 127 && a.As4()[0] > 10)
}

// renamed gives a link of the balancer another name.
type renamed struct{ from, to string }

func (r renamed) do(s *stage) error {
	err := s.Balancer.Do(func() error {
		link, err := netlink.LinkByName(r.from)
		if err != nil {
			return err
		}
		return netlink.LinkSetName(link, r.to)
	})
	if errors.Is(err, syscall.EBUSY) {
		s.t.Skip("this kernel renames no link that is up")
	}
	return err
}

// routersAreHeard: an error that comes from a router that isn't allowed is let by.
func routersAreHeard(s *stage) error {
	for _, e := range []crafted{
		{protocolICMP, netip.MustParseAddrPort("203.0.113.2:0"), netip.MustParseAddrPort("192.0.2.1:0"), "\x03\x04\x00\x00\x00\x00\x05\x00"},
		{protocolICMP6, netip.MustParseAddrPort("[2001:db8:f::2]:0"), netip.MustParseAddrPort("[2001:db8::1]:0"), "\x02\x00\x00\x00\x00\x00\x05\x00"},
	} {
		before, err := counted(s, "spy", "errors")
		if err == nil {
			err = s.Client.SendPacket(e.bytes())
		}
		for end := deadline(); err == nil; {
			now, err := counted(s, "spy", "errors")
			if now > before || err != nil {
				break
			}
			if end.over() {
				return fmt.Errorf("%v isn't heard", e)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cut: whatever is said by connections that are held is dropped.
type cut struct{}

func (cut) do(s *stage) error {
	for _, c := range s.held {
		before, err := denied{}.count(s)
		if err == nil {
			err = c.SetDeadline(time.Now().Add(patience))
		}
		if err == nil {
			_, err = c.Write([]byte("still there?"))
		}
		for end := deadline(); err == nil; {
			now, err := denied{}.count(s)
			if now > before || err != nil {
				break
			}
			if end.over() {
				return c.blame(errors.New("what it says isn't denied"))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// denied has a farm drop what a client says, and count it.
type denied struct {
	from, as string
	by, to   string
	farm     string // web if empty
	size     int    // of what is said by UDP
	packets  int    // in how many it comes
}

func (d denied) do(s *stage) (err error) {
	for _, q := range s.questions(d.from, d.by, d.to) {
		err = errors.Join(err, q.blame(d.once(s, q)))
	}
	return err
}

func (d denied) once(s *stage, q question) error {
	before, err := d.count(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- q.askUntil(ctx, s.speakerAs(q.from, q.to.Addr(), d.as), max(d.size, 1)) }()
	for {
		now, err := d.count(s)
		if err != nil || now >= before+max(d.packets, 1) {
			cancel()
			if <-answered == nil {
				return errors.New("counted as denied, and answered")
			}
			return err
		}
		select {
		case err := <-answered:
			if now, _ := d.count(s); now >= before+max(d.packets, 1) && err != nil {
				return nil // this machine's own datagrams can't even be sent
			}
			return fmt.Errorf("not denied, but answered: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// askUntil asks until the context ends.
func (q question) askUntil(ctx context.Context, as netip.AddrPort, size int) error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(as)}
	if q.udp() {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(as)
	}
	var c net.Conn
	err := q.from.Do(func() (err error) {
		c, err = dialer.DialContext(ctx, q.network, q.to.String())
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if q.udp() {
		if _, err := c.Write(bytes.Repeat([]byte("?"), size)); err != nil {
			return err
		}
	}
	_, err = netlab.ReadAnswer(c)
	return err
}

// count is how many packets the farm has denied.
func (d denied) count(s *stage) (n int, err error) {
	return counted(s, "farmc", "farm/"+cmp.Or(d.farm, "web")+"/denied")
}

// counted reads a counter of the balancer's.
func counted(s *stage, table, counter string) (n int, err error) {
	out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "counter", "inet", table, counter)
	if err == nil {
		_, after, _ := strings.Cut(out, "packets ")
		_, err = fmt.Sscan(after, &n)
	}
	return n, err
}

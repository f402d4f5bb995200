package packettest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"farmc/cmd/internal/netlab"
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

const inside, behind, denyAll = `interfaces = "eth0"`, "\tinterface = \"eth1\"\n", "\n[access]\ndeny = \"any\""

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

// datagram is of UDP, to port 80, without a checksum, at which nothing looks so early.
var datagram = []byte{0x13, 0x88, 0, 80, 0, 8, 0, 0}

package packettest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestAccess: farms drop and count the packets of denied clients, and let allowed clients pass, in every mode, with the
// service address on the balancer or behind it.
func TestAccess(t *testing.T) {
	t.Parallel()
	runCases(t, accessCases())
}

// Addresses of clients: in no list, in the deny list, and in both lists.
const (
	unlistedClient = "198.51.100.9 2001:db8:c::9"
	deniedClient   = "198.51.100.65 2001:db8:c::65"
	allowedClient  = "198.51.100.66 2001:db8:c::66"
)

// denyFirstLists deny a client that is in both lists, too, and all clients in no list.
const (
	admittedClient = "198.51.100.10 2001:db8:c::a"
	denyFirstLists = `
		[access]
		order = "deny-first"
		allow = ["@friends", "198.51.100.10", "2001:db8:c::a"]
		deny  = ["@outcasts", "any"]
	`
)

// othersDenied denies networks without clients of the lab.
const othersDenied = `
	[access]
	allow = ["198.51.100.0/24", "2001:db8:c::/48"]
	deny  = ["203.0.113.0/24", "2001:db8:f::/64"]
`

// inlineLists and fileLists are the same lists.
const (
	inlineLists = `
		[access]
		allow = ["198.51.100.66", "2001:db8:c::66"]
		deny  = ["198.51.100.64/26", "192.0.2.200", "2001:db8:c::60/124"]
	`
	fileLists = `
		[access]
		allow = "@friends"
		deny  = ["@outcasts", "192.0.2.200"]
	`
	allowedList = `
		# of ours
		198.51.100.66
		2001:db8:c::66
	`
	deniedList = `
		198.51.100.64 - 198.51.100.66
		198.51.100.67 ; adjoins
		2001:db8:c::60/124
		203.0.113.128/25
	`
)

// accessModes are the modes with access chains in prerouting, or at the ingress of the interface.
var accessModes = []accessMode{
	{name: "snat", mode: "snat", sees: "balancer"},
	{name: "snat-routed", mode: "snat", sees: "balancer", lab: netlab.Options{NoVIPs: true}},
	{name: "snat-inside", mode: "snat", sees: "balancer", keys: inside},
	{name: "dnat", mode: "dnat"},
	{name: "dnat-routed", mode: "dnat", lab: netlab.Options{NoVIPs: true}},
	{name: "dnat-inside", mode: "dnat", keys: inside},
	{name: "dnat-with-one-absent-interface", mode: "dnat", keys: `interfaces = ["eth7", "eth0"]`},
	{name: "dsr", mode: "dsr", keys: inside, behind: behind, lab: directReturn},
	{name: "stateless", mode: "stateless"},
	{name: "stateless-routed", mode: "stateless", lab: netlab.Options{NoVIPs: true}},
	{name: "stateless-inside", mode: "stateless", keys: inside, behind: behind},
	{name: "local", mode: "local"},
	{name: "local-inside", mode: "local", keys: inside},
}

// With directReturn backends answer clients past the balancer.
var directReturn = netlab.Options{BackendVIPs: true, DirectReturn: true, NoForwarding: true}

const inside, behind, denyAll = `interfaces = "eth0"`, "\tinterface = \"eth1\"\n", "\n[access]\ndeny = \"any\""

func accessCases() (all []testCase) {
	for _, m := range accessModes {
		for _, listen := range []struct{ name, listen, to string }{
			{"port", listen1, service1},
			{"range", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`,
				"192.0.2.1:8050 [2001:db8::1]:8050"},
			{"whole", listenWhole2, service2},
		} {
			turnedAway := denied{as: deniedClient, by: "tcp udp", to: listen.to}
			all = append(all, testCase{name: m.name + "-" + listen.name, lab: m.lab, steps: steps{
				m.farm(listen.listen, ""), m.serves(listen.to, unlistedClient), m.serves(listen.to, deniedClient),
				m.serves(listen.to, allowedClient),
				m.farm(listen.listen, inlineLists), m.serves(listen.to, unlistedClient), turnedAway,
				m.serves(listen.to, allowedClient),
				m.farm(listen.listen, fileLists), m.serves(listen.to, unlistedClient), turnedAway,
				m.serves(listen.to, allowedClient),
				m.farm(listen.listen, "[access]\nallow = \"@friends\"\ndeny = \"any\""),
				denied{as: unlistedClient, by: "tcp udp", to: listen.to}, turnedAway,
				m.serves(listen.to, allowedClient),
				// the deny list wins, and any other client stands last
				m.farm(listen.listen, denyFirstLists), turnedAway,
				denied{as: unlistedClient, by: "tcp udp", to: listen.to},
				denied{as: allowedClient, by: "tcp udp", to: listen.to},
				m.serves(listen.to, admittedClient),
				m.farm(listen.listen, strings.Replace(denyFirstLists, "deny-first", "allow-first", 1)),
				m.serves(listen.to, allowedClient), turnedAway, m.serves(listen.to, admittedClient),
			}})
		}
	}
	return append(all, moreAccessCases...)
}

var moreAccessCases = []testCase{
	// access chains see every packet, so an open connection stops, and goes on once it is allowed again
	{name: "open-connections-stop", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081)},
		hold{by: "tcp", to: service1},
		farms{"web": oneBackend("snat", listen1, "b1", 8081) + denyAll},
		heldAreDenied{},
		farms{"web": oneBackend("snat", listen1, "b1", 8081) +
			"\n[access]\ndeny = [\"203.0.113.0/24\", \"2001:db8:f::/64\"]"},
		echo{},
	}},
	// the log names the list, for each packet; UDP does not retransmit
	{name: "log-names-the-list", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 0, unlimitedLog(`"denied"`)) +
			"\n[access]\ndeny = [\"@outcasts\", \"198.51.100.9\", \"2001:db8:c::9\"]", "outcasts.list": deniedList},
		logToGroup,
		logged{denied{as: deniedClient, by: "udp", to: service1},
			udpLogLines(1, "web denied outcasts", "client", service1)},
		logged{denied{as: unlistedClient, by: "udp", to: service1},
			udpLogLines(1, "web denied inline", "client", service1)},
		logged{request{as: allowedClient, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443",
			shares: shares{"balancer:443": 1}}, nil},
		farms{"web": oneBackend("snat", listen1, "b1", 0, unlimitedLog(`"denied"`)) + denyAll},
		logToGroup,
		logged{denied{as: allowedClient, by: "udp", to: service1},
			udpLogLines(1, "web denied any", "client", service1)},
	}},
	{name: "log-names-the-list-at-ingress", lab: directReturn, steps: steps{
		farms{"web": oneBackend("dsr", listen1, "b1", 0, inside, unlimitedLog(`"denied"`)) + behind +
			"\n[access]\ndeny = \"@outcasts\"", "outcasts.list": deniedList},
		logToGroup,
		logged{denied{as: deniedClient, by: "udp", to: service1},
			udpLogLines(1, "web denied outcasts", "client", service1)},
		logged{directRequest{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 2},
			nil},
	}},
	// a list that only logs names itself, for connections and datagrams, and drops nothing
	{name: "log-only", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 0, unlimitedLog(`"denied"`)) + "\n[access]\n" +
			`log-only = "@outcasts"`, "outcasts.list": deniedList},
		logToGroup,
		logged{request{as: deniedClient, by: "udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer",
			times: 1},
			udpLogLines(1, "web denied log-only outcasts", "client", service1)},
		logged{request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
			nil},
	}},
	{name: "log-only-at-ingress", lab: directReturn, steps: steps{
		farms{"web": oneBackend("dsr", listen1, "b1", 0, inside, unlimitedLog(`"denied"`)) + behind +
			"\n[access]\nlog-only = \"@outcasts\"", "outcasts.list": deniedList},
		logToGroup,
		logged{directRequest{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 2},
			nil},
		logged{directRequest{as: deniedClient, by: "udp", to: service1, shares: shares{"b1": 1}, clients: 1},
			udpLogLines(1, "web denied log-only outcasts", "client", service1)},
		loggedOnly{"outcasts": 2}, // a datagram of each family
	}},
	// status has the packets that each list only logs, and those of addresses in the farm
	{name: "log-only-has-counts", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 0, unlimitedLog(`"denied"`)) + "\n[access]\n" +
			`log-only = ["@outcasts", "198.51.100.99", "2001:db8:c::99"]`, "outcasts.list": deniedList},
		loggedOnly{"outcasts": 0, "": 0},
		request{as: deniedClient, by: "udp", to: service1, shares: shares{"b1:80": 1}, times: 2},
		request{as: "198.51.100.99 2001:db8:c::99", by: "udp", to: service1, shares: shares{"b1:80": 1}, times: 1},
		request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}},
		loggedOnly{"outcasts": 4, "": 2},
		deniedBy{},
	}},
	// open connections outlive the change of what allow means, and of the order
	{name: "changed-order-keeps-connections", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081) + othersDenied},
		hold{by: "tcp udp", to: service1},
		farms{"web": oneBackend("snat", listen1, "b1", 8081) + othersDenied + "order = 'deny-first'\n"},
		echo{},
		farms{"web": oneBackend("snat", listen1, "b1", 8081) + othersDenied + "exempt = '203.0.113.129'\n"},
		echo{},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	// status has the packets that each list denies; UDP does not retransmit
	{name: "lists-have-counts", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 0) +
			"\n[access]\ndeny = [\"@outcasts\", \"@none\", \"198.51.100.9\", \"2001:db8:c::9\"]",
			"outcasts.list": deniedList, "none.list": "203.0.113.0/24\n"},
		denied{as: deniedClient, by: "udp", to: service1}, denied{as: deniedClient, by: "udp", to: service1},
		denied{as: unlistedClient, by: "udp", to: service1},
		deniedBy{all: 6, lists: map[string]uint64{"outcasts": 4, "none": 0}},
	}},
	// a changed list takes effect at once, and the counter keeps its value
	{name: "changed-list-takes-effect", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 0) + fileLists, "friends.list": allowedList,
			"outcasts.list": deniedList},
		denied{as: deniedClient, by: "tcp udp", to: service1},
		request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		farms{"web": oneBackend("snat", listen1, "b1", 0) + fileLists, "friends.list": allowedList,
			"outcasts.list": deniedList + "198.51.100.9\n2001:db8:c::9\n"},
		stepFunc(func(s *testbed) error {
			if n, err := (denied{}).count(s); n < 4 || err != nil {
				return fmt.Errorf("%d packets are counted as denied: %w", n, err)
			}
			return nil
		}),
		denied{as: unlistedClient, by: "tcp udp", to: service1}, denied{as: deniedClient, by: "tcp udp", to: service1},
		farms{"web": oneBackend("snat", listen1, "b1", 0) + fileLists, "friends.list": allowedList,
			"outcasts.list": "# empty\n"},
		request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		request{as: deniedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address", steps: steps{
		farms{"web": oneBackend("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0) + inlineLists},
		request{as: allowedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		denied{as: deniedClient, by: "tcp udp",
			to: service1 + " 192.0.2.2:8050 [2001:db8::2]:8050 203.0.113.1:80 [2001:db8:f::1]:80"},
		// forwarded packets are not for the balancer
		request{as: deniedClient, by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		// ports of other services are not the farm's
		request{as: deniedClient, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443",
			shares: shares{"balancer:443": 1}},
	}},
	{name: "any-address-inside", steps: steps{
		farms{"web": oneBackend("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: service1 + " 192.0.2.2:8050 [2001:db8::2]:8050"},
		request{from: "b3", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
	}},
	// packets on other interfaces are not the farm's
	{name: "other-interfaces-are-ignored", steps: steps{
		farms{"web": oneBackend("dnat", listenAllKinds, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: service1 + " " + service2},
		request{from: "b3", by: "tcp udp", to: service1 + " " + service2, shares: shares{"balancer:80": 1}},
	}},
	{name: "farm-down-still-denies", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `state = "down"`) + inlineLists},
		request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		denied{as: deniedClient, by: "tcp udp", to: service1},
	}},
	// the enclosing farm, which serves instead of a farm that is down, applies its own lists
	{name: "enclosing-farm-applies-its-lists", steps: steps{
		farms{
			"web": oneBackend("snat", listen1, "b1", 0, `state = "down"`) + "\n[access]\n" +
				`deny = ["198.51.100.9", "2001:db8:c::9"]`,
			"all": oneBackend("snat", `"192.0.2.1/all", "2001:db8::1/all"`, "b2", 0) + "\n[access]\n" +
				`deny = ["198.51.100.65", "2001:db8:c::65"]`,
		},
		request{as: allowedClient, by: "tcp udp", to: service1, shares: shares{"b2:80": 1}, sees: "balancer"},
		denied{as: unlistedClient, by: "tcp udp", to: service1},
		denied{as: deniedClient, by: "tcp udp", to: service1, farm: "all"},
		request{as: unlistedClient, by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1},
			sees: "balancer"},
	}},
	{name: "denied-before-refused", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081) + `state = "down"` + inlineLists},
		refused{by: "tcp udp", to: service1, as: unlistedClient},
		denied{as: deniedClient, by: "tcp udp", to: service1},
	}},
	// each of several nested farms applies its own lists only
	{name: "nested-farms-apply-their-own-lists", steps: steps{
		farms{
			"port": oneBackend("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 0),
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 0) +
				denyAll,
			"all": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b3", 0),
			"any": oneBackend("snat", `"*:1-9000/tcp,udp"`, "b1", 0) + denyAll,
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, sees: "balancer"},
		denied{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", farm: "range"},
		request{by: "tcp udp", to: service1, shares: shares{"b3:80": 1}},
		denied{by: "tcp udp", to: service2, farm: "any"},
	}},
	{name: "local-clients", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true") + "\n[access]\n" +
			`deny = ["192.0.2.1", "2001:db8::1"]`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		denied{from: "balancer", by: "tcp udp", to: service1},
		farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true") + inlineLists},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	// connections of the balancer to itself are not filtered without local-clients
	{name: "no-local-clients", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, remoteOnly) + denyAll},
		denied{by: "tcp udp", to: service1},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1},
			sees: "192.0.2.1 2001:db8::1"},
	}},
	{name: "fragments", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 0) + inlineLists},
		transfer{"udp", service1, 4000},
		denied{as: deniedClient, by: "udp", to: service1, size: 4000},
	}},
	{name: "fragments-inside", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 0, inside) + inlineLists},
		transfer{"udp", service1, 4000},
		denied{as: deniedClient, by: "udp", to: service1, size: 4000, packets: 3},
	}},
	{name: "fragments-dsr", lab: directReturn, steps: steps{
		farms{"web": oneBackend("dsr", listen1, "b1", 0, inside) + behind + inlineLists},
		denied{as: deniedClient, by: "udp", to: service1, size: 4000, packets: 3},
	}},
	// fragments without a port do not match another farm
	{name: "fragments-do-not-match-another-farm", steps: steps{
		farms{
			"web": oneBackend("dnat", listen1, "b1", 0, inside),
			"all": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b2", 0, inside) + denyAll,
		},
		denied{by: "udp", to: "192.0.2.1:443 [2001:db8::1]:443", farm: "all"},
		transfer{"udp", service1, 4000},
	}},
	// ICMP errors of routers are about connections of other clients
	{name: "icmp-errors-of-routers-pass", steps: steps{
		farms{"web": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b1", 0) +
			"\n[access]\nallow = \"@friends\"\ndeny = \"any\"", "friends.list": allowedList},
		request{as: allowedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}},
		denied{as: unlistedClient, by: "tcp udp", to: service1},
		nftScript(`table inet spy {
			counter errors { }
			chain prerouting {
				type filter hook prerouting priority -305
				icmp type destination-unreachable counter name errors
				icmpv6 type packet-too-big counter name errors
			}
		}`),
		stepFunc(icmpErrorsPass),
	}},
	// the farm listens on the address that neighbours ask for
	{name: "neighbour-discovery", steps: steps{
		farms{"all": oneBackend("dnat", `"203.0.113.1/all", "2001:db8:f::1/all"`, "b1", 0) + denyAll},
		denied{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", farm: "all"},
		stepFunc(neighboursAnswer),
	}},
	{name: "neighbour-discovery-inside", steps: steps{
		farms{"all": oneBackend("dnat", `"203.0.113.1/all", "2001:db8:f::1/all"`, "b1", 0, inside) + denyAll},
		denied{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", farm: "all"},
		stepFunc(neighboursAnswer),
	}},
	// an absent interface makes a farm ineffective; its rules match as soon as the interface exists
	{name: "interface-that-comes-later", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 0, `interfaces = "eth9"`) + inlineLists},
		request{as: deniedClient, by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		renameLink{"eth0", "eth9"},
		request{as: unlistedClient, by: "tcp udp", to: service1, shares: shares{"b1:80": 1}},
		denied{as: deniedClient, by: "tcp udp", to: service1},
	}},
}

// TestAccessOfLongLists sends one datagram from each of thousands of clients: at the edges of the networks of a list,
// just beyond, and anywhere. Clients in the list are dropped, others pass.
func TestAccessOfLongLists(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{Backends: 1})
	if err := s.sendFromMany(rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Error(err)
	}
}

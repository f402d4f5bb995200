package packettest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestPersistence(t *testing.T) {
	t.Parallel()
	runCases(t, persistenceCases())
}

func persistenceCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "least-connections", "hash", "symmetric-hash",
			"maglev"} {
			all = append(all, persistenceCase(mode, scheduler))
		}
	}
	for _, topology := range dsrTopologies {
		farm := topology.farm(listen1Ports, strings.Split(fmt.Sprintf(untrackedPersistence, "b2"), "\n")...)
		all = append(all, testCase{name: "dsr-" + topology.name, lab: topology.lab,
			steps: untrackedPersistenceSteps(farm, "netdev", [2]string{"0x0a0200%02x", "0x0a0200%02x"})},
			testCase{name: "dsr-shared-" + topology.name, lab: topology.lab, steps: topology.sharedPersistenceSteps()},
			testCase{name: "dsr-mac-" + topology.name, lab: topology.lab, steps: steps{topology.persistenceWithMAC()}},
			testCase{name: "dsr-first-insert-wins-" + topology.name, lab: topology.lab,
				steps: steps{farms{"web": farm},
					racingInsert{"netdev", [2]string{"meta mark set 0x0a02000c", "meta mark set 0x0a02000c"}},
					firstInsertWins}})
	}
	for _, w := range []statelessPath{statelessPaths[0], statelessPaths[2]} {
		all = append(all, w.testCase("stateless-timeout-and-room", w.memorySteps()...))
	}
	for _, w := range statelessPaths {
		farm := w.stateless(listen1Ports, fmt.Sprintf(untrackedPersistence, "b-b2"), "b1*3", "b2")
		all = append(all,
			w.testCase("stateless", untrackedPersistenceSteps(farm, w.table(),
				[2]string{"10.2.0.%d", "fd00:2::%d"})...),
			w.testCase("stateless-ports-and-addresses", w.persistenceSteps()...),
			w.testCase("stateless-first-insert-wins", farms{"web": farm},
				racingInsert{w.table(), [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set fd00:2::12"}},
				firstInsertWins))
	}
	return slices.Concat(all, morePersistenceCases, persistenceGroupCases, persistenceRenewalCases())
}

// persistenceCase: a client keeps its backend over all ports, protocols and addresses of the farm. Without persistence,
// hashes over ports would send it anywhere.
func persistenceCase(mode, scheduler string) testCase {
	text := fmt.Sprintf(`
		mode      = %q
		scheduler = %q
		listen    = ["192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "192.0.2.2:443/tcp",
		             "[2001:db8::2]:443/tcp", "*:53/tcp,udp"]
		%s
		[persistence]
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		%s
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
	`, mode, scheduler, map[string]string{"hash": `hash-on = ["source-port", "destination-address"]`,
		"maglev": `hash-on = ["source-address", "source-port"]`}[scheduler], "%s")
	const everywhere = "192.0.2.1:80 192.0.2.1:8050 192.0.2.2:443 192.0.2.3:53 192.0.2.1:80 [2001:db8::1]:80 " +
		"[2001:db8::1]:8050 [2001:db8::2]:443 [2001:db8::3]:53"
	sees := map[string]string{"snat": "balancer"}[mode]
	return testCase{name: mode + "-" + scheduler, steps: steps{
		farms{"web": fmt.Sprintf(text, "")},
		keepBackend{name: "kept", to: everywhere, sees: sees},
		farms{"web": fmt.Sprintf(text, "port = 8081")},
		keepBackend{name: "mixed", to: everywhere, sees: sees},
	}}
}

const persistentTemplate = `
	listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
	FARM
	[persistence]
	PERSISTENCE
	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	B1
	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	[backends.b3]
	address = ["10.2.0.13", "fd00:2::13"]
`

// persistentFarm is a farm with persistence, and more keys of the farm and of its first backend.
func persistentFarm(farm, persistence, b1 string) farms {
	return farms{"web": strings.NewReplacer("FARM", farm, "PERSISTENCE", persistence, "B1",
		b1).Replace(persistentTemplate)}
}

var morePersistenceCases = []testCase{
	{name: "whole-address", steps: steps{
		farms{"web": strings.NewReplacer(
			"FARM", `listen = ["192.0.2.1/all", "2001:db8::1/all"]`, "PERSISTENCE", "", "B1", "",
			`listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]`, "").Replace(persistentTemplate)},
		keepBackend{name: "all",
			to:   "192.0.2.1:80 192.0.2.1:443 [2001:db8::1]:80 [2001:db8::1]:443 192.0.2.1:53 [2001:db8::1]:53",
			sees: "balancer"},
	}},
	{name: "backends-on-one-machine", steps: steps{
		persistentFarm("", "",
			"port = 8081\n[backends.b1-too]\naddress = ['10.2.0.11', 'fd00:2::11']\nport = 8082\n"+
				"[backends.b1-as-asked]\naddress = ['10.2.0.11', 'fd00:2::11']\n"),
		keepBackend{name: "machine", to: service1, sees: "balancer"},
	}},
	{name: "prefix-shares-a-backend", steps: steps{
		persistentFarm(`mode = "dnat"`, "prefix = [28, 124]", ""),
		keepPerNetwork{name: "prefix", by: "tcp udp", to: service1, hostBits: 4},
	}},
	{name: "local-clients-and-backend", steps: steps{
		persistentFarm("local-clients = true", "", "[backends.balancer]\naddress = ['10.2.0.1', 'fd00:2::1']\n"),
		// a backend on the balancer sees the client itself
		stepFunc(func(s *testbed) error {
			for _, q := range s.targets("balancer", "tcp udp", service1) {
				for range 12 {
					answer, err := q.request(netip.AddrPort{})
					if err == nil {
						err = s.checkSameBackend("itself", q.to.Addr(), answer.Backend)
					}
					if err != nil {
						return q.wrap(err)
					}
				}
			}
			return nil
		}),
		addClients(map[string]string{"198.51.100.9": "10.2.0.1", "2001:db8:c::9": "100::a02:1"}),
		clientRequests{"198.51.100.9", "tcp udp", "192.0.2.1:80", "balancer"},
		clientRequests{"2001:db8:c::9", "tcp udp", "[2001:db8::1]:80", "balancer"},
	}},
	{name: "backend-at-the-service-itself", steps: steps{
		persistentFarm("", "", "[backends.balancer]\naddress = ['192.0.2.1', '2001:db8::1']\nport = 8081\n"),
		keepBackend{name: "itself", to: service1, sees: "any"},
	}},
	// the map decides, unless it names a backend that takes no connections
	{name: "map-decides", steps: steps{
		persistentFarm("", "", ""),
		addClients(map[string]string{"198.51.100.2": "10.2.0.12", "2001:db8:c::2": "100::a02:c",
			"198.51.100.3": "10.2.0.99", "2001:db8:c::3": "fd00:2::99"}),
		clientRequests{"198.51.100.2", "tcp udp", "192.0.2.1:80", "b2"},
		clientRequests{"2001:db8:c::2", "tcp udp", "[2001:db8::1]:80", "b2"},
		keepBackend{name: "anew", to: service1, sees: "balancer"},
	}},
	{name: "static-sessions", steps: steps{
		persistentFarm("",
			`static = { "198.51.100.7" = "b2", "198.51.100.64/26" = "b3", "198.51.100.70" = "b1", `+
				`"2001:db8:c::7" = "b3", "2001:db8:c:1::/64" = "b1", "2001:db8:c::/48" = "b2" }`, "port = 8081"),
		clientRequests{"198.51.100.7", "tcp udp", "192.0.2.1:80", "b2"},
		clientRequests{"198.51.100.66", "tcp udp", "192.0.2.1:80", "b3"},
		clientRequests{"198.51.100.70", "tcp udp", "192.0.2.1:80", "b1"},
		clientRequests{"2001:db8:c::7", "tcp udp", "[2001:db8::1]:80", "b3"},
		clientRequests{"2001:db8:c::8", "tcp udp", "[2001:db8::1]:80", "b2"},
		keepBackend{name: "others", to: "192.0.2.1:80", sees: "balancer"},
		// a client whose backend is down is scheduled like any other
		persistentFarm("",
			`static = { "198.51.100.7" = "b1", "198.51.100.8" = "b2", "2001:db8:c::7" = "b1", "2001:db8:c::8" = "b2" }`,
			"state = 'down'"),
		keepBackend{name: "meanwhile", to: service1, sees: "balancer", among: "b2 b3"},
		clientRequests{"198.51.100.8", "tcp udp", "192.0.2.1:80", "b2"},
		clientRequests{"2001:db8:c::8", "tcp udp", "[2001:db8::1]:80", "b2"},
	}},
	// the scheduler picks for clients that do not fit in the map
	{name: "full-map-schedules", steps: steps{
		persistentFarm("", "", ""),
		fillClients("inet"),
		clientRequests{"198.51.100.2", "tcp udp", "192.0.2.1:80", "several"},
		keepBackend{name: "room", to: "[2001:db8::1]:80", sees: "balancer"},
	}},
	{name: "timeout", steps: steps{
		persistentFarm("", "timeout = '1s'", ""),
		clientRequests{"198.51.100.2", "tcp", "192.0.2.1:80", "several"}.once(),
		clientRequests{"2001:db8:c::2", "tcp", "[2001:db8::1]:80", "several"}.once(),
		eventually{noClients("inet", "ip4")}, eventually{noClients("inet", "ip6")},
		persistentFarm("", "timeout = '1h'", ""),
		addClients(map[string]string{"198.51.100.2 timeout 1h expires 30m": "10.2.0.12",
			"2001:db8:c::2 timeout 1h expires 30m": "100::a02:c"}),
		clientRequests{"198.51.100.2", "tcp", "192.0.2.1:80", "b2"},
		clientRequests{"2001:db8:c::2", "tcp", "[2001:db8::1]:80", "b2"},
		expiryRenewed("inet", "ip4"), expiryRenewed("inet", "ip6"),
	}},
	{name: "drained-backend-keeps-known-clients", steps: steps{
		persistentFarm("", "", "state = 'drain'\nsource-address = ['10.2.0.9', 'fd00:2::9']\nmark = 7"),
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		addClients(map[string]string{"198.51.100.200": "10.2.0.11", "2001:db8:c::200": "100::a02:b"}),
		clientRequests{"198.51.100.200", "tcp udp", "192.0.2.1:80", "b1"},
		clientRequests{"2001:db8:c::200", "tcp udp", "[2001:db8::1]:80", "b1"},
		keepBackend{name: "others", to: service1, sees: "balancer", among: "b2 b3"},
	}},
	{name: "first-insert-wins-snat",
		steps: steps{persistentFarm("", "", ""),
			racingInsert{"inet", [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set 100::a02:c"}}, firstInsertWins}},
	{name: "first-insert-wins-dnat", steps: steps{
		persistentFarm("mode = 'dnat'\nscheduler = 'round-robin'", "", "connections = 1000"),
		racingInsert{"inet", [2]string{"ip daddr set 10.2.0.12", "ip6 daddr set 100::a02:c"}}, firstInsertWins,
	}},
	{name: "simultaneous-connections", steps: steps{
		persistentFarm("", "", ""),
		stepFunc(func(s *testbed) error {
			for _, q := range s.targets("", "tcp udp", service1) {
				for _, client := range s.clients(q.to.Addr())[100:150] {
					if err := s.requestAtOnce(q, client); err != nil {
						return q.wrap(err)
					}
				}
			}
			return nil
		}),
	}},
}

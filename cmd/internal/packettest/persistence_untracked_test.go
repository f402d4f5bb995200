package packettest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// untrackedPersistence are keys of a farm with persistence that does not use connection tracking. Without persistence,
// hashes over ports would send a client anywhere.
const untrackedPersistence = `scheduler = 'hash'
hash-on = ['source-port', 'destination-port']
persistence = { static = { '198.51.100.200' = '%[1]s', '10.2.0.131' = '%[1]s', '2001:db8:c::c8' = '%[1]s' } }`

// untrackedPersistenceSteps use a farm with these keys, a backend b1 of weight 3, and b2. stands are formats of backend
// IDs for IPv4 and IPv6, with the last number of the backend's address. table is the family of the persistence map's
// table.
func untrackedPersistenceSteps(text, table string, stands [2]string) steps {
	const everywhere = "192.0.2.1:80 192.0.2.1:8050 [2001:db8::1]:80 [2001:db8::1]:8050"
	known := func(i, backend int) step {
		return stepFunc(func(s *testbed) error {
			var script strings.Builder
			for j, like := range []string{"192.0.2.1", "2001:db8::1"} {
				client := s.clients(netip.MustParseAddr(like))[i]
				fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%s { %s : %s }\n", table, family(client),
					client, fmt.Sprintf(stands[j], backend))
			}
			return nftScript(script.String()).do(s)
		})
	}
	meets := func(i int, backend string) step {
		return stepFunc(func(s *testbed) error {
			for _, to := range strings.Fields(service1) {
				client := s.clients(netip.MustParseAddrPort(to).Addr())[i]
				if err := (clientRequests{client.String(), "tcp udp", to, backend}).do(s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return steps{
		farms{"web": text},
		keepBackend{name: "kept", to: everywhere},
		known(25, 12), meets(25, "b2"),
		known(26, 99), // of no backend
		stepFunc(func(s *testbed) error {
			for _, q := range s.targets("", "tcp udp", service1) {
				client := s.clients(q.to.Addr())[26]
				for range 8 {
					answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, client).Port()))
					if err == nil {
						err = s.checkSameBackend("anew", client, answer.Backend)
					}
					if err != nil {
						return q.wrap(fmt.Errorf("as %s: %w", client, err))
					}
				}
			}
			return nil
		}),
		// drained: known clients stay, new clients go elsewhere
		farms{"web": strings.Replace(text, "weight", "state = 'drain'\nweight", 1)},
		keepBackend{name: "kept", to: everywhere},
		known(27, 11), meets(27, "b1"),
		stepFunc(func(s *testbed) error {
			for _, q := range s.targets("", "tcp udp", service1) {
				for i := range 4 {
					client := s.clients(q.to.Addr())[28+i] // not known yet
					answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, client).Port()))
					if err == nil && answer.Backend != "b2" {
						err = fmt.Errorf("%s answered", answer.Backend)
					}
					if err != nil {
						return q.wrap(fmt.Errorf("as %s: %w", client, err))
					}
				}
			}
			return nil
		}),
		// down: known clients of b1 move
		farms{"web": strings.Replace(text, "weight", "state = 'down'\nweight", 1)},
		keepBackend{name: "moved", to: everywhere, among: "b2"}, meets(27, "b2"),
	}
}

// persistenceSteps are for stateless farms only: ports of backends, several backends on one machine, whole addresses,
// and persistence on the destination address.
func (w statelessPath) persistenceSteps() steps {
	const persistent = "persistence = {}\nscheduler = 'hash'\nhash-on = ['source-port']"
	const onAddress = "persistence = { on = ['source-address', 'destination-address'] }\nscheduler = 'hash'\n" +
		"hash-on = ['source-port', 'destination-port']"
	const byAddresses = "persistence = {}\nscheduler = 'hash'\nhash-on = ['source-address', 'destination-address']"
	const twoAddresses = `"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp", "192.0.2.2:443/tcp,udp", ` +
		`"[2001:db8::2]:443/tcp,udp"`
	return steps{
		farms{"web": w.stateless(listen1, persistent, "b1:8081", "b1:8082", "b1", "b2:8081*2")},
		keepBackend{name: "ports", to: service1},
		transfer{"tcp", service1, 300_000},
		hold{by: "tcp udp", to: service1},
		// open connections stay with a drained backend
		farms{"web": strings.ReplaceAll(w.stateless(listen1, persistent, "b1:8081", "b1:8082", "b1", "b2:8081*2"),
			"[backends.d-b2]", "[backends.d-b2]\nstate = 'drain'")},
		echo{},
		keepBackend{name: "ports", to: service1},
		nothingTracked,
		farms{"web": w.stateless(twoAddresses, onAddress, "b1", "b2")},
		keepBackend{name: "first", to: service1}, keepBackend{name: "second", to: service2At443},
		differentBackends{"first", "second"},
		// a client without its backend is scheduled by the service's address
		farms{"web": w.stateless(listen1, byAddresses, "b1", "b2")},
		keepBackend{name: "asked", to: service1},
		w.setClients("10.2.0.99", "fd00:2::99"),
		keepBackend{name: "asked", to: service1},
		farms{"web": w.stateless(listenWhole3, "persistence = {}\nscheduler = 'symmetric-hash'", "b1", "b2")},
		keepBackend{name: "all", to: service3 + " 192.0.2.3:443 [2001:db8::3]:443"},
		sameBackendByAllProtocols("192.0.2.3 2001:db8::3"),
		// two farms share target chains, and a backend is down for one and up for the other
		farms{"web": strings.Replace(w.stateless(listen1, persistent, "b1", "b2"), "[backends.a-b1]",
			"[backends.a-b1]\nstate = 'down'", 1), "other": w.stateless(listen2At443, persistent, "b1", "b2")},
		w.setClients("10.2.0.11", "fd00:2::11"),
		keepBackend{name: "down here", to: service1, among: "b2"},
		keepBackend{name: "up there", to: service2At443, by: "tcp"},
		nothingTracked,
	}
}

// sharedPersistenceSteps: dsr farms share target maps, as far as ports tell the farms apart or are not needed. Clients
// and fragments keep their backends, whichever port is used, and when a farm moves between shared and own maps.
func (a dsrTopology) sharedPersistenceSteps() steps {
	const persistent = "scheduler = 'hash'\npersistence = {}"
	const beside = `"192.0.2.1:443,8050/tcp,udp", "[2001:db8::1]:443,8050/tcp,udp"`
	const besideTCP = `"192.0.2.1:443,8050/tcp", "[2001:db8::1]:443,8050/tcp"`
	const besides = "192.0.2.1:443 192.0.2.1:8050 [2001:db8::1]:443 [2001:db8::1]:8050"
	down := func(text string) string {
		return strings.Replace(text, "[backends.b1]", "[backends.b1]\nstate = 'down'", 1)
	}
	b1, b2 := setClients("netdev", "0xa02000b", "0xa02000b"), setClients("netdev", "0xa02000c", "0xa02000c")
	return steps{
		farms{"web": a.farm(listen1Ports, persistent)}, b2,
		keepBackend{name: "known", to: service1 + " 192.0.2.1:8050 [2001:db8::1]:8050", among: "b2"},
		fragmentsFollow{service1 + " 192.0.2.1:8050 [2001:db8::1]:8050", 10},
		keepBackend{name: "known", to: service1, among: "b2"},
		// with several farms later fragments match no farm
		farms{"web": a.farm(listen1, persistent), "beside": a.farm(beside, persistent)},
		keepBackend{name: "known", to: service1, among: "b2"}, keepBackend{name: "beside", to: besides},
		// a backend is down for one farm and up for the other
		farms{"web": down(a.farm(listen1, persistent)), "beside": a.farm(beside, persistent)}, b1,
		keepBackend{name: "known", to: service1, among: "b2"}, keepBackend{name: "beside", to: besides},
		// web is the only farm with UDP again
		farms{"web": a.farm(listen1, persistent), "beside": a.farm(besideTCP, persistent)},
		keepBackend{name: "known", to: service1, among: "b2"}, keepBackend{name: "beside", by: "tcp", to: besides},
		fragmentsFollow{service1, 10},
		keepBackend{name: "known", to: service1, among: "b2"},
		farms{"web": down(a.farm(listen1, persistent))}, b1,
		keepBackend{name: "known", to: service1, among: "b2"}, fragmentsFollow{service1, 10},
		farms{"web": a.farm(listenWhole2, persistent)}, b2,
		keepBackend{name: "known", to: service2, among: "b2"}, fragmentsFollow{service2, 10},
		keepBackend{name: "known", to: service2, among: "b2"},
		untracked("192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2"),
	}
}

// persistenceWithMAC: one backend of the farm has a MAC address in its file.
func (a dsrTopology) persistenceWithMAC() step {
	return stepFunc(func(s *testbed) error {
		mac, err := s.mac("b2")
		if err != nil {
			return err
		}
		at := "interface = " + strconv.Quote(a.out)
		return steps{
			farms{"web": replaceLast(a.farm(listenAllKinds, "scheduler = 'hash'\npersistence = {}"), at,
				at+"\nmac = "+strconv.Quote(mac))},
			keepBackend{name: "mixed", to: service1 + " " + service2},
			farms{"web": replaceLast(a.farm(listen1, "scheduler = 'hash'\nhash-on = ['source-port']\npersistence = {}"),
				at, at+"\nmac = "+strconv.Quote(mac))},
			keepBackend{name: "mixed", to: service1},
		}.do(s)
	})
}

// memorySteps: each request renews the timeout, and the scheduler picks for clients that do not fit in the map.
func (w statelessPath) memorySteps() steps {
	return steps{
		farms{"web": w.stateless(listen1,
			"persistence = { timeout = '1h' }\nscheduler = 'hash'\nhash-on = ['source-port']", "b1", "b2")},
		addClientsIn(w.table(), map[string]string{"198.51.100.2 timeout 1h expires 30m": "10.2.0.12",
			"2001:db8:c::2 timeout 1h expires 30m": "fd00:2::12"}),
		clientRequests{"198.51.100.2", "tcp udp", "192.0.2.1:80", "b2"},
		clientRequests{"2001:db8:c::2", "tcp udp", "[2001:db8::1]:80", "b2"},
		expiryRenewed(w.table(), "ip4"), expiryRenewed(w.table(), "ip6"),
		nftScript("flush map " + w.table() + " farmc farm/web/clients-ip4\n"), fillClients(w.table()),
		clientRequests{"198.51.100.2", "tcp udp", "192.0.2.1:80", "several"},
		transfer{"tcp", "192.0.2.1:80", 300_000},
		keepBackend{name: "room", to: "[2001:db8::1]:80"},
		// a static session for one of the addresses
		farms{"web": w.stateless(`"192.0.2.1:80/tcp,udp", "192.0.2.2:443/tcp,udp"`, `scheduler = 'hash'
			hash-on = ['source-port']
			persistence.on = ['source-address', 'destination-address']
			persistence.static = { '198.51.100.7 . 192.0.2.2' = 'b-b2', '198.51.100.8 . 192.0.2.1' = 'b-b2' }`,
			"b1", "b2") + "state = 'drain'"},
		clientRequests{"198.51.100.7", "tcp udp", "192.0.2.2:443", "b2"},
		clientRequests{"198.51.100.8", "tcp udp", "192.0.2.1:80", "b2"},
		clientRequests{"198.51.100.7", "tcp udp", "192.0.2.1:80", "b1"},
		clientRequests{"198.51.100.8", "tcp udp", "192.0.2.2:443", "b1"},
	}
}

package packettest

import (
	"fmt"
	"strings"
	"testing"
)

func TestMovedPorts(t *testing.T) {
	t.Parallel()
	runCases(t, movedPortsCases())
}

const (
	service1At50002 = "192.0.2.1:50002 [2001:db8::1]:50002"
	service1AtBoth  = "192.0.2.1:80 192.0.2.1:443 [2001:db8::1]:80 [2001:db8::1]:443"
)

func movedPortsCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		sees := map[string]string{"snat": "balancer"}[mode]
		for _, scheduler := range []string{"random", "round-robin", "hash", "maglev"} {
			all = append(all, testCase{name: mode + "-" + scheduler, steps: steps{
				farms{"web": movedPortsFarm(mode, scheduler, "")},
				request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b2:8081": 1, "b3:8083": 1},
					sees: sees},
				request{by: "tcp udp", to: service1At443, shares: shares{"b1:8082": 1, "b2:8082": 1, "b3:443": 1},
					sees: sees},
			}})
		}
		all = append(all, testCase{name: mode + "-persistence", steps: steps{
			farms{"web": movedPortsFarm(mode, "random", "[persistence]")},
			sameBackendAt{to: service1AtBoth, sees: sees},
			hold{by: "tcp udp", to: service1AtBoth},
			// another port of one backend, and of all: the clients stay, and so do the open connections
			farms{"web": movedPortsFarm(mode, "random", "[persistence]") + "\n[backends.b4]\naddress = '10.2.0.14'"},
			echo{},
			sameBackendAt{to: service1AtBoth, sees: sees},
		}})
	}
	for _, scheduler := range []string{"hash", "maglev"} {
		all = append(all, testCase{name: "one-choice-by-" + scheduler, steps: steps{
			farms{"web": movedPortsFarm("dnat", scheduler, "")},
			sameBackendAt{to: service1AtBoth},
		}})
	}
	for _, scheduler := range []string{"random", "round-robin", "hash"} {
		all = append(all, testCase{name: "range-" + scheduler, steps: steps{
			farms{"web": movedRangeFarm(scheduler)},
			request{by: "tcp udp", to: service1At50002, shares: shares{"b1:8082": 1, "b2:8083": 1}},
			request{by: "tcp udp", to: "192.0.2.1:50001 [2001:db8::1]:50001",
				shares: shares{"b1:8081": 1, "b2:8083": 1}},
			request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8083": 1}},
		}})
	}
	for _, w := range statelessPaths {
		for _, keys := range []string{``, `scheduler = "hash"`, `persistence = {}`} {
			all = append(all, w.testCase("stateless-"+strings.Fields(keys + " maglev")[0],
				farms{"web": w.stateless(`"192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`,
					"ports = { 80 = 8081, 443 = 8082 }\n"+keys, "b1", "b2")},
				sameBackendAt{to: service1AtBoth, ports: map[uint16]uint16{80: 8081, 443: 8082}},
				transfer{"tcp", service1 + " " + service1At443, 300_000},
				nothingTracked),
				w.testCase("stateless-range-"+strings.Fields(keys + " maglev")[0],
					farms{"web": w.stateless(`"192.0.2.1:8050,50001-50003/tcp,udp", `+
						`"[2001:db8::1]:8050,50001-50003/tcp,udp"`,
						"ports = { \"50001-50003\" = \"8081-8083\" }\n"+keys, "b1", "b2")},
					sameBackendAt{to: "192.0.2.1:8050 192.0.2.1:50001 192.0.2.1:50003 " +
						"[2001:db8::1]:8050 [2001:db8::1]:50001 [2001:db8::1]:50003",
						ports: map[uint16]uint16{8050: 8050, 50001: 8081, 50003: 8083}},
					transfer{"tcp", service1At50002, 300_000},
					nothingTracked))
		}
	}
	return append(all, movedPortsReload)
}

func movedPortsFarm(mode, scheduler, keys string) string {
	return fmt.Sprintf(`
		mode      = %q
		scheduler = %q
		listen    = ["192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"]
		ports     = { 80 = 8081, 443 = 8082 }
		%s
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
		ports   = { 80 = 8083 }
	`, mode, scheduler, keys)
}

// movedRangeFarm has a range moved by an offset, a port that stays, and a backend that gets all on one port.
func movedRangeFarm(scheduler string) string {
	return fmt.Sprintf(`
		mode      = "dnat"
		scheduler = %q
		listen    = ["192.0.2.1:8050,50000-50010/tcp,udp", "[2001:db8::1]:8050,50000-50010/tcp,udp"]
		ports     = { "50001-50003" = "8081-8083" }
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		port    = 8083
	`, scheduler)
}

// movedPortsReload: open connections outlive a change of the ports that new ones get.
var movedPortsReload = testCase{name: "reload-keeps-connections", steps: steps{
	farms{"web": movedPortsFarm("snat", "random", "")},
	hold{by: "tcp", to: service1AtBoth},
	farms{"web": movedPortsOfAll(8083, 8050)},
	echo{},
	request{by: "tcp", to: service1, shares: shares{"b1:8083": 1}, sees: "balancer"},
	request{by: "tcp", to: service1At443, shares: shares{"b1:8050": 1}, sees: "balancer"},
	farms{"web": movedPortsOfAll(443, 80)},
	echo{},
	request{by: "tcp", to: service1, shares: shares{"b1:443": 1}, sees: "balancer"},
	request{by: "tcp", to: service1At443, shares: shares{"b1:80": 1}, sees: "balancer"},
}}

func movedPortsOfAll(http, https int) string {
	return fmt.Sprintf(`
		listen = ["192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"]
		ports  = { 80 = %d, 443 = %d }
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
	`, http, https)
}

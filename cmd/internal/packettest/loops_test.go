package packettest

import "testing"

// TestLoops: two UDP services that answer every datagram, as DNS servers once did, answer each other without end if a
// datagram names one of them as its source. A stateless farm drops the first answer.
func TestLoops(t *testing.T) {
	t.Parallel()
	var all []testCase
	for _, w := range statelessPaths[:2] {
		all = append(append(all, loopCases(w)...), moreLoopCases(w)...)
	}
	w := statelessPaths[0]
	runCases(t, append(all, w.testCase("service-port-of-backend-may-send-requests",
		nftScript(`table inet others {
			chain c { type filter hook prerouting priority raw; udp sport 8090 notrack; udp dport 8090 notrack; }
		}`),
		farms{"web": w.stateless(listen1, "", "b1:8090")},
		stepFunc(requestFromServicePort))))
}

// Addresses and ports of backends, as sources of spoofed datagrams.
const (
	backend1       = "10.2.0.11:80 [fd00:2::11]:80"
	backend1At8081 = "10.2.0.11:8081 [fd00:2::11]:8081"
	backend2       = "10.2.0.12:80 [fd00:2::12]:80"
	backend2At8082 = "10.2.0.12:8082 [fd00:2::12]:8082"
	backend2At443  = "10.2.0.12:443 [fd00:2::12]:443"
	backend2At8050 = "10.2.0.12:8050 [fd00:2::12]:8050"
	backend3       = "10.2.0.13:80 [fd00:2::13]:80"
	backend3At53   = "10.2.0.13:53 [fd00:2::13]:53"
	balancerAt8083 = "10.2.0.1:8083 [fd00:2::1]:8083"
)

// loopCases: farms that listen on single ports.
func loopCases(w statelessPath) []testCase {
	web := w.stateless(listen1, "", "b1:8081")
	return []testCase{
		w.testCase("loop-ends-on-port", farms{"web": web},
			spoofed{service1, service1}, spoofed{backend1At8081, service1}),
		w.testCase("loop-ends-on-same-port", farms{"web": w.stateless(listen1, "", "b1")},
			spoofed{service1, service1}, spoofed{backend1, service1}),
		w.testCase("loop-ends-with-two-backends", farms{"web": w.stateless(listen1, "", "b1:8081", "b2")},
			spoofed{service1, service1}, spoofed{backend1At8081, service1}, spoofed{backend2, service1}),
		w.testCase("loop-ends-between-two-farms",
			farms{"web": web, "other": w.stateless(listen2At443, "", "b2")},
			spoofed{service2At443, service1}, spoofed{service1, service2At443},
			spoofed{backend2At443, service1}, spoofed{backend1At8081, service2At443}),
		w.testCase("loop-ends-with-persistence",
			farms{"web": w.stateless(listen1, "persistence = {}", "b1:8081", "b2")},
			spoofed{service1, service1}, spoofed{backend1At8081, service1}, spoofed{backend2, service1}),
		w.testCase("loop-ends-from-addresses-of-balancer", farms{"web": web},
			spoofed{"127.0.0.1:80 [::1]:80", service1}, spoofed{"203.0.113.1:80 [2001:db8:f::1]:80", service1}),
		w.testCase("loop-ends-with-backend-on-balancer", farms{"web": statelessOnBalancer},
			spoofed{service1, service1}, spoofed{balancerAt8083, service1},
			request{by: "tcp udp", to: service1, shares: shares{"balancer:8083": 1}}),
	}
}

// moreLoopCases: farms on ranges and whole addresses, and backends that are clients of their own farm.
func moreLoopCases(w statelessPath) []testCase {
	web := w.stateless(listen1, "", "b1:8081")
	return []testCase{
		w.testCase("loop-ends-on-range", farms{"web": web,
			"range": w.stateless(`"192.0.2.2:8000-8070/tcp,udp", "[2001:db8::2]:8000-8070/tcp,udp"`, "", "b2")},
			spoofed{service2At8050, service2At8050}, spoofed{backend2At8050, service2At8050},
			spoofed{backend2At8050, service1}, spoofed{backend1At8081, service2At8050}),
		w.testCase("loop-ends-on-whole-address", farms{"web": web, "all": w.stateless(listenWhole3, "", "b3")},
			spoofed{service3, service3}, spoofed{backend3, service3}, spoofed{backend3At53, service1},
			spoofed{backend1At8081, service3}, spoofed{service1, service3}, backendRequests{"b3", service3}),
		// b1 has to answer b2 through the balancer, otherwise the answer does not come from the service
		w.testCase("backends-may-be-clients", farms{"web": web},
			stepFunc(func(s *testbed) error {
				return addRoutes(s.Backends[0], "10.2.0.1 fd00:2::1", "10.2.0.12/32 fd00:2::12/128")
			}),
			backendRequests{"b2", service1},
			request{from: "b2", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}}),
	}
}

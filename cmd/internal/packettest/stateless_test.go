package packettest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestStateless(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(statelessCases(statelessPaths), moreStatelessCases(), statelessPairCases()))
}

var statelessSchedulers = []struct {
	name, keys string
	whole      bool // works with whole addresses
	ofClient   bool // hashes the client's address only
}{
	{"maglev", ``, true, true},
	{"maglev-by-port", `hash-on = ["source-address", "source-port"]`, false, false},
	{"hash", `scheduler = "hash"`, true, true},
	{"hash-by-port", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-port\"]", false, false},
	{"hash-by-everything",
		"scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-port\", " +
			"\"destination-port\", \"source-mac\", \"destination-mac\"]", false, false},
	{"symmetric-hash", `scheduler = "symmetric-hash"`, true, false},
}

// statelessCases: all backends get their shares, by each path and scheduler. The backend sees the client, and its
// answer comes from the service (else the client's socket would not accept it). Nothing is tracked.
func statelessCases(paths []statelessPath) (all []testCase) {
	for _, w := range paths {
		for _, by := range statelessSchedulers {
			clients := 249
			if w.oneArmed && by.ofClient {
				clients = 32 // all clients of the lab
			}
			play := steps{
				farms{
					"web":  w.stateless(listen1, by.keys, "b1:8081*3", "b2:8082", "b3*2"),
					"list": w.stateless(listen2Ports, by.keys, "b1*3", "b2"),
				},
				request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1, "b3:80": 2},
					times: clients},
				request{by: "tcp udp", to: service2At443, shares: shares{"b1:443": 3, "b2:443": 1}, times: clients / 2},
				request{by: "tcp udp", to: service2At8050, shares: shares{"b1:8050": 3, "b2:8050": 1},
					times: clients / 2},
				transfer{"tcp", service1 + " " + service2At8050, 300_000},
				transfer{"udp", service1 + " " + service2At8050, 1400},
				nothingTracked,
			}
			if by.whole {
				play = append(play,
					farms{"all": w.stateless(`"192.0.2.3/all", "2001:db8::3/all"`, by.keys, "b1*3", "b2")},
					request{by: "tcp udp", to: service3, shares: shares{"b1:80": 3, "b2:80": 1}, times: clients},
					transfer{"tcp", service3, 300_000},
					nothingTracked)
			}
			if by.whole && (by.ofClient ||
				!w.oneArmed) { // else the hash of the few clients' pings differs with each boot
				play = append(play, pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b1": 3, "b2": 1}},
					nothingTracked)
			}
			if by.whole && by.ofClient {
				play = append(play, sameBackendByAllProtocols("192.0.2.3 2001:db8::3"))
			}
			all = append(all, w.testCase(by.name, play...))
		}
	}
	return all
}

// moreStatelessCases hold for all schedulers; for both kinds of paths where the paths differ.
func moreStatelessCases() (all []testCase) {
	for _, w := range statelessPaths[:1] {
		all = append(all,
			w.testCase("backend-on-the-balancer",
				farms{"web": w.stateless(listen1, "", "b1*3") + `
					[backends.here]
					address = ["10.2.0.1", "fd00:2::1"]
					port    = 8083
				`},
				request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "balancer:8083": 1}, times: 60},
				transfer{"tcp", service1, 300_000},
				nothingTracked,
				request{from: "balancer", by: "tcp udp", to: "10.2.0.1:8083 [fd00:2::1]:8083",
					shares: shares{"balancer:8083": 1}}),
			w.testCase("reload",
				farms{"web": w.stateless(listen1, "", "b1:8081", "b2:8082")},
				hold{by: "tcp udp", to: service1},
				farms{"web": w.stateless(listen1, "", "b1:8081", "b2:8082"),
					"mail": oneBackend("snat", `"192.0.2.2:80"`, "b3", 0)},
				echo{}, dropIngress, deleteTable, pipeScript, acceptIngress, echo{}, pipeScript, echo{}),
			// a small MTU between balancer and backends, which the MSS in both SYNs has to respect
			w.testCase("small-packets-to-backends",
				farms{"web": w.stateless(listen1, "", "b1"), "port": w.stateless(listen2At443, "", "b2:8083"),
					"all": w.stateless(listenWhole3, "", "b3"),
					"range": w.stateless(`"192.0.2.2:8000-8070/tcp,udp", "[2001:db8::2]:8000-8070/tcp,udp"`, "", "b1",
						"b2")},
				setMTU{"balancer eth1", 1400},
				transfer{"tcp", service1 + " " + service2At443 + " " + service2At8050 + " " + service3, 300_000},
				setMTU{"balancer eth1", 1280},
				transfer{"tcp", service1 + " " + service2At443 + " " + service2At8050 + " " + service3, 300_000}),
			w.testCase("large-datagrams",
				farms{"web": w.stateless(listen1, "", "b1:8081", "b2"), "all": w.stateless(listenWhole3, "", "b3")},
				transfer{"udp", service1 + " " + service3, 4000}, nothingTracked))
	}
	for _, w := range statelessPaths {
		links := "balancer eth0 client eth0"
		if w.oneArmed {
			links += " b1 eth0"
		}
		all = append(all, w.testCase("small-packets",
			farms{"web": w.stateless(listen1, "", "b1:8081")},
			setMTU{links, 1400}, transfer{"tcp", service1, 300_000},
			setMTU{links, 1280}, transfer{"tcp", service1, 300_000}))
	}
	for _, w := range statelessPaths[2:] {
		// apply warns of this
		all = append(all, w.testCase("backend-on-the-balancer",
			farms{"web": fmt.Sprintf("mode = \"stateless\"\nlisten = [%s]\n%s\n[backends.here]\n"+
				"address = [\"10.2.0.1\", \"fd00:2::1\"]\nport = 8083\n%s", listen1, w.farm, w.backend)},
			noAnswer{"tcp udp", service1}))
		// at ingress fragments are not reassembled, and later fragments have no ports: the datagrams are lost
		all = append(all, w.testCase("large-datagrams",
			farms{"web": w.stateless(listen1, "", "b1:8081", "b2"), "all": w.stateless(listenWhole3, "", "b3")},
			lostDatagrams{service1, 4000},
			transfer{"udp", service3, 4000},
			request{by: "udp", to: service1, shares: shares{"b1:8081": 1, "b2:80": 1}, times: 40},
			nothingTracked))
	}
	for _, w := range []statelessPath{statelessPaths[0], statelessPaths[2]} {
		all = append(all,
			// clients on the balancer, such as a health checker, can still connect to backends
			w.testCase("checked-from-the-balancer",
				nftScript(`table inet filter {
					chain input {
						type filter hook input priority filter; policy drop
						ct state established,related accept
						meta l4proto icmpv6 accept
					}
					chain forward {
						type filter hook forward priority filter; policy drop
						ct state untracked accept
					}
				}`),
				farms{"web": w.stateless(listen1, "", "b1:8081")},
				request{from: "balancer", by: "tcp udp",
					to:     "10.2.0.11:8081 [fd00:2::11]:8081 10.2.0.11:443 [fd00:2::11]:443",
					shares: shares{"b1:8081": 1, "b1:443": 1}, times: 2},
				request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}},
				farms{"web": w.stateless(listenWhole3, "", "b1")},
				request{from: "balancer", by: "tcp udp", to: "10.2.0.11:8081 [fd00:2::11]:8081",
					shares: shares{"b1:8081": 1}},
				request{by: "tcp udp", to: service3, shares: shares{"b1:80": 1}}),
			// more ports than rules compare; packets from a backend's other ports are tracked as usual
			w.testCase("ranges",
				nftScript(`table inet filter {
					chain forward {
						type filter hook forward priority filter
						th sport { 443, 8083, 8100 } ct state != established drop
					}
				}`),
				farms{
					"low": w.stateless(`"192.0.2.1:8000-8050/tcp,udp", "[2001:db8::1]:8000-8050/tcp,udp"`, "", "b1",
						"b2"),
					"high": w.stateless(`"192.0.2.2:80,8081-8082/tcp,udp", "[2001:db8::2]:80,8081-8082/tcp,udp"`, "",
						"b1"),
					"other": w.stateless(`"192.0.2.3:1-2,11-12,21-22,31-32,41-42,51-52,61-62/tcp,udp", `+
						`"[2001:db8::3]:1-2,11-12,21-22,31-32,41-42,51-52,61-62/tcp,udp"`, "", "b1", "b2", "b3"),
					"dnat": oneBackend("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 8100),
				},
				request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000",
					shares: shares{"b1:8000": 1, "b2:8000": 1}, times: 60},
				request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
					shares: shares{"b1:8050": 1, "b2:8050": 1}, times: 60},
				request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b1:80": 1}, times: 2},
				request{by: "tcp udp", to: "192.0.2.2:8081 [2001:db8::2]:8081", shares: shares{"b1:8081": 1}, times: 2},
				request{by: "tcp udp", to: "192.0.2.2:8082 [2001:db8::2]:8082", shares: shares{"b1:8082": 1}, times: 2},
				transfer{"tcp", "192.0.2.1:8050 [2001:db8::1]:8050 192.0.2.2:8082 [2001:db8::2]:8082", 300_000},
				nothingTracked,
				request{by: "tcp udp", to: "10.2.0.11:443 [fd00:2::11]:443", shares: shares{"b1:443": 1}, times: 2},
				request{by: "tcp udp", to: "10.2.0.11:8083 [fd00:2::11]:8083", shares: shares{"b1:8083": 1}, times: 2},
				request{by: "tcp udp", to: "10.2.0.11:8100 [fd00:2::11]:8100", shares: shares{"b1:8100": 1}, times: 2},
				request{by: "tcp udp", to: service3, shares: shares{"b1:8100": 1}, times: 2}),
			w.testCase("no-backend",
				farms{"web": w.stateless(listen1, "", "b1:8081") + `state = "down"`,
					"all": w.stateless(listenWhole3, "", "b2") + `state = "drain"`},
				noAnswer{"tcp udp", service1 + " " + service3},
				request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443 192.0.2.2:80 [2001:db8::2]:80",
					shares: shares{"balancer:443": 1, "balancer:80": 1}, times: 4}),
			w.testCase("neighbour-discovery",
				farms{"all": w.stateless(`"203.0.113.1/all", "2001:db8:f::1/all"`, "", "b1")},
				request{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:80": 1}},
				pings{to: "203.0.113.1 2001:db8:f::1", shares: shares{"b1": 1}},
				stepFunc(neighboursAnswer),
				farms{"all": w.stateless(`"203.0.113.1/all", "2001:db8:f::1/all"`, "", "b1") + `state = "down"`},
				stepFunc(neighboursAnswer)),
			w.testCase("beside-other-farms",
				farms{
					"all":  w.stateless(listenWhole3, "", "b1"),
					"dnat": oneBackend("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b2", 8082),
					"snat": oneBackend("snat", `"192.0.2.3:8000-8050/tcp,udp", "[2001:db8::3]:8000-8050/tcp,udp"`, "b3",
						0),
					"web": w.stateless(`"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "", "b2:8081"),
				},
				request{by: "tcp udp", to: service3, shares: shares{"b2:8082": 1}},
				icmpErrors{by: "tcp udp", to: service3, backend: 8082},
				request{by: "tcp udp", to: "192.0.2.3:8050 [2001:db8::3]:8050", shares: shares{"b3:8050": 1},
					sees: "balancer"},
				request{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:8081": 1}},
				request{by: "tcp udp", to: "192.0.2.3:53 [2001:db8::3]:53", shares: shares{"b1:53": 1}},
				pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b1": 1}}),
		)
	}
	return all
}

// statelessPairCases: two balancers with the same farm replace each other, in the middle of a connection.
func statelessPairCases() (all []testCase) {
	for _, w := range []statelessPath{statelessPaths[1], statelessPaths[3]} {
		for _, by := range statelessSchedulers[:4] { // the others' hashes differ between machines
			text := w.stateless(listen1, by.keys, "b1:8081*3", "b2:8082", "b3")
			c := w.testCase("two-balancers-"+by.name,
				farms{"web": text},
				hold{by: "tcp udp", to: service1},
				// another machine, with its own state directory and nothing loaded before
				stepFunc(func(s *testbed) error { return secondBalancer(s, s.machine("b4"), text) }),
				// requests through one and replies through the other, then both through the other
				stepFunc(func(s *testbed) error {
					return addRoutes(s.Client, "10.2.0.14 fd00:2::14", "192.0.2.0/24 2001:db8::/64")
				}),
				echo{},
				nftScript(`table inet gone { chain forward { type filter hook forward priority filter; policy drop; `+
					`}; }`),
				stepFunc(func(s *testbed) (err error) {
					for _, b := range s.Backends[:3] {
						err = errors.Join(err, addRoutes(b, "10.2.0.14 fd00:2::14",
							"10.2.0.96/28 10.2.0.112/28 10.2.0.128/28 fd00:2::100/121"))
					}
					return err
				}),
				echo{},
			)
			c.lab.Backends = 4
			all = append(all, c)
		}
	}
	return all
}

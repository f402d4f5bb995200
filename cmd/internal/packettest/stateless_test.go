package packettest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestStateless(t *testing.T) {
	t.Parallel()
	play(t, slices.Concat(statelessScenes(), statelessMatters(), statelessPairs()))
}

var statelessSchedulers = []struct {
	name, keys string
	whole      bool // can be had for every protocol
	ofClient   bool // looks at nothing but who the client is
}{
	{"maglev", ``, true, true},
	{"maglev-by-port", `hash-on = ["source-address", "source-port"]`, false, false},
	{"hash", `scheduler = "hash"`, true, true},
	{"hash-by-port", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-port\"]", false, false},
	{"hash-by-everything", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-port\", \"destination-port\", \"source-mac\", \"destination-mac\"]", false, false},
	{"symmetric-hash", `scheduler = "symmetric-hash"`, true, false},
}

// statelessScenes: the right backends in the right shares, by each way and scheduler; the backend sees the client, and
// its answer comes from the service (else the client's socket would not take it); nothing is tracked.
func statelessScenes() (all []scene) {
	for _, w := range ways {
		for _, by := range statelessSchedulers {
			clients := 249
			if w.oneArmed && by.ofClient {
				clients = 32 // as many as there are
			}
			play := steps{
				farms{
					"web":  w.stateless(listenBoth, by.keys, "b1:8081*3", "b2:8082", "b3*2"),
					"list": w.stateless(otherPorts, by.keys, "b1*3", "b2"),
				},
				ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1, "b3:80": 2}, times: clients},
				ask{by: "tcp udp", to: second, shares: shares{"b1:443": 3, "b2:443": 1}, times: clients / 2},
				ask{by: "tcp udp", to: inRange, shares: shares{"b1:8050": 3, "b2:8050": 1}, times: clients / 2},
				carry{"tcp", both + " " + inRange, 300_000},
				carry{"udp", both + " " + inRange, 1400},
				nothingTracked,
			}
			if by.whole {
				play = append(play,
					farms{"all": w.stateless(`"192.0.2.3", "2001:db8::3"`, by.keys, "b1*3", "b2")},
					ask{by: "tcp udp", to: third, shares: shares{"b1:80": 3, "b2:80": 1}, times: clients},
					carry{"tcp", third, 300_000},
					nothingTracked)
			}
			if by.whole && (by.ofClient || !w.oneArmed) { // else each boot has its own spread of the few clients' pings
				play = append(play, pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b1": 3, "b2": 1}}, nothingTracked)
			}
			if by.whole && by.ofClient {
				play = append(play, alike("192.0.2.3 2001:db8::3"))
			}
			all = append(all, w.scene(by.name, play...))
		}
	}
	return all
}

// statelessMatters are what else holds of stateless farms, whatever the scheduler; by both ways where they differ.
func statelessMatters() (all []scene) {
	for _, w := range ways[:1] {
		all = append(all,
			w.scene("backend-on-the-balancer",
				farms{"web": w.stateless(listenBoth, "", "b1*3") + `
					[backends.here]
					address = ["10.2.0.1", "fd00:2::1"]
					port    = 8083
				`},
				ask{by: "tcp udp", to: both, shares: shares{"b1:80": 3, "balancer:8083": 1}, times: 60},
				carry{"tcp", both, 300_000},
				nothingTracked,
				ask{from: "balancer", by: "tcp udp", to: "10.2.0.1:8083 [fd00:2::1]:8083", shares: shares{"balancer:8083": 1}}),
			w.scene("reload",
				farms{"web": w.stateless(listenBoth, "", "b1:8081", "b2:8082")},
				hold{by: "tcp udp", to: both},
				farms{"web": w.stateless(listenBoth, "", "b1:8081", "b2:8082"), "mail": one("snat", `"192.0.2.2:80"`, "b3", 0)},
				echo{}, shutIngress, wipe, pipe, openIngress, echo{}, pipe, echo{}),
			// between the balancer and the backends, which know nothing of it: both are told when they open a connection
			w.scene("small-packets-to-backends",
				farms{"web": w.stateless(listenBoth, "", "b1"), "port": w.stateless(listenSecond, "", "b2:8083"), "all": w.stateless(wholeThird, "", "b3"),
					"range": w.stateless(`"192.0.2.2:8000-8070/tcp,udp", "[2001:db8::2]:8000-8070/tcp,udp"`, "", "b1", "b2")},
				mtu{"balancer eth1", 1400}, carry{"tcp", both + " " + second + " " + inRange + " " + third, 300_000},
				mtu{"balancer eth1", 1280}, carry{"tcp", both + " " + second + " " + inRange + " " + third, 300_000}),
			w.scene("large-datagrams",
				farms{"web": w.stateless(listenBoth, "", "b1:8081", "b2"), "all": w.stateless(wholeThird, "", "b3")},
				carry{"udp", both + " " + third, 4000}, nothingTracked))
	}
	for _, w := range ways {
		links := "balancer eth0 client eth0"
		if w.oneArmed {
			links += " b1 eth0"
		}
		all = append(all, w.scene("small-packets",
			farms{"web": w.stateless(listenBoth, "", "b1:8081")},
			mtu{links, 1400}, carry{"tcp", both, 300_000},
			mtu{links, 1280}, carry{"tcp", both, 300_000}))
	}
	for _, w := range ways[2:] {
		// what apply warns of
		all = append(all, w.scene("backend-on-the-balancer",
			farms{"web": fmt.Sprintf("mode = \"stateless\"\nlisten = [%s]\n%s\n[backends.here]\naddress = [\"10.2.0.1\", \"fd00:2::1\"]\nport = 8083\n%s", listenBoth, w.farm, w.backend)},
			silent{"tcp udp", both}))
		// at ingress nobody puts fragments together, and all but the first have no ports to know them by: they are lost
		all = append(all, w.scene("large-datagrams",
			farms{"web": w.stateless(listenBoth, "", "b1:8081", "b2"), "all": w.stateless(wholeThird, "", "b3")},
			lost{both, 4000},
			carry{"udp", third, 4000},
			ask{by: "udp", to: both, shares: shares{"b1:8081": 1, "b2:80": 1}, times: 40},
			nothingTracked))
	}
	for _, w := range []way{ways[0], ways[2]} {
		all = append(all,
			// who lives on the balancer, as a health checker does, speaks with backends as with anybody
			w.scene("checked-from-the-balancer",
				foreign(`table inet filter {
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
				farms{"web": w.stateless(listenBoth, "", "b1:8081")},
				ask{from: "balancer", by: "tcp udp", to: "10.2.0.11:8081 [fd00:2::11]:8081 10.2.0.11:443 [fd00:2::11]:443", shares: shares{"b1:8081": 1, "b1:443": 1}, times: 2},
				ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}},
				farms{"web": w.stateless(wholeThird, "", "b1")},
				ask{from: "balancer", by: "tcp udp", to: "10.2.0.11:8081 [fd00:2::11]:8081", shares: shares{"b1:8081": 1}},
				ask{by: "tcp udp", to: third, shares: shares{"b1:80": 1}}),
			// more of them than rules compare the ports of; what comes from a backend's other ports is tracked, as all is
			w.scene("ranges",
				foreign(`table inet filter {
					chain forward {
						type filter hook forward priority filter
						th sport { 443, 8083, 8100 } ct state != established drop
					}
				}`),
				farms{
					"low":   w.stateless(`"192.0.2.1:8000-8050/tcp,udp", "[2001:db8::1]:8000-8050/tcp,udp"`, "", "b1", "b2"),
					"high":  w.stateless(`"192.0.2.2:80,8081-8082/tcp,udp", "[2001:db8::2]:80,8081-8082/tcp,udp"`, "", "b1"),
					"other": w.stateless(`"192.0.2.3:1-2,11-12,21-22,31-32,41-42,51-52,61-62/tcp,udp", "[2001:db8::3]:1-2,11-12,21-22,31-32,41-42,51-52,61-62/tcp,udp"`, "", "b1", "b2", "b3"),
					"dnat":  one("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 8100),
				},
				ask{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"b1:8000": 1, "b2:8000": 1}, times: 60},
				ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8050": 1}, times: 60},
				ask{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b1:80": 1}, times: 2},
				ask{by: "tcp udp", to: "192.0.2.2:8081 [2001:db8::2]:8081", shares: shares{"b1:8081": 1}, times: 2},
				ask{by: "tcp udp", to: "192.0.2.2:8082 [2001:db8::2]:8082", shares: shares{"b1:8082": 1}, times: 2},
				carry{"tcp", "192.0.2.1:8050 [2001:db8::1]:8050 192.0.2.2:8082 [2001:db8::2]:8082", 300_000},
				nothingTracked,
				ask{by: "tcp udp", to: "10.2.0.11:443 [fd00:2::11]:443", shares: shares{"b1:443": 1}, times: 2},
				ask{by: "tcp udp", to: "10.2.0.11:8083 [fd00:2::11]:8083", shares: shares{"b1:8083": 1}, times: 2},
				ask{by: "tcp udp", to: "10.2.0.11:8100 [fd00:2::11]:8100", shares: shares{"b1:8100": 1}, times: 2},
				ask{by: "tcp udp", to: third, shares: shares{"b1:8100": 1}, times: 2}),
			w.scene("no-backend",
				farms{"web": w.stateless(listenBoth, "", "b1:8081") + `state = "down"`, "all": w.stateless(wholeThird, "", "b2") + `state = "drain"`},
				silent{"tcp udp", both + " " + third},
				ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443 192.0.2.2:80 [2001:db8::2]:80", shares: shares{"balancer:443": 1, "balancer:80": 1}, times: 4}),
			w.scene("neighbour-discovery",
				farms{"all": w.stateless(`"203.0.113.1", "2001:db8:f::1"`, "", "b1")},
				ask{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:80": 1}},
				pings{to: "203.0.113.1 2001:db8:f::1", shares: shares{"b1": 1}},
				deed(neighboursAnswer),
				farms{"all": w.stateless(`"203.0.113.1", "2001:db8:f::1"`, "", "b1") + `state = "down"`},
				deed(neighboursAnswer)),
			w.scene("beside-other-farms",
				farms{
					"all":  w.stateless(wholeThird, "", "b1"),
					"dnat": one("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b2", 8082),
					"snat": one("snat", `"192.0.2.3:8000-8050/tcp,udp", "[2001:db8::3]:8000-8050/tcp,udp"`, "b3", 0),
					"web":  w.stateless(`"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "", "b2:8081"),
				},
				ask{by: "tcp udp", to: third, shares: shares{"b2:8082": 1}},
				complain{by: "tcp udp", to: third, backend: 8082},
				ask{by: "tcp udp", to: "192.0.2.3:8050 [2001:db8::3]:8050", shares: shares{"b3:8050": 1}, sees: "balancer"},
				ask{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:8081": 1}},
				ask{by: "tcp udp", to: "192.0.2.3:53 [2001:db8::3]:53", shares: shares{"b1:53": 1}},
				pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b1": 1}}),
		)
	}
	return all
}

// statelessPairs: two balancers with the same farm stand for one another, in the middle of a connection.
func statelessPairs() (all []scene) {
	for _, w := range []way{ways[1], ways[3]} {
		for _, by := range statelessSchedulers[:4] { // what the others hash differs from machine to machine
			text := w.stateless(listenBoth, by.keys, "b1:8081*3", "b2:8082", "b3")
			c := w.scene("two-balancers-"+by.name,
				farms{"web": text},
				hold{by: "tcp udp", to: both},
				// another machine, with a state directory of its own and nothing loaded before
				deed(func(s *stage) error { return secondBalancer(s, s.machine("b4"), text) }),
				// requests by the one and replies by the other, then both by the other
				deed(func(s *stage) error { return routes(s.Client, "10.2.0.14 fd00:2::14", "192.0.2.0/24 2001:db8::/64") }),
				echo{},
				foreign(`table inet gone { chain forward { type filter hook forward priority filter; policy drop; }; }`),
				deed(func(s *stage) (err error) {
					for _, b := range s.Backends[:3] {
						err = errors.Join(err, routes(b, "10.2.0.14 fd00:2::14", "10.2.0.96/28 10.2.0.112/28 10.2.0.128/28 fd00:2::100/121"))
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

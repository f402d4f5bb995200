package packettest

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestProblems: two commands of farmc, doctor first as the manual says, name the cause of each problem, and the place
// or the command that ends it.
func TestProblems(t *testing.T) {
	t.Parallel()
	program := farmc(t)
	for _, p := range append(machineProblems, farmProblems...) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if n := len(p.looks); n < 1 || n > 2 {
				t.Fatalf("%d commands", n)
			}
			p.play(t, program)
		})
	}
}

// one4 and one6 are a farm with one backend.
var (
	one4 = files{"web.toml": oneBackend("snat", listen4, "b1", 0)}
	one6 = files{"web.toml": oneBackend("snat", listen6, "b1", 0)}
)

// machineProblems are in the settings, links and rules of the machine.
var machineProblems = []problem{
	{name: "forwarding-off", files: one4, works: answered, looks: looksForClient,
		cause: steps{sysctls{"net.ipv4.ip_forward", "0"}},
		finds: []string{"this machine does not forward IPv4", "sysctl -w net.ipv4.ip_forward=1"}},
	{name: "forwarding-of-IPv6-off", files: one6, works: answered6, looks: looksForClient6,
		cause: steps{sysctls{"net.ipv6.conf.all.forwarding", "0"}},
		finds: []string{"this machine does not forward IPv6", "sysctl -w net.ipv6.conf.all.forwarding=1"}},
	{name: "strict-rp-filter", files: one4, works: answered, looks: looksForClient, before: steps{secondUplink},
		cause: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}},
		finds: []string{"eth9 drops packets of clients to which the route leads out of another interface (rp_filter)"}},
	{name: "forward-policy-drop", files: one4, works: answered, looks: looksForClient,
		cause: steps{nftScript(`table inet filter { chain forward {
			type filter hook forward priority filter; policy drop
			ct state established,related accept
		}; }`)},
		finds: []string{"chain forward of table inet filter drops the forwarded packets"}},
	{name: "foreign-dnat", files: one4, works: reaches{"192.0.2.1:80", "b1"}, looks: looksForClient,
		wrong: reaches{"192.0.2.1:80", "b3"},
		cause: steps{nftScript(`table inet before { chain pre {
			type nat hook prerouting priority -150; tcp dport 80 dnat ip to 10.2.0.13:80
		}; }`)},
		finds:     []string{"chain pre of table inet before sends the packets of clients elsewhere, before farmc does"},
		complaint: "192.0.2.1:80 shows the client " + complainer4 + " pages of another server, not those of b1"},
	{name: "notrack", files: one4, works: reaches{"192.0.2.1:80", "b1"}, looks: looksForClient,
		wrong: reaches{"192.0.2.1:80", "balancer"},
		cause: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority raw; tcp dport 80 notrack
		}; }`)},
		finds:     []string{"chain pre of table inet early takes the packets of clients from connection tracking"},
		complaint: ownPages},
	{name: "tentative-address", files: files{"web.toml": oneBackend("snat", `"[2001:db8:f::50]:80"`, "b1", 0)},
		before: steps{runs("ip address add 2001:db8:f::50/64 dev eth0 nodad")},
		works:  attempt{by: "tcp", to: "[2001:db8:f::50]:80", times: 1, pass: 1},
		looks:  looks{"doctor", "explain [2001:db8:f::50]:80 --from " + complainer6},
		cause: steps{sysctls{"net.ipv6.conf.eth0.accept_dad", "1"},
			sysctls{"net.ipv6.neigh.eth0.retrans_time_ms", "60000"},
			sysctls{"net.ipv6.conf.eth0.dad_transmits", "250"},
			runs("ip address delete 2001:db8:f::50/64 dev eth0; ip address add 2001:db8:f::50/64 dev eth0"),
			on{"client", "ip -6 neigh flush dev eth0"}},
		finds: []string{"2001:db8:f::50 on eth0 is tentative"}},
	{name: "address-gone", files: files{"web.toml": oneBackend("snat", `"203.0.113.50:80"`, "b1", 0)},
		before: steps{widerLink, runs("ip address add 203.0.113.50/32 dev eth0")},
		works:  attempt{by: "tcp", to: "203.0.113.50:80", times: 1, pass: 1},
		looks:  looks{"doctor", "explain 203.0.113.50:80 --from " + complainer4},
		cause:  steps{runs("ip address delete 203.0.113.50/32 dev eth0"), forgetNeighbours},
		finds:  []string{"no interface of this machine has 203.0.113.50"}},
	{name: "route-that-refuses", files: one4, works: answered, looks: looksForClient,
		cause: steps{runs("ip route add blackhole 10.2.0.11/32")},
		finds: []string{"backend b1: this machine has no route to 10.2.0.11"}},
	{name: "rule-for-routes", files: one4, works: answered, looks: looksForClient,
		cause: steps{runs("ip rule add pref 500 iif eth0 to 10.2.0.0/24 prohibit")},
		finds: []string{"a rule for routes (ip rule) refuses the packets of clients that come in at eth0"}},
	{name: "silent-backend", files: one4, works: answered, looks: looksForClient,
		cause: steps{on{"b1", "ip link set eth0 down"}, runs("ip neigh flush dev eth1"), runs(
			"echo > /dev/udp/10.2.0.11/9; until ip neigh show | grep -q '10.2.0.11.*FAILED'; do sleep 0.1; done")},
		finds: []string{"backend b1: 10.2.0.11 does not answer on the link of eth1"}},
	{name: "dsr-backend-answers-arp", lab: dsrTopologies[0].lab, looks: looks{"doctor", "status web"},
		before: steps{on{"client", "ip route replace 192.0.2.1/32 dev eth0"}},
		files: files{"web.toml": `
			mode       = "dsr"
			listen     = ["192.0.2.1:80"]
			interfaces = ["eth0"]
			[backends.b1]
			address   = "10.2.0.11"
			interface = "eth0"
			state     = "down"
			[backends.b2]
			address   = "10.2.0.12"
			interface = "eth0"
		`},
		works: askedAnew{"b2"}, wrong: eventually{askedAnew{"b1"}},
		cause:     steps{on{"b1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0"}},
		finds:     []string{"(backend b1) answers for the service's address 192.0.2.1"},
		complaint: "clients on the link get answers of b1 from 192.0.2.1:80, and b1 is in maintenance"},
	{name: "small-packets-on-a-link", lab: dsrTopologies[1].lab, looks: looks{"doctor", "status web"},
		files: files{"web.toml": directFarm},
		works: largePackets(true), wrong: largePackets(false),
		cause:     steps{setMTU{"balancer eth1 b1 eth0 b2 eth0", 1400}},
		finds:     []string{"eth1 takes at most 1400: larger ones are lost", "ip link set dev eth1 mtu 1500"},
		complaint: "web pages of 192.0.2.1:80: small requests are answered, large uploads hang"},
	{name: "no-IPv6-on-a-link", files: one6, works: answered6, looks: looksForClient6,
		cause: steps{sysctls{"net.ipv6.conf.eth0.disable_ipv6", "1"}},
		finds: []string{"IPv6 is disabled on eth0 (disable_ipv6=1)"}},
	{name: "port-of-a-program", works: reaches{"192.0.2.1:8123", "b1"}, wrong: reaches{"192.0.2.1:8123", "b1"},
		files: files{"web.toml": "take-over = false\n" + oneBackend("snat", `"192.0.2.1:8123"`, "b1", 80)},
		looks: looks{"doctor", "explain 192.0.2.1:8123 --from " + complainer4},
		cause: steps{stepFunc(func(s *testbed) error {
			_, err := s.Balancer.Serve(8123)
			return err
		})},
		finds:     []string{"and the farm takes its connections"},
		complaint: "our own program on the balancer, 192.0.2.1:8123, has no clients any more"},
	{name: "rules-flushed", files: one4, works: reaches{"192.0.2.1:80", "b1"}, looks: looksForClient,
		wrong: reaches{"192.0.2.1:80", "balancer"}, cause: steps{nftScript("flush ruleset")},
		finds: []string{"the kernel holds no farms", "hint: farmc apply",
			"  stopped    the kernel holds no farms"},
		complaint: ownPages},
}

// twoBackends is a farm of b1 and b2.
func twoBackends(more string) string {
	return "mode = 'snat'\nlisten = ['192.0.2.1:80']\n" + more +
		"\n[backends]\nb1.address = '10.2.0.11'\nb2.address = '10.2.0.12'\n"
}

// takesOut are drop-ins that set a key of backend b1.
func takesOut(key, value string) files {
	return files{"web.toml.d/night.toml": "# maintenance\nbackends.b1." + key + " = " + value + "\n"}
}

// farmProblems are in the files of farms, and in the memory of the kernel.
var farmProblems = []problem{
	{name: "denied-by-a-list", looks: looksForClient, works: answered,
		files: files{"web.toml": oneBackend("snat", listen4, "b1", 0, `access.deny = ["@bad"]`),
			"bad.list": "# published on Monday\n203.0.113.0/24\n"},
		cause: steps{edits(files{"bad.list": "# published on Tuesday\n203.0.113.0/24\n198.51.100.96/27\n"})},
		finds: []string{"access denies the client: @bad", "farms.d/bad.list:3"}},
	{name: "banned", looks: looksForClient, works: answered,
		files: files{"web.toml": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 3 }`,
			`ban = "1h"`)},
		cause: steps{attempt{by: "tcp", to: "192.0.2.1:80", times: 4, pass: 2}},
		finds: []string{"the client is banned, for", "farmc unban web " + complainer4}},
	{name: "limit-reached", looks: looksForClient, works: attempt{by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1},
		files: files{"web.toml": oneBackend("snat", listen4, "b1", 0) + "[limits]\nconnections = 2\n"},
		cause: steps{attempt{as: 1, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true},
			attempt{as: 2, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true}},
		finds: []string{"limit connections: 2 open, at most 2"}},
	{name: "backends-full", looks: looksForClient, works: attempt{by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1},
		files: files{"web.toml": oneBackend("snat", listen4, "b1", 0) + "connections = 2\n"},
		cause: steps{attempt{as: 1, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true},
			attempt{as: 2, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true}},
		finds: []string{"each backend that takes new clients has as many connections as it may",
			"b1: 2 open connections, at most 2, "}},
	{name: "denied-by-a-farm-that-is-down", looks: looksForClient, works: answered,
		files: files{"web.toml": oneBackend("snat", `"192.0.2.1:1-1000"`, "b1", 0)},
		cause: steps{edits(files{"old.toml": oneBackend("snat", `"192.0.2.1:80"`, "b1", 0, `state = "down"`,
			`access.deny = ["198.51.100.96/27"]`)})},
		finds: []string{"access of farm old, which is down, denies the client: 198.51.100.96/27",
			"down       old, 192.0.2.1:80"}},
	{name: "all-backends-down", looks: looksForClient, works: answered, files: one4,
		cause: steps{edits(takesOut("state", "'down'"))},
		finds: []string{"no backend takes new clients of IPv4: see idle",
			"warning: no backend takes new clients of IPv4: b1: state down", "hint: farmc status web",
			"farms.d/web.toml.d/night.toml:2"}},
	{name: "unhealthy-backend", looks: looks{"status web", "doctor"}, files: files{"web.toml": twoBackends("")},
		works: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer",
			times: 40},
		wrong:     request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b2:80": 1}, sees: "balancer", times: 40},
		cause:     steps{onHost(checkerSaysDown)},
		finds:     []string{"b1: unhealthy by probe: connection refused"},
		complaint: allToB2},
	{name: "backend-without-weight", looks: looksForClient, files: files{"web.toml": twoBackends("")},
		works: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer",
			times: 40},
		wrong:     request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b2:80": 1}, sees: "balancer", times: 40},
		cause:     steps{edits(takesOut("weight-percent", "0"))},
		finds:     []string{"b1: weight-percent 0", "farms.d/web.toml.d/night.toml:2"},
		complaint: allToB2},
	{name: "static-session-of-a-backend-that-is-down", looks: looksForClient,
		files: files{"web.toml": twoBackends("persistence.static = { '" + complainer4 + "' = 'b1' }")},
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "b2"},
		cause:     steps{edits(takesOut("state", "'down'"))},
		finds:     []string{"its static session is with b1, which takes no clients"},
		complaint: "the client " + complainer4 + " should always reach b1 by 192.0.2.1:80, and reaches b2"},
	{name: "remembered-by-a-drained-backend", looks: looksForClient,
		files: files{"web.toml": oneBackend("snat", listen4, "b1", 0, "persistence.timeout = '1h'")},
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "b1"},
		cause: steps{onHost(func(h *host) error {
			return errors.Join(h.write(files{"web.toml": twoBackends("persistence.timeout = '1h'")}),
				edits(takesOut("state", "'drain'"))(h))
		})},
		finds:     []string{"state drain", "farms.d/web.toml.d/night.toml:2"},
		complaint: "b1 is in maintenance, and the client " + complainer4 + " still reaches it by 192.0.2.1:80"},
	{name: "more-specific-farm", looks: looksForClient,
		files: files{"web.toml": oneBackend("snat", `"192.0.2.1/all"`, "b1", 0)},
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "b2"},
		cause:     steps{edits(files{"other.toml": oneBackend("snat", listen4, "b2", 0)})},
		finds:     []string{"farm       other, mode snat", "precedes   web, 192.0.2.1/all"},
		complaint: "the client " + complainer4 + " reaches b2 by 192.0.2.1:80: the service web is on b1"},
	{name: "wrong-interface", files: one4, looks: looksForClient,
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "balancer"},
		cause:     steps{edits(files{"web.toml": oneBackend("snat", listen4, "b1", 0, `interfaces = ["eth1"]`)})},
		finds:     []string{"the route to the client leads out of eth0, and the farm takes packets on eth1 alone"},
		complaint: ownPages},
	{name: "file-with-a-fault", files: one4, looks: looksForClient,
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "b1"},
		cause:     steps{writes(files{"web.toml": oneBackend("snat", listen4, "b2", 0, `schedular = "hash"`)})},
		finds:     []string{`unknown key "schedular"`, "the files have faults: they cannot be loaded"},
		complaint: stillB1},
	{name: "change-that-is-not-applied", files: one4, looks: looksForClient,
		works: reaches{"192.0.2.1:80", "b1"}, wrong: reaches{"192.0.2.1:80", "b1"},
		cause:     steps{writes(files{"web.toml": oneBackend("snat", listen4, "b2", 0)})},
		finds:     []string{"the files have 2 changes that are not applied: web: backend b1 gone", "hint: farmc apply"},
		complaint: stillB1},
}

// checkerSaysDown has a health checker tell farmc watch that b1 is unhealthy.
func checkerSaysDown(h *host) error {
	socket := filepath.Join(h.root, "api.sock")
	w := startFarmc(h.t, h.testbed, h.program, "watch", "--dir", filepath.Join(h.root, "farms.d"), "--dir",
		filepath.Join(h.root, "run"), "--state-dir", filepath.Join(h.root, "state"), "--api", "unix:"+socket)
	h.t.Cleanup(func() { w.stop() })
	return eventually{stepFunc(func(*testbed) error {
		return put(socket, "/v1/farms/web/backends/b1/health",
			`{"by": "probe", "healthy": false, "reason": "connection refused"}`)
	})}.do(h.testbed)
}

// askedAnew is a request of a client that has just asked by ARP for the service.
type askedAnew struct{ backend string }

func (a askedAnew) do(s *testbed) error {
	return steps{on{"client", "ip neigh flush dev eth0"}, stepFunc(func(s *testbed) error {
		answer, err := s.Client.Ask("tcp4", s.Client.IP4[0], s.targets("", "tcp", "192.0.2.1:80")[0].to, time.Second)
		if err == nil && answer.Backend != a.backend {
			err = errors.New(answer.Backend + " answers, want " + a.backend)
		}
		return err
	})}.do(s)
}

// largePackets reports an error unless large packets pass, or unless they do not.
func largePackets(pass bool) step {
	return stepFunc(func(s *testbed) error {
		within := map[bool]time.Duration{true: answerTimeout, false: 300 * time.Millisecond}[pass]
		if got := s.largePasses(within); got != pass {
			return fmt.Errorf("large packets pass: %t, want %t", got, pass)
		}
		return nil
	})
}

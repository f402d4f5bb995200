package packettest

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// A finding puts the balancer into a state that keeps the farm from working. Its remedy ends that state.
type findingCase struct {
	name   string
	farm   string // text of the only farm
	lab    netlab.Options
	setUp  steps  // before the state; the farm works
	broken steps  // the state
	served step   // holds once the remedy has run
	kind   string // of the only finding
	says   string // part of its message or hint
	needs  string // a program
	tool   string // begin of each command of the remedy
	cure   steps  // the remedy, if the hint has it in words
	after  steps  // behind the remedy
	passes bool   // packets pass in spite of the finding
	before bool   // the state comes before the load
}

var (
	asksSNAT = request{by: "tcp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer", times: 1}
	asksDNAT = request{by: "tcp", to: service1, shares: shares{"b1:80": 1}, times: 1}
)

var findingCases = []findingCase{
	{name: "policy-drop", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "chain forward of table inet filter drops the forwarded packets (farm web)",
		broken: steps{nftScript(`table inet filter { chain forward {
			type filter hook forward priority filter; policy drop
			ct state established,related accept
		}; }`)}},
	{name: "reject-at-the-end", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "chain forward of table inet filter drops",
		broken: steps{nftScript(`table inet filter { chain forward {
			type filter hook forward priority filter; policy accept
			ct state vmap { established : accept, related : accept }
			iifname "eth7" accept
			reject with icmpx admin-prohibited
		}; }`)}},
	{name: "drop-behind-a-jump", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "by its chain last, drops the forwarded packets",
		broken: steps{nftScript(`table inet mine {
			chain last { ct state { established, related } accept; counter drop; }
			chain zones { iifname "eth0" goto last; }
			chain forward { type filter hook forward priority 10; policy accept; jump zones; accept; }
		}`)}},
	{name: "answers-dropped", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the answers of the backends",
		broken: steps{nftScript(`table inet mine {
			chain forward { type filter hook forward priority 0; policy drop; oifname "eth1" accept; }
		}`)}},
	{name: "firewalld-and-stateless", farm: oneBackend("stateless", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "ct state untracked accept",
		broken: steps{nftScript(`table inet fw { chain filter_FORWARD {
			type filter hook forward priority filter + 10; policy accept
			ct state { established, related } accept
			ct status dnat accept
			iifname "lo" accept
			reject with icmpx admin-prohibited
		}; }`)}},
	{name: "input-of-a-local-backend", farm: localBackend, kind: "drop",
		served: request{by: "tcp", to: service1, shares: shares{"balancer:8081": 1}, times: 1},
		says:   "drops the packets to a backend on this machine",
		broken: steps{nftScript(`table inet filter { chain input {
			type filter hook input priority filter; policy drop
			ct state established,related accept
			meta l4proto { icmp, ipv6-icmp } accept
			tcp dport { 22, 443 } accept
		}; }`)}},
	{name: "prerouting-drop", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority -310; policy accept
			tcp dport { 80, 81 } drop
		}; }`)}},
	{name: "ingress-drop", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev early { chain in {
			type filter hook ingress devices = { eth0 } priority -10; policy accept
			tcp dport 80 drop
		}; }`)}},
	{name: "answers-of-requests-at-ingress", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "drops the answers of the backends",
		broken: steps{nftScript(`table inet filter { chain forward {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
		}; }`)}},
	{name: "foreign-dnat-before", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "destination-nat",
		says: "sends the packets of clients elsewhere, before farmc does",
		broken: steps{nftScript(`table inet before {
			chain services { iifname != "br0" tcp dport 80 dnat ip to 10.2.0.13:80
				iifname != "br0" tcp dport 80 dnat ip6 to [fd00:2::13]:80; }
			chain pre { type nat hook prerouting priority -150; fib daddr type local jump services; }
		}`)}},
	{name: "notrack", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "notrack",
		says: "takes the packets of clients from connection tracking",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority raw; policy accept
			tcp dport 80 notrack
		}; }`)}},
	{name: "masquerade", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "source-nat",
		says: "gives the packets to the backends another source address",
		broken: steps{nftScript(`table inet nat { chain post {
			type nat hook postrouting priority srcnat; oifname "eth1" masquerade
		}; }`)}},
	{name: "no-forwarding", farm: oneBackend("snat", `"192.0.2.1:80"`, "b1", 0), kind: "forwarding",
		served: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "this machine does not forward IPv4, so no packet reaches a backend (farm web)",
		broken: steps{sysctls{"net.ipv4.ip_forward", "0"}}},
	{name: "no-forwarding-ip6", farm: oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0), kind: "forwarding",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "this machine does not forward IPv6",
		broken: steps{sysctls{"net.ipv6.conf.all.forwarding", "0"}}},
	{name: "no-forwarding-of-a-link", farm: oneBackend("snat", `"192.0.2.1:80"`, "b1", 0), kind: "link-forwarding",
		served: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "interface eth0 does not forward the IPv4 packets",
		broken: steps{sysctls{"net.ipv4.conf.eth0.forwarding", "0"}}},
	{name: "forwarding-of-one-link-of-two", farm: oneBackend("dnat", `"192.0.2.1:80"`, "b1", 0),
		kind: "link-forwarding", served: asksDNAT4, says: "interface eth1 does not forward the IPv4 packets",
		broken: steps{sysctls{"net.ipv4.ip_forward", "0"}, sysctls{"net.ipv4.conf.eth0.forwarding", "1"}}},
	{name: "no-route-from-loopback", farm: oneBackend("snat", `"127.0.0.1:80"`, "b1", 0), kind: "loopback",
		served: request{from: "balancer", by: "tcp", to: "127.0.0.1:80", shares: shares{"b1:80": 1}, sees: "balancer",
			times: 1},
		setUp:  steps{sysctls{"net.ipv4.conf.all.route_localnet", "1"}},
		says:   "interface eth1 sends no connections to 127.0.0.1 on to backends (farm web)",
		broken: steps{sysctls{"net.ipv4.conf.all.route_localnet", "0"}}},
	{name: "address-nowhere", farm: oneBackend("snat", `"192.0.2.1:80"`, "b1", 0), kind: "address", passes: true,
		served: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "not an address of this machine: 192.0.2.1",
		broken: steps{runs("ip address del 192.0.2.1/32 dev lo")}},
	{name: "synproxy-nowhere", farm: oneBackend("snat", `"192.0.2.1:80"`, "b1", 0) + withSynproxy, kind: "synproxy",
		served: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "192.0.2.1/32 is not of this machine, so no SYN to it is answered", passes: true,
		broken: steps{runs("ip address del 192.0.2.1/32 dev lo")}},
	{name: "network-nowhere", farm: oneBackend("snat", `"192.0.2.32/28:80"`, "b1", 0), kind: "address", passes: true,
		served: request{by: "tcp", to: "192.0.2.33:80 192.0.2.47:80", shares: shares{"b1:80": 1}, sees: "balancer",
			times: 1},
		setUp:  steps{runs("ip route add local 192.0.2.32/28 dev lo")},
		says:   "this machine does not have all addresses of 192.0.2.32/28; packets arrive only if a router sends them",
		broken: steps{runs("ip route del local 192.0.2.32/28 dev lo; ip route add local 192.0.2.32/29 dev lo")}},
	{name: "input-of-a-network", kind: "drop", farm: `
		mode   = "local"
		listen = ["192.0.2.0/29:80"]`,
		served: request{by: "tcp", to: "192.0.2.1:80 192.0.2.7:80", shares: shares{"balancer:80": 1}, times: 1},
		setUp:  steps{runs("ip route add local 192.0.2.0/29 dev lo")},
		says:   "drops the packets to a backend on this machine",
		broken: steps{nftScript(`table inet filter { chain input {
			type filter hook input priority filter; policy drop
			ct state established,related accept
			meta l4proto { icmp, ipv6-icmp } accept
			tcp dport { 22, 443 } accept
		}; }`)}},
	{name: "tentative-address", farm: oneBackend("snat", `"[fd00:2::77]:80"`, "b1", 0), kind: "duplicate", passes: true,
		served: nothingAsked,
		says:   "fd00:2::77 on eth1 is tentative",
		broken: steps{sysctls{"net.ipv6.conf.eth1.accept_dad", "1"}, sysctls{"net.ipv6.conf.eth1.dad_transmits",
			"1000"},
			runs("ip address add fd00:2::77/64 dev eth1")}},
	{name: "interface-down", farm: oneBackend("snat", `"192.0.2.1:80"`, "b1", 0, `interfaces = ["eth7"]`),
		kind: "interface", passes: true,
		served: nothingAsked, before: true,
		says:   "interfaces: eth7 is down",
		broken: steps{runs("ip link add eth7 type veth peer name eth8")}},
}

// statelessAtIngress takes frames at the interface of the clients.
const statelessAtIngress = `
	mode       = "stateless"
	listen     = ["192.0.2.1:80/tcp", "[2001:db8::1]:80/tcp"]
	interfaces = ["eth0"]
	[backends.b1]
	address   = ["10.2.0.11", "fd00:2::11"]
	interface = "eth1"
`

// nothingAsked is for a state that one namespace alone can show.
var nothingAsked = stepFunc(func(*testbed) error { return nil })

// sysctls sets a kernel parameter of the balancer.
type sysctls struct{ name, value string }

func (c sysctls) do(s *testbed) error { return s.Balancer.Sysctl(c.name, c.value) }

// runs is a command of the shell on the balancer.
type runs string

func (c runs) do(s *testbed) error {
	_, err := s.Balancer.Run(s.ctx, "", "bash", "-c", string(c))
	return err
}

// found returns the findings of the farms that were loaded last.
func (s *testbed) found() (found preflight.Findings, err error) {
	err = s.Balancer.Do(func() error {
		farms, err := s.engine.LoadedFarms()
		found = s.engine.Findings(s.ctx, farms).Without(preflight.Notes)
		return err
	})
	return found, err
}

// A state of the machine is a finding, and stops packets. The printed remedy lets them pass, and ends the finding.
func TestFindings(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(findingCases, findingRuleCases, findingFrameCases, findingMachineCases,
		findingKernelCases, findingTableCases, findingLoopbackCases,
		findingDSRHereCases, findingIngressCases, findingMarkCases) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(t)
		})
	}
}

func (c findingCase) play(t *testing.T) {
	switch {
	case c.kind == "tc":
		needsFilters(t)
	case c.needs != "":
		needs(t, c.needs)
	}
	s := newTestbed(t, c.lab)
	s.engine.Store = statedir.NewStore(t.TempDir())
	must(t, c.setUp.do(s))
	if c.before {
		must(t, c.broken.do(s))
	}
	must(t, farms{"web": c.farm}.do(s))
	if !c.before {
		must(t, c.served.do(s))
		if found, err := s.found(); len(found) > 0 && c.kind != "duplicate" || err != nil {
			t.Fatalf("found %v before, %v", found, err)
		}
		must(t, c.broken.do(s))
	}
	found, err := s.found()
	if err != nil || len(found) != 1 || found[0].Kind != c.kind ||
		!strings.Contains(found[0].Text()+found[0].Hint(), c.says) {
		t.Fatalf("found %v, %v", found.Diagnostics(), err)
	}
	if !c.passes && c.connects(s) && c.served.do(s) == nil {
		t.Error("packets pass in spite of the state")
	}
	t.Log(found[0].Text(), "|", found[0].Hint())
	if (c.cure != nil) == (len(found[0].Commands) > 0) {
		t.Errorf("the hint is %q", found[0].Hint())
	}
	if c.cure == nil {
		c.cure = steps{runs(found[0].Hint())} // the comment is of the shell
	}
	must(t, c.cure.do(s))
	must(t, c.after.do(s))
	must(t, whileUnreachable{c.served}.do(s))
	if found, err := s.found(); len(found) > 0 || err != nil {
		t.Errorf("found %+v after the remedy, %v", found, err)
	}
}

// whileUnreachable repeats a step while the kernel has given up a neighbour: it did so because of requests before the
// remedy, and asks anew for later packets.
type whileUnreachable struct{ step }

func (w whileUnreachable) do(s *testbed) error {
	for end := deadline(); ; {
		if err := w.step.do(s); !errors.Is(err, syscall.EHOSTUNREACH) || end.over() {
			return err
		}
	}
}

// connects reports whether a client gets a connection within a time in which a healthy testbed gives hundreds.
func (c findingCase) connects(s *testbed) bool {
	network, to, from := "tcp4", netip.MustParseAddrPort("192.0.2.1:80"), s.Client
	if r, ok := c.served.(request); ok {
		to = netip.MustParseAddrPort(strings.Fields(r.to)[0])
		if r.from != "" {
			from = s.machine(r.from)
		}
	}
	if to.Addr().Is6() {
		network = "tcp6"
	}
	conn, err := from.Dial(network, s.newClient(from, to.Addr()), to, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// quietRules let packets of the farms pass, or are for other packets.
var quietRules = map[string]struct {
	not   string // kind of the finding that is not there
	farm  string
	rules string
	ask   request
}{
	"named-interfaces": {"drop", oneBackend("dnat", listen1, "b1", 0), `table inet filter { chain forward {
		type filter hook forward priority 0; policy drop
		ct state established,related accept
		iifname "eth0" oifname "eth1" accept
	}; }`, asksDNAT},
	"named-backend": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet filter { chain forward {
		type filter hook forward priority 0; policy drop
		ct state established,related accept
		ip daddr 10.2.0.0/24 tcp dport { 80, 443 } accept
		ip6 daddr fd00:2::/64 tcp dport 1-1000 accept
	}; }`, asksSNAT},
	"clients-by-a-set": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet filter {
		set known { type ipv4_addr; flags interval; elements = { 198.51.100.0/24 }; }
		chain forward {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
			ip saddr @known accept
			ip6 saddr 2001:db8:c::/48 accept
		}
	}`, asksSNAT},
	"backends-by-named-sets": {"drop", oneBackend("snat", listen4, "b1", 0), `table inet filter {
		set known { type ipv4_addr; flags interval; elements = { 10.2.0.0/24 }; }
		set ports { type inet_service; elements = { 22, 80 }; }
		chain forward {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
			ip daddr @known tcp dport @ports accept
		}
	}`, asksSNAT4},
	"clients-by-a-set-with-timeouts": {"drop", oneBackend("snat", listen4, "b1", 0), `table inet filter {
		set known { type ipv4_addr; flags interval, timeout; elements = { 198.51.100.0/24 timeout 1h }; }
		chain forward {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
			ip saddr @known accept
		}
	}`, asksSNAT4},
	"clients-by-a-map": {"drop", oneBackend("snat", listen4, "b1", 0), `table inet filter {
		chain forward {
			type filter hook forward priority 0; policy drop
			ct state established,related accept
			ip saddr vmap { 10.9.0.0/16 : drop, 198.51.100.0/24 : accept }
		}
	}`, asksSNAT4},
	"banned-clients": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet filter {
		set banned { type ipv4_addr; elements = { 203.0.113.99 }; }
		chain pre { type filter hook prerouting priority -310; ip saddr @banned drop; }
		chain forward { type filter hook forward priority 0; ip saddr @banned drop; ct state invalid drop
			tcp dport 22 drop; }
	}`, asksSNAT},
	"firewalld": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet fw { chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept
		ct state { established, related } accept
		ct status dnat accept
		reject with icmpx admin-prohibited
	}; }`, asksSNAT},
	"workstation": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet filter3 {
		chain input { type filter hook input priority 0; policy drop
			ct state invalid drop
			ct state { established, related } accept
			iif lo accept
			ip6 nexthdr icmpv6 icmpv6 type { nd-neighbor-solicit, nd-router-advert, nd-neighbor-advert } accept
			tcp dport 22 accept
		}
		chain output { type filter hook output priority 0; policy drop; ct state { established, related } accept
			meta l4proto { icmp, ipv6-icmp } accept; }
		chain post { type filter hook postrouting priority 0; policy accept; tcp dport 25 drop; }
	}`, asksSNAT},
	"neighbour-discovery-of-others": {"drop", oneBackend("snat", listen6, "b1", 0), `table inet filter2 {
		chain in { type filter hook input priority 0; iifname "eth7" meta l4proto ipv6-icmp drop
			icmpv6 type nd-redirect drop; }
		chain out { type filter hook output priority 0; policy drop; ct state established accept
			oifname "eth7" meta l4proto ipv6-icmp drop
			icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }
	}`, asksSNAT6},
	"dormant-table": {"drop", oneBackend("snat", listen1, "b1", 0), `table inet filter4 { flags dormant; chain forward {
		type filter hook forward priority 0; policy drop
	}; }`, asksSNAT},
	"named-quota-and-limit": {"drop", oneBackend("dnat", listen1, "b1", 0), `table inet filter4 {
		quota of-a-day { over 10000 mbytes
		}
		limit fast { rate over 1000 mbytes/second
		}
		chain forward { type filter hook forward priority 0; quota name "of-a-day" drop; limit name "fast" drop; }
	}`, asksDNAT},
	"requests-at-ingress": {"drop", statelessAtIngress, `table inet filter { chain forward {
		type filter hook forward priority 0; policy accept
		iifname "eth0" drop
	}; }`, asksDNAT},
	"docker": {"destination-nat", oneBackend("dnat", listen1, "b1", 0), `table ip nat {
		chain DOCKER { iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80; }
		chain PREROUTING { type nat hook prerouting priority -100; fib daddr type local jump DOCKER; }
		chain POSTROUTING { type nat hook postrouting priority 100; 
			ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
	}`, asksDNAT},
}

// Rules that let packets of the farms pass, and rules for other packets, are no finding.
func TestNoFindings(t *testing.T) {
	t.Parallel()
	for name, c := range quietRules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestbed(t, netlab.Options{})
			s.engine.Store = statedir.NewStore(t.TempDir())
			must(t, nftScript(c.rules).do(s))
			must(t, farms{"web": c.farm}.do(s))
			must(t, c.ask.do(s))
			if found, err := s.found(); len(found) > 0 || err != nil {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// Rules of real programs are found, and the remedies use their tools. Docker's rules are those of its documentation.
// Programs that this machine lacks skip their case.
func TestFindingsOfIptables(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string // of the shell, with iptables-nft as iptables
		hint   string
		says   string
	}{
		"policy": {"iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"iptables -t filter -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
			"chain FORWARD of table ip filter drops"},
		"reject-at-the-end": {"iptables -A FORWARD -p tcp --dport 22 -j ACCEPT; iptables -A FORWARD -j REJECT",
			"iptables -t filter -I FORWARD ", "chain FORWARD of table ip filter drops"},
		"docker": {dockerRules, "iptables -I DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT",
			"chain FORWARD of table ip filter drops the forwarded packets (farm web)"},
		"docker-drops-behind-a-jump": {dockerRules + "; iptables -P FORWARD ACCEPT; iptables -A DOCKER-FORWARD -j DROP",
			"iptables -I DOCKER-USER ", "by its chain DOCKER-FORWARD, drops the forwarded packets"},
		"ufw": {"iptables -P FORWARD DROP; iptables -N ufw-before-forward; iptables -N ufw-user-forward; " +
			"iptables -A FORWARD -j ufw-before-forward; iptables -A ufw-before-forward -j ufw-user-forward; " +
			"iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"ufw route allow proto tcp to 10.2.0.11 port 80", "chain FORWARD of table ip filter drops"},
		"raw-notrack": {"iptables -t raw -A PREROUTING -p tcp --dport 80 -j CT --notrack",
			"iptables -t raw -I PREROUTING -d 192.0.2.1 -p tcp --dport 80 -j ACCEPT",
			"takes the packets of clients from connection tracking"},
		// Docker's rules come after farmc's chain, also if they are loaded later.
		"dnat": {"iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; " +
			"iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.2.0.13:80",
			"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testIptables(t, c.script, c.hint, c.says)
		})
	}
}

// dockerRules are the filter rules of Docker 28 with its default network.
const dockerRules = `iptables -P FORWARD DROP
	for c in DOCKER-USER DOCKER-FORWARD DOCKER-CT DOCKER-BRIDGE DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2
	do iptables -N $c; done
	iptables -A FORWARD -j DOCKER-USER
	iptables -A FORWARD -j DOCKER-FORWARD
	iptables -A DOCKER-FORWARD -j DOCKER-CT
	iptables -A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
	iptables -A DOCKER-FORWARD -j DOCKER-BRIDGE
	iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT
	iptables -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	iptables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
	iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
	iptables -A DOCKER-BRIDGE -o docker0 -j DOCKER
	iptables -A DOCKER ! -i docker0 -o docker0 -j DROP`

// testIptables runs a script on the balancer of a farm for IPv4, checks the finding, and runs its remedy. A remedy with
// ufw is run as the rule that ufw would add.
func testIptables(t *testing.T, script, hint, says string) {
	needs(t, "iptables-nft")
	program, err := exec.LookPath("iptables-nft")
	must(t, err)
	bin := t.TempDir()
	must(t, os.Symlink(program, filepath.Join(bin, "iptables")))
	ufw := "#!/bin/sh\nexec iptables -A ufw-user-forward -p tcp -d $6 --dport $8 -j ACCEPT\n"
	must(t, os.WriteFile(filepath.Join(bin, "ufw"), []byte(ufw), 0o755))
	run := func(s *testbed, commands string) error {
		return runs("PATH=" + bin + ":$PATH; set -e; " + commands).do(s)
	}

	s := newTestbed(t, netlab.Options{})
	s.engine.Store = statedir.NewStore(t.TempDir())
	farm := oneBackend("snat", `"192.0.2.1:80"`, "b1", 0)
	serves := request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1}
	must(t, farms{"web": farm}.do(s))
	must(t, run(s, script))
	found, err := s.found()
	if says == "" {
		must(t, serves.do(s))
		if len(found) > 0 || err != nil {
			t.Errorf("found %+v, %v", found, err)
		}
		return
	}
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Text(), says) || !strings.HasPrefix(found[0].Hint(),
		hint) {
		t.Fatalf("found %+v, %v", found, err)
	}
	if (findingCase{served: serves}).connects(s) && serves.do(s) == nil {
		t.Error("packets pass in spite of the finding")
	}
	must(t, run(s, found[0].Hint()))
	must(t, serves.do(s))
	if found, err := s.found(); len(found) > 0 || err != nil {
		t.Errorf("found %+v after the remedy, %v", found, err)
	}
}

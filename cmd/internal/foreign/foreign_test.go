package foreign

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// request is a SYN to 192.0.2.1:80, forwarded to 10.2.0.11:8080.
var request = Packet{Family: unix.NFPROTO_IPV4, In: "eth0", Out: "eth1", Destination: netip.MustParseAddr("10.2.0.11"),
	Protocol: unix.IPPROTO_TCP, DestinationPort: 8080, State: New, Translated: true,
	Asked: netip.MustParseAddrPort("192.0.2.1:80")}

// read loads a ruleset into a namespace, and reads it back.
func read(t *testing.T, lab *netlab.Lab, script string) (r *Ruleset) {
	t.Helper()
	if _, err := lab.Balancer.Run(t.Context(), "flush ruleset\n"+script+"\n", "nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	err := lab.Balancer.Do(func() (err error) {
		r, err = Read(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// result evaluates the only base chain for the request.
func result(t *testing.T, lab *netlab.Lab, script string, p Packet) (out Result) {
	t.Helper()
	r := read(t, lab, script)
	if len(r.Chains) != 1 {
		t.Fatalf("%d base chains", len(r.Chains))
	}
	if err := lab.Balancer.Do(func() error {
		out = r.Evaluate(t.Context(), r.Chains[0], p)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// The outcome of rules for the request. "may" is a match that depends on things that are not known.
func TestVerdicts(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	const may = "ip saddr 198.51.100.1"
	for _, c := range []struct {
		name      string
		policy    string
		rules     string // of the base chain
		verdict   Kind
		chain     string // that decided
		undecided bool
	}{
		{name: "policy-accept", policy: "accept", verdict: Accept, chain: "base"},
		{name: "policy-drop", policy: "drop", verdict: Drop, chain: "base"},
		{name: "no-match", policy: "accept", rules: "tcp dport 81 drop", verdict: Accept, chain: "base"},
		{name: "first-verdict", policy: "drop", rules: "tcp dport 8080 accept; drop", verdict: Accept, chain: "base"},
		{name: "last-verdict", policy: "accept", rules: "tcp dport 22 accept; reject", verdict: Drop, chain: "base"},
		{name: "counter-goes-on", policy: "drop", rules: `counter log prefix "a" accept`, verdict: Accept,
			chain: "base"},
		{name: "jump", policy: "accept", rules: "jump drops", verdict: Drop, chain: "drops"},
		{name: "jump-and-return", policy: "drop", rules: "jump returns; accept", verdict: Accept, chain: "base"},
		{name: "jump-to-the-end", policy: "drop", rules: "jump empty; accept", verdict: Accept, chain: "base"},
		{name: "goto", policy: "accept", rules: "goto drops", verdict: Drop, chain: "drops"},
		{name: "goto-and-return", policy: "drop", rules: "goto returns; accept", verdict: Drop, chain: "base"},
		{name: "goto-to-the-end", policy: "drop", rules: "goto empty; accept", verdict: Drop, chain: "base"},
		{name: "goto-in-a-jump", policy: "drop", rules: "jump leaves; accept", verdict: Accept, chain: "base"},
		{name: "return-of-the-base-chain", policy: "drop", rules: "return; accept", verdict: Drop, chain: "base"},
		{name: "nested", policy: "accept", rules: "jump outer", verdict: Drop, chain: "drops"},
		{name: "may-accept", policy: "drop", rules: may + " accept", verdict: Drop, chain: "base", undecided: true},
		{name: "may-drop", policy: "accept", rules: may + " drop", verdict: Accept, chain: "base"},
		{name: "may-drop-then-drop", policy: "accept", rules: may + " drop; drop", verdict: Drop, chain: "base"},
		{name: "may-accept-behind-a-drop", policy: "accept", rules: "drop; " + may + " accept", verdict: Drop,
			chain: "base"},
		{name: "may-jump-to-accept", policy: "drop", rules: may + " jump accepts", verdict: Drop, chain: "base",
			undecided: true},
		{name: "may-jump-to-drop", policy: "accept", rules: may + " jump drops", verdict: Accept, chain: "base"},
		{name: "may-return-before-a-drop", policy: "accept", rules: "jump some", verdict: Accept, chain: "base"},
		{name: "may-return-to-a-drop", policy: "accept", rules: "jump some; drop", verdict: Drop, chain: "base"},
		{name: "may-return-before-accept", policy: "drop", rules: "jump most", verdict: Accept, undecided: true},
		{name: "may-goto-before-a-drop", policy: "accept", rules: "jump away", verdict: Accept, chain: "base"},
		{name: "may-return-of-the-base-chain", policy: "accept", rules: may + " return; drop", verdict: Accept,
			chain: "base"},
		{name: "vmap", policy: "accept", rules: "tcp dport vmap { 22 : accept, 8080 : jump drops }", verdict: Drop,
			chain: "drops"},
		{name: "vmap-without-the-key", policy: "drop", rules: "tcp dport vmap { 22 : accept }; accept", verdict: Accept,
			chain: "base"},
		{name: "vmap-with-a-rest", policy: "accept", rules: "tcp dport vmap { 22 : accept, * : drop }", verdict: Drop,
			chain: "base"},
		{name: "vmap-before-its-rest", policy: "accept", rules: "tcp dport vmap { 8080 : accept, * : drop }",
			verdict: Accept, chain: "base"},
		{name: "vmap-with-an-unknown-key", policy: "accept", rules: "tcp sport vmap { 22 : drop }", verdict: Accept,
			chain: "base"},
		{name: "vmap-that-may-accept", policy: "drop", rules: "tcp sport vmap { 22 : drop, 23 : accept }",
			verdict: Drop, chain: "base", undecided: true},
		{name: "vmap-of-ranges-that-may-accept", policy: "drop", rules: "tcp sport vmap { 1-22 : jump accepts }",
			verdict: Drop, chain: "base", undecided: true},
		{name: "vmap-with-a-rest-that-may-accept", policy: "drop", rules: "tcp sport vmap { 22 : drop, * : accept }",
			verdict: Drop, chain: "base", undecided: true},
		{name: "vmap-that-may-return", policy: "accept", rules: "jump ports; drop", verdict: Drop, chain: "base"},
		{name: "vmap-that-cannot-accept", policy: "drop",
			rules:   "ip saddr . tcp dport vmap { 198.51.100.1 . 22 : accept, 198.51.100.1 . 8080 : jump drops }",
			verdict: Drop, chain: "base"},
		{name: "named-vmap", policy: "accept", rules: "oifname vmap @bridges", verdict: Drop, chain: "drops"},
		{name: "named-vmap-without-the-key", policy: "accept", rules: "iifname vmap @bridges", verdict: Accept,
			chain: "base"},
		{name: "named-vmap-of-fields", policy: "accept", rules: "ip daddr . meta l4proto . th dport vmap @services",
			verdict: Drop, chain: "drops"},
		{name: "state-vmap", policy: "accept", rules: "ct state vmap { established : accept, new : drop }",
			verdict: Drop,
			chain:   "base"},
		{name: "jumps-without-an-end", policy: "accept", rules: "jump c1", verdict: Accept, chain: "base"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := result(t, lab, `table inet t {
				map bridges { type ifname : verdict; elements = { "br0" : accept, "eth1" : jump drops }; }
				map services { type ipv4_addr . inet_proto . inet_service : verdict
					elements = { 10.2.0.12 . tcp . 8080 : accept, 10.2.0.11 . tcp . 8080 : goto drops }; }
				chain drops { drop; }
				chain accepts { accept; }
				chain returns { return; drop; }
				chain empty { }
				chain leaves { goto empty; drop; }
				chain outer { jump empty; jump drops; accept; }
				chain some { `+may+` return; drop; }
				chain most { `+may+` return; accept; }
				chain ports { tcp sport vmap { 22 : return }; drop; }
				chain away { `+may+` goto empty; drop; }
				chain c3 { }
				chain c2 { jump c3; }
				chain c1 { jump c2; jump c2; }
				chain base { type filter hook forward priority 0; policy `+c.policy+"; "+c.rules+`; }
			}`, request)
			if want := (Result{Verdict: c.verdict, Chain: c.chain, Undecided: c.undecided}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// A match drops the request, or does not, or depends on things that are not known: then the accept before it counts.
func TestMatches(t *testing.T) {
	if testing.Short() {
		t.Skip("loads a ruleset for each match")
	}
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for _, c := range []struct {
		match string
		want  truth
	}{
		{`iifname "eth0"`, yes}, {`iifname "eth1"`, no}, {`iifname != "eth0"`, no}, {`iifname "eth*"`, yes},
		{`iifname "et*"`, yes}, {`iifname "wan*"`, no}, {`oifname "eth1"`, yes}, {`iifname { "eth7", "eth0" }`, yes},
		{"iif lo", no}, {"iif eth0", yes}, {"oif eth0", no}, {"iiftype ether", yes}, {"oiftype ppp", maybe},
		{"iiftype ppp", no}, {"meta mark 7", maybe},
		{"ip daddr 10.2.0.11", yes}, {"ip daddr 10.2.0.12", no}, {"ip daddr 10.2.0.0/24", yes},
		{"ip daddr 10.2.1.0/24", no},
		{"ip daddr != 10.2.0.0/24", no}, {"ip daddr 10.2.0.8-10.2.0.12", yes}, {"ip daddr 10.2.0.1-10.2.0.10", no},
		{"ip daddr != 10.2.0.1-10.2.0.10", yes}, {"ip daddr < 10.2.0.12", yes}, {"ip daddr >= 10.2.0.12", no},
		{"ip daddr > 10.2.0.10", yes}, {"ip daddr <= 10.2.0.10", no},
		{"ip saddr 198.51.100.0/24", maybe}, {"ip saddr != 198.51.100.0/24", maybe}, {"ip6 daddr fd00::1", no},
		{"ip ttl 64", maybe}, {"ip protocol tcp", yes}, {"ip protocol udp", no}, {"meta l4proto { tcp, udp }", yes},
		{"tcp dport 8080", yes}, {"tcp dport 8000-8100", yes}, {"tcp dport 1-1023", no}, {"udp dport 8080", no},
		{"tcp sport 1024-65535", maybe}, {"tcp dport { 22, 8080 }", yes}, {"tcp dport { 22, 80 }", no},
		{"tcp dport != { 22, 80 }", yes}, {"tcp dport { 8000-8080, 9000-9010 }", yes},
		{"tcp dport { 8000-8079, 8081 }", no},
		{"tcp dport { 8080-65535 }", yes}, {"tcp dport { 1-8079, 8081-65535 }", no},
		{"tcp dport { 8000-8079, 8080-8090 }", yes},
		{"ip daddr { 10.0.0.0/8, 192.168.0.0/16 }", yes}, {"ip daddr { 10.3.0.0/16, 192.168.0.0/16 }", no},
		{"ip daddr != { 10.3.0.0/16, 192.168.0.0/16 }", yes}, {"ip saddr { 10.3.0.0/16, 192.168.0.0/16 }", maybe},
		{"ip daddr . tcp dport { 10.2.0.11 . 8080 }", yes}, {"ip daddr . tcp dport { 10.2.0.11 . 81 }", no},
		{"ip saddr . tcp dport { 198.51.100.1 . 8080 }", maybe}, {"ip saddr . tcp dport { 198.51.100.1 . 81 }", no},
		{"ip daddr . tcp dport { 10.2.0.0/24 . 8080 }", maybe}, // the kernel does not tell the sizes of the fields
		{"ip daddr @named", yes}, {"ip daddr != @named", no}, {"ip daddr @others", no}, {"ip daddr != @others", yes},
		{"ip daddr @none", no}, {"ip daddr @networks", yes}, {"ip saddr @named", maybe}, {"ip saddr @none", no},
		{"ip daddr @timed", maybe}, {"ip daddr @learnt", maybe},
		{"tcp dport @open", no}, {"tcp dport != @open", yes}, {"iifname @links", yes},
		{"ip daddr . tcp dport @pairs", yes}, {"ip saddr . tcp dport @others-pairs", no},
		{"ct state new", yes}, {"ct state established,related", no}, {"ct state { new, untracked }", yes},
		{"ct state invalid", no}, {"ct state != invalid", yes}, {"ct status dnat", yes}, {"ct status snat", maybe},
		{"ct direction original", yes}, {"ct direction reply", no},
		{"meta l4proto tcp ct original proto-dst 80", yes}, {"meta l4proto tcp ct original proto-dst 443", no},
		{"meta l4proto tcp ct reply proto-dst 80", maybe}, {"ct original ip daddr 192.0.2.0/24", yes},
		{"ct original ip daddr 192.0.2.2", no}, {"ct original ip saddr 192.0.2.2", maybe},
		{"ct mark 1", maybe}, {"tcp flags syn", yes}, {"tcp flags & (fin|syn|rst|ack) == syn", yes},
		{"tcp flags & ack == ack", no},
		{"fib daddr type local", no}, {"fib daddr type unicast", yes}, {"fib saddr type local", maybe},
		{"limit rate 10/second", maybe}, {"meta cpu 0", maybe}, {"socket transparent 1", maybe},
		{"numgen random mod 2 0", maybe}, {"jhash ip saddr mod 2 == 0", maybe},
		{"meta nfproto ipv4", yes}, {"meta nfproto ipv6", no}, {"meta protocol ip", yes}, {"ether type ip6", no},
		{"icmp type echo-request", no}, {"meta pkttype broadcast", no},
		{"meta pkttype host", yes}, {"meta iifgroup 7", yes}, {"meta oifgroup 7", no}, {"meta iifgroup 8", no},
		{`meta iifkind "veth"`, yes}, {`meta iifkind "bridge"`, no}, {`meta oifkind "bridge"`, maybe},
	} {
		t.Run(c.match, func(t *testing.T) {
			script := `table inet t {
				set named { type ipv4_addr; elements = { 10.2.0.11 }; }
				set others { type ipv4_addr; elements = { 10.2.0.12, 10.2.0.13 }; }
				set none { type ipv4_addr; }
				set networks { type ipv4_addr; flags interval; elements = { 10.2.0.0/24, 192.168.0.0/16 }; }
				set timed { type ipv4_addr; flags timeout; elements = { 10.2.0.11 timeout 1h }; }
				set learnt { type ipv4_addr; size 9; flags dynamic; elements = { 10.2.0.11 }; }
				set open { type inet_service; elements = { 22, 443 }; }
				set links { type ifname; elements = { "eth0", "lo" }; }
				set pairs { type ipv4_addr . inet_service; elements = { 10.2.0.11 . 8080 }; }
				set others-pairs { type ipv4_addr . inet_service; elements = { 10.2.0.11 . 22 }; }
				chain base { type filter hook HOOK; policy drop; ` + c.match + ` accept; }
			}`
			hook := "forward priority 0"
			if c.match == "socket transparent 1" {
				hook = "prerouting priority 0"
			}
			r := read(t, lab, strings.Replace(script, "HOOK", hook, 1))
			var got Result
			if err := lab.Balancer.Do(func() error {
				r.Links = testLinks(t)
				got = r.Evaluate(t.Context(), r.Chains[0], request)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			want := map[truth]Result{yes: {Verdict: Accept, Chain: "base"}, no: {Verdict: Drop, Chain: "base"},
				maybe: {Verdict: Drop, Chain: "base", Undecided: true}}[c.want]
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// A named set is read up to a size, because large ones have the addresses of clients.
func TestSizesOfSets(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for size, undecided := range map[int]bool{100: false, 4000: true} {
		var ports strings.Builder
		for port := range size {
			fmt.Fprint(&ports, 10000+port, ", ")
		}
		got := result(t, lab, `table inet t {
			set open { type inet_service; elements = { `+ports.String()+`22 }; }
			chain base { type filter hook forward priority 0; policy drop; tcp dport @open accept; }
		}`, request)
		if want := (Result{Verdict: Drop, Chain: "base", Undecided: undecided}); got != want {
			t.Errorf("%d elements: got %+v, want %+v", size, got, want)
		}
	}
}

// Rules of nat, proxies and connection tracking.
func TestKinds(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for _, c := range []struct {
		name, script string
		want         Result
	}{
		{"dnat", "type nat hook prerouting priority dstnat; tcp dport 8080 dnat ip to 10.0.0.1",
			Result{Verdict: DestinationNAT, Chain: "base"}},
		{"redirect", "type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :90",
			Result{Verdict: DestinationNAT, Chain: "base"}},
		{"masquerade", "type nat hook postrouting priority srcnat; oifname eth1 masquerade",
			Result{Verdict: SourceNAT, Chain: "base"}},
		{"snat", "type nat hook postrouting priority srcnat; snat ip to 10.0.0.1", Result{Verdict: SourceNAT,
			Chain: "base"}},
		{"tproxy", "type filter hook prerouting priority mangle; meta l4proto tcp meta nfproto ipv4 tproxy ip to :99",
			Result{Verdict: Proxy, Chain: "base"}},
		{"synproxy", "type filter hook forward priority 0; tcp dport 8080 synproxy mss 1460",
			Result{Verdict: Proxy, Chain: "base"}},
		{"notrack", "type filter hook prerouting priority raw; tcp dport 8080 notrack",
			Result{Verdict: Accept, Chain: "base", Untracked: true}},
		{"notrack-and-drop", "type filter hook prerouting priority raw; notrack; drop",
			Result{Verdict: Drop, Chain: "base", Untracked: true}},
		{"notrack-of-some", "type filter hook prerouting priority raw; ip saddr 198.51.100.1 notrack",
			Result{Verdict: Accept, Chain: "base"}},
		{"zone", "type filter hook prerouting priority raw; ct zone set 300", Result{Verdict: Accept, Chain: "base",
			Zone: 300}},
		{"zone-of-some", "type filter hook prerouting priority raw; ip saddr 198.51.100.1 ct zone set 3",
			Result{Verdict: Accept, Chain: "base", Zone: UnknownZone}},
		{"zone-by-a-map", "type filter hook prerouting priority raw; ct zone set tcp sport map { 1 : 5 }",
			Result{Verdict: Accept, Chain: "base", Zone: UnknownZone}},
		{"zone-of-one-direction", "type filter hook prerouting priority raw; ct original zone set 3",
			Result{Verdict: Accept, Chain: "base", Zone: UnknownZone}},
		{"mark-goes-on", "type filter hook prerouting priority mangle; meta mark set 5 ct mark set 6 drop",
			Result{Verdict: Drop, Chain: "base", Mark: numbered(5), ConnectionMark: numbered(6)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := result(t, lab, "table inet t { chain base { "+c.script+"; }; }", request); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Matches and targets of iptables-nft.
func TestIptables(t *testing.T) {
	if _, err := exec.LookPath("iptables-nft"); err != nil {
		t.Skip("no iptables-nft here")
	}
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for _, c := range []struct {
		rule string // of the chain FORWARD, or of the chain and table that it names
		want Result
	}{
		{"-m comment --comment a -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m conntrack --ctstate NEW -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m conntrack --ctstate DNAT -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m conntrack ! --ctstate NEW -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m conntrack --ctstate RELATED,ESTABLISHED -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m conntrack --ctstate NEW --ctorigsrcport 80 -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD",
			Undecided: true}},
		{"-p tcp -m conntrack --ctstate NEW --ctorigdstport 80 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m conntrack --ctorigdstport 79:81 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m conntrack --ctorigdstport 81:99 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp -m conntrack ! --ctorigdstport 80 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m conntrack --ctorigdst 192.0.2.0/24 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m conntrack --ctorigdst 192.0.2.9 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m conntrack --ctdir ORIGINAL -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m conntrack --ctdir REPLY -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m state --state NEW -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp --dport 8000:8100 -j REJECT", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp ! --dport 8000:8100 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p udp --dport 8080 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp --sport 1024: -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp -m multiport --dports 22,443 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp -m multiport --dports 22,8080 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m multiport --dports 22,8000:8100,9000 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m multiport --dports 1:8079,8081:65535 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,8000:8080 -j DROP", Result{Verdict: Drop,
			Chain: "FORWARD"}},
		{"-p tcp -m multiport ! --dports 22,443 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m multiport ! --dports 22,8080 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-p tcp -m multiport --sports 22,443 -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD", Undecided: true}},
		{"-p tcp -m multiport --ports 22,8080 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-p tcp -m multiport --ports 22,443 -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD", Undecided: true}},
		{"-p udp -m multiport --dports 22,8080 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m pkttype --pkt-type broadcast -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m pkttype ! --pkt-type broadcast -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m devgroup --src-group 7 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m devgroup --src-group 7 --dst-group 7 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m devgroup ! --dst-group 7 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m devgroup --src-group 0x5/0x4 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m iprange --dst-range 10.2.0.2-10.2.0.20 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m iprange --dst-range 10.2.0.12-10.2.0.20 -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m iprange ! --dst-range 10.2.0.12-10.2.0.20 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-m iprange --src-range 10.2.0.2-10.2.0.20 -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD",
			Undecided: true}},
		{"-m addrtype --dst-type LOCAL -j DROP", Result{Verdict: Accept, Chain: "FORWARD"}},
		{"-m addrtype ! --dst-type LOCAL -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-i eth+ -o eth1 -d 10.2.0.0/24 -j DROP", Result{Verdict: Drop, Chain: "FORWARD"}},
		{"-s 198.51.100.0/24 -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD", Undecided: true}},
		{"-m limit --limit 1/s -j ACCEPT", Result{Verdict: Accept, Chain: "FORWARD", Undecided: true}},
		{"PREROUTING -t raw -j CT --notrack", Result{Verdict: Accept, Chain: "PREROUTING", Untracked: true}},
		{"PREROUTING -t raw -j CT --zone 9", Result{Verdict: Accept, Chain: "PREROUTING", Zone: 9}},
		{"PREROUTING -t raw -j CT --zone-orig 9", Result{Verdict: Accept, Chain: "PREROUTING", Zone: UnknownZone}},
		{"PREROUTING -t nat -p tcp -j DNAT --to-destination 10.9.0.1", Result{Verdict: DestinationNAT,
			Chain: "PREROUTING"}},
		{"PREROUTING -t nat -p tcp -j REDIRECT --to-ports 90", Result{Verdict: DestinationNAT, Chain: "PREROUTING"}},
		{"POSTROUTING -t nat -o eth1 -j MASQUERADE", Result{Verdict: SourceNAT, Chain: "POSTROUTING"}},
		{"POSTROUTING -t nat -d 10.2.0.0/24 -j NETMAP --to 10.9.0.0/24", Result{Verdict: SourceNAT,
			Chain: "POSTROUTING"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			rule := c.rule
			if strings.HasPrefix(rule, "-") {
				rule = "FORWARD " + rule
			}
			if got := resultOfIptables(t, lab, rule, request); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// resultOfIptables computes the chain of iptables-nft to which a rule is appended, the only one. The rule begins with
// the name of the chain.
func resultOfIptables(t *testing.T, lab *netlab.Lab, rule string, p Packet) (got Result) {
	t.Helper()
	read(t, lab, "")
	command := strings.Fields("-A " + rule)
	if _, err := lab.Balancer.Run(t.Context(), "", "iptables-nft", command...); err != nil {
		t.Skip(err) // the kernel lacks the match or target
	}
	if err := lab.Balancer.Do(func() error {
		r, err := Read(t.Context())
		r.Links = testLinks(t)
		for _, chain := range r.Chains {
			if chain.Name == command[1] {
				got = r.Evaluate(t.Context(), chain, p)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// Packets of ARP and of bridges.
func TestFrames(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	asks := Packet{Family: unix.NFPROTO_ARP, Operation: 1, In: "eth0", Destination: netip.MustParseAddr("192.0.2.1")}
	for _, c := range []struct {
		script string
		packet Packet
		want   Kind
	}{
		{"table arp t { chain c { type filter hook input priority 0; arp operation request drop; }; }", asks, Drop},
		{"table arp t { chain c { type filter hook input priority 0; arp operation reply drop; }; }", asks, Accept},
		{"table arp t { chain c { type filter hook input priority 0; arp daddr ip 192.0.2.1 drop; }; }", asks, Drop},
		{"table arp t { chain c { type filter hook input priority 0; arp daddr ip 192.0.2.2 drop; }; }", asks, Accept},
		{"table arp t { chain c { type filter hook input priority 0; arp saddr ip 192.0.2.2 drop; }; }", asks, Accept},
		{"table bridge t { chain c { type filter hook input priority 0; ip daddr 10.2.0.11 drop; }; }", request, Drop},
		{"table bridge t { chain c { type filter hook input priority 0; ether type ip6 drop; }; }", request, Accept},
		{"table bridge t { chain c { type filter hook input priority 0; tcp dport 8080 drop; }; }", request, Drop},
	} {
		t.Run(c.script, func(t *testing.T) {
			if got := result(t, lab, c.script, c.packet); got.Verdict != c.want || got.Undecided {
				t.Errorf("got %+v, want %v", got, c.want)
			}
		})
	}
}

// A result is remembered for packets that a table cannot tell apart, and only for them.
func TestMemory(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	r := read(t, lab, `table inet t { chain base { type filter hook forward priority 0; jump inner; }
		chain inner { tcp dport 8081 drop; iifname "eth5" drop; }; }`)
	other := request
	other.Destination, other.State = netip.MustParseAddr("10.2.0.99"), Established
	toDropped, fromDropped := request, request
	toDropped.DestinationPort, fromDropped.In = 8081, "eth5"
	for i, c := range []struct {
		packet Packet
		want   Kind
		work   int
	}{{request, Accept, 4}, {other, Accept, 5}, {toDropped, Drop, 8}, {fromDropped, Drop, 12}, {request, Accept, 13}} {
		if got := r.Evaluate(t.Context(), r.Chains[0], c.packet); got.Verdict != c.want || r.Work != c.work {
			t.Errorf("packet %d: got %+v with work %d, want %v with %d", i, got, r.Work, c.want, c.work)
		}
	}
}

// testLinks are the interfaces of the thread's namespace. Not all is known of eth1.
func testLinks(t *testing.T) map[string]Link {
	return map[string]Link{"eth0": {indexOf(t, "eth0"), 7, unix.ARPHRD_ETHER, "veth"},
		"eth1": {Index: indexOf(t, "eth1")}, "lo": {Index: 1}}
}

// indexOf returns the index of an interface in the thread's namespace.
func indexOf(t *testing.T, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

// Named objects match, or may match, or take the packet.
func TestObjects(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for _, c := range []struct {
		rule string
		want Result
	}{
		{`counter name "hits" drop`, Result{Verdict: Drop, Chain: "base"}},
		{`tcp dport 8080 ct timeout set "short" drop`, Result{Verdict: Drop, Chain: "base"}},
		{`quota name "of-a-day" drop`, Result{Verdict: Accept, Chain: "base"}},
		{`limit name "fast" drop`, Result{Verdict: Accept, Chain: "base"}},
		{`ct count over 9 drop`, Result{Verdict: Accept, Chain: "base"}},
		{`quota name "of-a-day" accept; drop`, Result{Verdict: Drop, Chain: "base", Undecided: true}},
		{`counter name tcp dport map { 22 : "hits" } drop`, Result{Verdict: Accept, Chain: "base"}},
		{`tcp dport 8080 synproxy name "cookies"`, Result{Verdict: Proxy, Chain: "base"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := result(t, lab, `table ip t {
				counter hits { }
				quota of-a-day { over 10000 mbytes
				}
				limit fast { rate over 1000 mbytes/second
				}
				ct timeout short { protocol tcp
					policy = { established : 60 }
				}
				synproxy cookies { mss 1460
					wscale 7
					timestamp sack-perm
				}
				chain base { type filter hook forward priority 0; `+c.rule+`; }
			}`, request)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// The kernel asks no chain of a dormant table.
func TestDormant(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for flags, want := range map[string]int{"flags dormant;": 0, "": 1} {
		r := read(t, lab, "table inet t { "+flags+
			" chain base { type filter hook forward priority 0; policy drop; }; }")
		if len(r.Chains) != want {
			t.Errorf("%q: %d base chains, want %d", flags, len(r.Chains), want)
		}
	}
}

package packettest

import "testing"

// Tables of programs that are not run here, as their sources and manuals give them. Names of interfaces and addresses
// are those of the testbed.

// libvirtTable is the table of libvirt's nftables backend with a network of mode nat on virbr0.
const libvirtTable = `table ip libvirt_network {
	chain forward { type filter hook forward priority 0; policy accept
		counter jump guest_cross; counter jump guest_input; counter jump guest_output; }
	chain guest_output { ip saddr 10.2.0.0/24 iif "virbr0" counter accept; iif "virbr0" counter reject; }
	chain guest_input { oif "virbr0" ip daddr 10.2.0.0/24 ct state related,established counter accept
		oif "virbr0" counter reject; }
	chain guest_cross { iif "virbr0" oif "virbr0" counter accept; }
	chain guest_nat { type nat hook postrouting priority 100; policy accept
		ip saddr 10.2.0.0/24 ip daddr 224.0.0.0/24 counter return
		ip saddr 10.2.0.0/24 ip daddr 255.255.255.255 counter return
		meta l4proto tcp ip saddr 10.2.0.0/24 ip daddr != 10.2.0.0/24 counter masquerade to :1024-65535
		meta l4proto udp ip saddr 10.2.0.0/24 ip daddr != 10.2.0.0/24 counter masquerade to :1024-65535
		ip saddr 10.2.0.0/24 ip daddr != 10.2.0.0/24 counter masquerade; }
}`

// libvirtChains are the chains of libvirt's iptables backend with the same network.
const libvirtChains = `set -e
	for c in INP OUT FWO FWI FWX; do iptables -N LIBVIRT_$c; done
	iptables -I INPUT -j LIBVIRT_INP; iptables -I OUTPUT -j LIBVIRT_OUT
	iptables -I FORWARD -j LIBVIRT_FWO; iptables -I FORWARD -j LIBVIRT_FWI; iptables -I FORWARD -j LIBVIRT_FWX
	iptables -I LIBVIRT_FWO -i virbr0 -j REJECT
	iptables -I LIBVIRT_FWI -o virbr0 -j REJECT
	iptables -I LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
	iptables -I LIBVIRT_FWO -s 10.2.0.0/24 -i virbr0 -j ACCEPT
	iptables -I LIBVIRT_FWI -d 10.2.0.0/24 -o virbr0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
	iptables -t nat -N LIBVIRT_PRT; iptables -t nat -I POSTROUTING -j LIBVIRT_PRT
	iptables -t nat -I LIBVIRT_PRT -s 10.2.0.0/24 ! -d 10.2.0.0/24 -j MASQUERADE
	iptables -t nat -I LIBVIRT_PRT -s 10.2.0.0/24 -p tcp ! -d 10.2.0.0/24 -j MASQUERADE --to-ports 1024-65535
	iptables -t nat -I LIBVIRT_PRT -s 10.2.0.0/24 -d 224.0.0.0/24 -j RETURN`

// dockerTable is the table of Docker's nftables backend with a container that publishes port 8080.
const dockerTable = `table ip docker-bridges {
	map filter-forward-in-jumps { type ifname : verdict
		elements = { "docker0" : jump filter-forward-in__docker0 }; }
	map filter-forward-out-jumps { type ifname : verdict
		elements = { "docker0" : jump filter-forward-out__docker0 }; }
	map nat-postrouting-in-jumps { type ifname : verdict
		elements = { "docker0" : jump nat-postrouting-in__docker0 }; }
	map nat-postrouting-out-jumps { type ifname : verdict
		elements = { "docker0" : jump nat-postrouting-out__docker0 }; }
	chain filter-FORWARD { type filter hook forward priority filter; policy accept
		oifname vmap @filter-forward-in-jumps; iifname vmap @filter-forward-out-jumps; }
	chain nat-POSTROUTING { type nat hook postrouting priority srcnat; policy accept
		iifname vmap @nat-postrouting-out-jumps; oifname vmap @nat-postrouting-in-jumps; }
	chain nat-PREROUTING { type nat hook prerouting priority dstnat; policy accept
		fib daddr type local counter jump nat-prerouting-and-output; }
	chain nat-OUTPUT { type nat hook output priority -100; policy accept
		ip daddr != 127.0.0.0/8 fib daddr type local counter jump nat-prerouting-and-output; }
	chain nat-prerouting-and-output { iifname != "docker0" tcp dport 8080 counter dnat to 10.2.0.13:80; }
	chain raw-PREROUTING { type filter hook prerouting priority raw; policy accept
		ip daddr 10.2.0.13 iifname != "docker0" counter drop; }
	chain filter-forward-in__docker0 { ct state established,related counter accept
		iifname "docker0" counter accept; ip daddr 10.2.0.13 tcp dport 80 counter accept; counter drop; }
	chain filter-forward-out__docker0 { ct state established,related counter accept; counter accept; }
	chain nat-postrouting-in__docker0 { }
	chain nat-postrouting-out__docker0 {
		oifname != "docker0" ip saddr 10.2.0.0/24 counter masquerade; }
}`

// bridged makes the link of the backends a port of a bridge with a name.
func bridged(name string) step {
	return runs("ip link add " + name + " type bridge; ip link set eth1 master " + name + "; ip link set " + name +
		" up; ip address flush dev eth1; ip address add 10.2.0.1/24 dev " + name)
}

var findingTableCases = []findingCase{
	{name: "libvirt-snat", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		setUp: steps{bridged("virbr0")}, broken: steps{nftScript(libvirtTable)},
		says: "chain forward of table ip libvirt_network, by its chain guest_input, drops the forwarded packets"},
	{name: "libvirt-dnat", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4, kind: "drop",
		setUp: steps{bridged("virbr0")}, broken: steps{nftScript(libvirtTable)},
		says: "/etc/libvirt/hooks/network"},
	{name: "libvirt-stateless", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop",
		setUp: steps{bridged("virbr0")}, broken: steps{nftScript(libvirtTable)},
		says: "nft insert rule ip libvirt_network forward ct state untracked accept"},
	{name: "libvirt-iptables", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4, kind: "drop",
		needs: "iptables", setUp: steps{bridged("virbr0")}, broken: steps{runs(libvirtChains)},
		says: "chain FORWARD of table ip filter, by its chain LIBVIRT_FWI, drops the forwarded packets"},
	{name: "docker-nftables-snat", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		setUp: steps{bridged("docker0")}, broken: steps{nftScript(dockerTable)},
		says: "by its chain filter-forward-in__docker0, drops the forwarded packets"},
	{name: "docker-nftables-dnat", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4, kind: "drop",
		setUp: steps{bridged("docker0")}, broken: steps{nftScript(dockerTable)}, says: "--bridge-accept-fwmark"},
	{name: "docker-nftables-stateless", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop",
		setUp: steps{bridged("docker0")}, broken: steps{nftScript(dockerTable)},
		says: "filter-forward-in__docker0"},
}

// kubeProxyTable is the table of kube-proxy in mode nftables, with a service that has an external address, a port of
// the node, and one service without endpoints.
const kubeProxyTable = `table ip kube-proxy {
	set cluster-ips { type ipv4_addr; elements = { 172.30.0.41 }; }
	set nodeport-ips { type ipv4_addr; elements = { 203.0.113.1 }; }
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 172.30.0.41 . tcp . 80 : goto service-ULMVA6XW-ns1/svc1/tcp/p80,
			192.0.2.1 . tcp . 80 : goto external-ULMVA6XW-ns1/svc1/tcp/p80 }; }
	map service-nodeports { type inet_proto . inet_service : verdict
		elements = { tcp . 80 : goto external-ULMVA6XW-ns1/svc1/tcp/p80 }; }
	map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 192.0.2.9 . tcp . 80 : goto reject-chain }; }
	map no-endpoint-nodeports { type inet_proto . inet_service : verdict
		elements = { tcp . 3002 : drop }; }
	chain filter-prerouting { type filter hook prerouting priority -110; policy accept
		ct state new jump firewall-check; }
	chain filter-input { type filter hook input priority -110; policy accept; ct state new jump endpoints-check; }
	chain filter-forward { type filter hook forward priority -110; policy accept
		ct state new jump endpoints-check; }
	chain filter-output { type filter hook output priority -110; policy accept; ct state new jump endpoints-check
		ct state new jump firewall-check; }
	chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
	chain nat-output { type nat hook output priority -100; policy accept; jump services; }
	chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept; jump masquerading; }
	chain reject-chain { reject; }
	chain endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services
		ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
	chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
	chain services { ip daddr . meta l4proto . th dport vmap @service-ips
		ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }
	chain mark-for-masquerade { meta mark set meta mark | 0x00004000; }
	chain masquerading { meta mark & 0x00004000 == 0x00000000 return; meta mark set meta mark ^ 0x00004000
		masquerade fully-random; }
	chain service-ULMVA6XW-ns1/svc1/tcp/p80 {
		ip daddr 172.30.0.41 tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade
		numgen random mod 1 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.2.0.13/80 }; }
	chain external-ULMVA6XW-ns1/svc1/tcp/p80 { jump mark-for-masquerade; goto service-ULMVA6XW-ns1/svc1/tcp/p80; }
	chain endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.2.0.13/80 { ip saddr 10.2.0.13 jump mark-for-masquerade
		meta l4proto tcp dnat to 10.2.0.13:80; }
}`

// kubeProxyChains are those of kube-proxy in mode iptables that see packets of other programs.
const kubeProxyChains = `set -e
	for c in KUBE-FORWARD KUBE-FIREWALL KUBE-EXTERNAL-SERVICES; do iptables -N $c; done
	iptables -A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
	iptables -A INPUT -j KUBE-FIREWALL; iptables -A FORWARD -j KUBE-FORWARD; iptables -A OUTPUT -j KUBE-FIREWALL
	iptables -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
	iptables -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
	iptables -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	iptables -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
	iptables -t nat -N KUBE-POSTROUTING; iptables -t nat -A POSTROUTING -j KUBE-POSTROUTING
	iptables -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
	iptables -t nat -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
	iptables -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
	iptables -t nat -N KUBE-SERVICES; iptables -t nat -A PREROUTING -j KUBE-SERVICES
	iptables -t nat -A KUBE-SERVICES -d 192.0.2.1/32 -p tcp --dport 80 -j DNAT --to-destination 10.2.0.13:80`

// tailscaleChains are Tailscale's, in tables that iptables knows.
const tailscaleChains = `set -e
	iptables -N ts-input; iptables -N ts-forward; iptables -t nat -N ts-postrouting
	iptables -A ts-input -s 100.101.102.103 -i lo -j ACCEPT
	iptables -A ts-input ! -i tailscale0 -s 100.115.92.0/23 -j RETURN
	iptables -A ts-input ! -i tailscale0 -s 100.64.0.0/10 -j DROP
	iptables -A ts-input -i tailscale0 -j ACCEPT; iptables -A ts-input -p udp --dport 41641 -j ACCEPT
	iptables -A ts-forward -i tailscale0 -j MARK --set-mark 0x40000/0xff0000
	iptables -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
	iptables -A ts-forward -o tailscale0 -s 100.64.0.0/10 -j DROP
	iptables -A ts-forward -o tailscale0 -j ACCEPT
	iptables -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE
	iptables -I INPUT -j ts-input; iptables -I FORWARD -j ts-forward; iptables -t nat -I POSTROUTING -j ts-postrouting`

// tailscaleTables are Tailscale's rules in mode nftables.
const tailscaleTables = `table ip filter {
	chain ts-input { iifname "lo" ip saddr 100.101.102.103 counter accept
		iifname != "tailscale0" ip saddr 100.115.92.0/23 counter return
		iifname != "tailscale0" ip saddr 100.64.0.0/10 counter drop
		iifname "tailscale0" counter accept; udp dport 41641 counter accept; }
	chain ts-forward { iifname "tailscale0" counter meta mark set meta mark & 0xff00ffff ^ 0x00040000
		meta mark & 0x00ff0000 == 0x00040000 counter accept
		oifname "tailscale0" ip saddr 100.64.0.0/10 counter drop; oifname "tailscale0" counter accept; }
	chain INPUT { type filter hook input priority filter; policy accept; counter jump ts-input; }
	chain FORWARD { type filter hook forward priority filter; policy accept; counter jump ts-forward; }
}
table ip nat {
	chain ts-postrouting { meta mark & 0x00ff0000 == 0x00040000 counter masquerade; }
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; counter jump ts-postrouting; }
}`

// netavarkTable is the table of podman's netavark with a container that publishes port 80.
const netavarkTable = `table inet netavark {
	chain INPUT { type filter hook input priority filter; policy accept
		ip saddr 10.2.0.0/24 meta l4proto { tcp, udp } th dport 53 accept; }
	chain FORWARD { type filter hook forward priority filter; policy accept; ct state invalid drop
		jump NETAVARK-ISOLATION-1; ip daddr 10.2.0.0/24 ct state established,related accept
		ip saddr 10.2.0.0/24 accept; }
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept
		meta mark & 0x00002000 == 0x00002000 masquerade
		ip saddr 10.2.0.0/24 jump nv_2f259bab_10_2_0_0_nm24; }
	chain PREROUTING { type nat hook prerouting priority dstnat; policy accept
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT; }
	chain OUTPUT { type nat hook output priority -100; policy accept
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT; }
	chain NETAVARK-HOSTPORT-DNAT { tcp dport 80 jump nv_2f259bab_10_2_0_0_nm24_dnat; }
	chain NETAVARK-HOSTPORT-SETMARK { meta mark set meta mark | 0x00002000; }
	chain NETAVARK-ISOLATION-1 { iifname "podman1" oifname != "podman1" jump NETAVARK-ISOLATION-2; }
	chain NETAVARK-ISOLATION-2 { oifname "podman1" drop; }
	chain NETAVARK-ISOLATION-3 { oifname "podman0" drop; jump NETAVARK-ISOLATION-2; }
	chain nv_2f259bab_10_2_0_0_nm24 { ip daddr 10.2.0.0/24 accept; ip daddr != 224.0.0.0/4 masquerade; }
	chain nv_2f259bab_10_2_0_0_nm24_dnat {
		ip saddr 10.2.0.0/24 tcp dport 80 jump NETAVARK-HOSTPORT-SETMARK
		ip saddr 127.0.0.1 tcp dport 80 jump NETAVARK-HOSTPORT-SETMARK; tcp dport 80 dnat ip to 10.2.0.13:80; }
}`

// crowdsecTables are the tables of CrowdSec's firewall bouncer.
const crowdsecTables = `table ip crowdsec {
	set crowdsec-blacklists { type ipv4_addr; flags timeout; elements = { 203.0.113.99 timeout 4h }; }
	chain crowdsec-chain-input { type filter hook input priority -10; policy accept
		ip saddr @crowdsec-blacklists counter drop; }
	chain crowdsec-chain-forward { type filter hook forward priority -10; policy accept
		ip saddr @crowdsec-blacklists counter drop; }
}
table ip6 crowdsec6 {
	set crowdsec6-blacklists { type ipv6_addr; flags timeout; }
	chain crowdsec6-chain-input { type filter hook input priority -10; policy accept
		ip6 saddr @crowdsec6-blacklists counter drop; }
	chain crowdsec6-chain-forward { type filter hook forward priority -10; policy accept
		ip6 saddr @crowdsec6-blacklists counter drop; }
}`

// fail2banTable is the table of fail2ban's action nftables, with a jail for the port of the farm.
const fail2banTable = `table inet f2b-table {
	set addr-set-nginx { type ipv4_addr; flags interval; elements = { 203.0.113.99 }; }
	chain f2b-chain { type filter hook input priority -1
		tcp dport { 80, 443, 8081 } ip saddr @addr-set-nginx reject; }
}`

// quietTables let packets of farms pass, with the kind of the finding that comes closest.
var quietTables = map[string]struct {
	not   string
	state step
}{
	"kube-proxy":          {"source-nat", nftScript(kubeProxyTable)},
	"kube-proxy-iptables": {"source-nat", runs(kubeProxyChains)},
	"tailscale":           {"drop", nftScript(tailscaleTables)},
	"tailscale-iptables":  {"drop", runs(tailscaleChains)},
	"netavark":            {"destination-nat", nftScript(netavarkTable)},
	"crowdsec":            {"drop", nftScript(crowdsecTables)},
	"fail2ban":            {"drop", nftScript(fail2banTable)},
	"libvirt-with-backends-elsewhere": {"drop", steps{runs("ip link add virbr0 type bridge"),
		nftScript(libvirtTable)}},
	"docker-nftables-with-backends-elsewhere": {"drop", nftScript(dockerTable)},
}

// Tables of programs through which packets of farms pass are no finding.
func TestNoFindingsOfTables(t *testing.T) {
	t.Parallel()
	for program, q := range quietTables {
		for mode, c := range map[string]quietCase{
			"snat":      {farm: oneBackend("snat", listen4, "b1", 0), ask: asksSNAT4},
			"dnat":      {farm: oneBackend("dnat", listen4, "b1", 0), ask: asksDNAT4},
			"stateless": {farm: statelessInBothDirections, ask: asksDNAT4},
			"local":     {farm: localAt8081, ask: asksLocal},
		} {
			t.Run(program+"/"+mode, func(t *testing.T) {
				t.Parallel()
				if _, script := q.state.(runs); script {
					needs(t, "iptables")
				}
				c.state = steps{q.state}
				c.play(t)
			})
		}
	}
}

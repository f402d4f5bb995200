package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// A pool is a service and its backends. Changes take the last backend of the first pool out.
type pool struct {
	service  string // an IPv4 address, with port 80
	backends []string
}

// poolsOf makes pools of two backends, of which the first is the one that packets are sent through.
func poolsOf(n int) (all []pool) {
	all = append(all, pool{"192.0.2.1", []string{"10.2.0.11", "10.2.0.12"}})
	for i := 1; i < n; i++ {
		all = append(all, pool{frontendAddress(i), []string{backendAddress(i, 2), backendAddress(i, 3)}})
	}
	return all
}

// A balancer serves pools in the way of a program. start serves them where nothing is loaded, and change goes over to
// other backends of the first pool.
type balancer struct {
	name   string
	start  func(*contest, []pool) error
	change func(*contest, []pool) error
	oneWay bool // backends keep the service's address and port, and answer clients directly
	proxy  bool // clients and backends have different connections
}

// balancers are the programs to compare: farmc in its modes, IPVS, and rules in the layouts of other programs.
var balancers = []balancer{
	farmcIn("dnat", `mode = "dnat"`, ""),
	farmcIn("snat", `mode = "snat"`, ""),
	farmcIn("dsr, hash", "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"", "interface = \"eth1\"\n"),
	farmcIn("stateless, gateway", "mode = \"stateless\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"\n"+
		"gateway = \"203.0.113.2\"", "interface = \"eth1\"\nport = 8080\n"),
	ipvs("nat", "rr", "-m"),
	ipvs("nat", "mh", "-m"),
	ipvs("dr", "rr", "-g"),
	ipvs("dr", "mh", "-g"),
	nftScript("kube-proxy, nftables", kubeProxy, changeKubeProxy),
	nftScript("nftlb, dnat", nftlb(false), changeNFTLB),
	nftScript("nftlb, snat", nftlb(true), changeNFTLB),
	{name: "HAProxy, tcp", start: startHAProxy, change: startHAProxy, proxy: true},
}

// farmcIn is farmc apply with farms of a mode.
func farmcIn(name, keys, backendKeys string) balancer {
	if backendKeys == "" {
		backendKeys = "port = 8080\n"
	}
	write := func(c *contest, n int, p pool) error {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\nlisten = \"%s:80/tcp\"\n", keys, p.service)
		for i, b := range p.backends {
			fmt.Fprintf(&text, "[backends.b%d]\naddress = %q\n%s", i+1, b, backendKeys)
		}
		return os.WriteFile(c.path("farms.d/"+fileName(n)), []byte(text.String()), 0o644)
	}
	apply := func(c *contest) error {
		return c.run("", c.farmc, "apply", "--dir", c.path("farms.d"), "--state-dir", c.path("state"))
	}
	return balancer{
		name:   "farmc, " + name,
		oneWay: strings.HasPrefix(name, "dsr"),
		start: func(c *contest, pools []pool) error {
			for _, dir := range []string{"farms.d", "state"} {
				if err := os.RemoveAll(c.path(dir)); err != nil {
					return err
				}
				if err := os.Mkdir(c.path(dir), 0o755); err != nil {
					return err
				}
			}
			for n, p := range pools {
				if err := write(c, n, p); err != nil {
					return err
				}
			}
			return c.timed(func() error { return apply(c) })
		},
		change: func(c *contest, pools []pool) error {
			if err := write(c, 0, pools[0]); err != nil {
				return err
			}
			return c.timed(func() error { return apply(c) })
		},
	}
}

// ipvs is IPVS with a scheduler and a forwarding method of ipvsadm.
func ipvs(name, scheduler, method string) balancer {
	port := "8080"
	if method == "-g" {
		port = "80"
	}
	return balancer{
		name:   "IPVS, " + name + ", " + scheduler,
		oneWay: method == "-g",
		start: func(c *contest, pools []pool) error {
			var rules strings.Builder
			for _, p := range pools {
				fmt.Fprintf(&rules, "-A -t %s:80 -s %s\n", p.service, scheduler)
				for _, b := range p.backends {
					fmt.Fprintf(&rules, "-a -t %s:80 -r %s:%s %s -w 1\n", p.service, b, port, method)
				}
			}
			return c.timed(func() error { return c.run(rules.String(), "ipvsadm", "-R") })
		},
		change: func(c *contest, pools []pool) error {
			last := poolsOf(1)[0].backends[1]
			action := []string{"-a", "-t", pools[0].service + ":80", "-r", last + ":" + port, method, "-w", "1"}
			if len(pools[0].backends) == 1 {
				action = []string{"-d", "-t", pools[0].service + ":80", "-r", last + ":" + port}
			}
			return c.timed(func() error { return c.run("", "ipvsadm", action...) })
		},
	}
}

// nftScript loads rules by nft.
func nftScript(name string, write, change func(*bufio.Writer, []pool)) balancer {
	load := func(write func(*bufio.Writer, []pool)) func(*contest, []pool) error {
		return func(c *contest, pools []pool) error {
			var text strings.Builder
			out := bufio.NewWriter(&text)
			write(out, pools)
			out.Flush()
			if err := os.WriteFile(c.path("script.nft"), []byte(text.String()), 0o600); err != nil {
				return err
			}
			return c.timed(func() error { return c.run("", "nft", "-f", c.path("script.nft")) })
		}
	}
	return balancer{name: name, start: load(write), change: load(change)}
}

// kubeProxy has the layout of kube-proxy's mode nftables (pkg/proxy/nftables of Kubernetes 1.31) for services with a
// cluster IP: a verdict map of services, a chain for each service and each endpoint, and a mark for masquerading.
func kubeProxy(out *bufio.Writer, pools []pool) {
	out.WriteString(`table ip kube-proxy {
	set cluster-ips { type ipv4_addr; }
	set nodeport-ips { type ipv4_addr; }
	map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
	map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
	map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map service-nodeports { type inet_proto . inet_service : verdict; }
	chain mark-for-masquerade { mark set mark or 0x4000; }
	chain masquerading { mark and 0x4000 == 0 return; mark set mark xor 0x4000; masquerade fully-random; }
	chain cluster-ips-check { ip daddr @cluster-ips reject; ip daddr { 100.64.0.0/16 } drop; }
	chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
	chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
	chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
	chain services {
		ip daddr . meta l4proto . th dport vmap @service-ips
		ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
	}
	chain filter-prerouting-pre-dnat {
		type filter hook prerouting priority -110;
		ct state new jump firewall-check
	}
	chain filter-output-pre-dnat { type filter hook output priority -110; ct state new jump firewall-check; }
	chain filter-input {
		type filter hook input priority 0;
		ct state new jump nodeport-endpoints-check
		ct state new jump service-endpoints-check
	}
	chain filter-forward {
		type filter hook forward priority 0;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain filter-output {
		type filter hook output priority 0;
		ct state new jump service-endpoints-check
		ct state new jump cluster-ips-check
	}
	chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
	chain nat-output { type nat hook output priority -100; jump services; }
	chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
`)
	for n, p := range pools {
		for i, b := range p.backends {
			fmt.Fprintf(out, "add chain ip kube-proxy endpoint-%d-%d\n", n, i)
			fmt.Fprintf(out, "add rule ip kube-proxy endpoint-%d-%d ip saddr %s jump mark-for-masquerade\n", n, i, b)
			fmt.Fprintf(out, "add rule ip kube-proxy endpoint-%d-%d meta l4proto tcp dnat to %s:8080\n", n, i, b)
		}
		fmt.Fprintf(out, "add chain ip kube-proxy service-%d\n", n)
		kubeProxyService(out, n, p)
		fmt.Fprintf(out, "add element ip kube-proxy cluster-ips { %s }\n", p.service)
		fmt.Fprintf(out, "add element ip kube-proxy service-ips { %s . tcp . 80 : goto service-%d }\n", p.service, n)
	}
}

// kubeProxyService fills the chain of a service.
func kubeProxyService(out *bufio.Writer, n int, p pool) {
	fmt.Fprintf(out, "add rule ip kube-proxy service-%d ip daddr %s tcp dport 80 ip saddr != 198.51.100.0/24 "+
		"jump mark-for-masquerade\n", n, p.service)
	var verdicts []string
	for i := range p.backends {
		verdicts = append(verdicts, fmt.Sprintf("%d : goto endpoint-%d-%d", i, n, i))
	}
	fmt.Fprintf(out, "add rule ip kube-proxy service-%d numgen random mod %d vmap { %s }\n", n, len(verdicts),
		strings.Join(verdicts, ", "))
}

// changeKubeProxy fills the first service's chain anew.
func changeKubeProxy(out *bufio.Writer, pools []pool) {
	out.WriteString("flush chain ip kube-proxy service-0\n")
	kubeProxyService(out, 0, pools[0])
}

// nftlb has the layout of nftlb's modes dnat and snat, as in the tests of its sources.
func nftlb(masquerade bool) func(*bufio.Writer, []pool) {
	return func(out *bufio.Writer, pools []pool) {
		out.WriteString("table ip nftlb {\n" +
			"\tmap tcp-services-back { type ipv4_addr . inet_service : ipv4_addr; }\n" +
			"\tmap tcp-services-back-m { type mark : ipv4_addr; }\n")
		for n, p := range pools {
			fmt.Fprintf(out, "\tchain nat-lb%d { %s; }\n", n, nftlbPick(p))
			if masquerade {
				fmt.Fprintf(out, "\tchain filter-lb%d { ct mark set 0x80000000; }\n", n)
			}
		}
		nftlbServices(out, "nat", pools)
		if masquerade {
			nftlbServices(out, "filter", pools)
			out.WriteString("\tchain filter {\n\t\ttype filter hook prerouting priority mangle\n" +
				"\t\tmeta mark set ct mark\n" +
				"\t\tip daddr . tcp dport vmap @filter-tcp-services\n\t}\n")
		}
		out.WriteString(`	chain prerouting {
		type nat hook prerouting priority filter
		ip daddr . tcp dport vmap @nat-tcp-services
	}
	chain postrouting {
		type nat hook postrouting priority srcnat
		ct mark 0x80000000/1 masquerade
		snat to ip daddr . tcp dport map @tcp-services-back
		snat to ct mark map @tcp-services-back-m
	}
}
`)
	}
}

// nftlbServices is the verdict map from services to chains with a prefix.
func nftlbServices(out *bufio.Writer, prefix string, pools []pool) {
	fmt.Fprintf(out, "\tmap %s-tcp-services {\n\t\ttype ipv4_addr . inet_service : verdict\n\t\telements = {\n", prefix)
	for n, p := range pools {
		fmt.Fprintf(out, "\t\t\t%s . 80 : goto %s-lb%d,\n", p.service, prefix, n)
	}
	out.WriteString("\t\t}\n\t}\n")
}

func nftlbPick(p pool) string {
	var slots []string
	for i, b := range p.backends {
		slots = append(slots, fmt.Sprintf("%d : %s . 8080", i, b))
	}
	return fmt.Sprintf("ip protocol tcp dnat to numgen inc mod %d map { %s }", len(slots), strings.Join(slots, ", "))
}

// changeNFTLB fills the first service's chain anew.
func changeNFTLB(out *bufio.Writer, pools []pool) {
	fmt.Fprintf(out, "flush chain ip nftlb nat-lb0\nadd rule ip nftlb nat-lb0 %s\n", nftlbPick(pools[0]))
}

// startHAProxy starts HAProxy with one thread. One that runs already hands its sockets over, and goes on with its
// connections.
func startHAProxy(c *contest, pools []pool) error {
	var text strings.Builder
	fmt.Fprintf(&text, "global\n\tnbthread 1\n\tmaxconn 2000\n\tpidfile %s\n\tstats socket %s expose-fd listeners\n",
		c.path("haproxy.pid"), c.path("haproxy.sock"))
	text.WriteString("defaults\n\tmode tcp\n\ttimeout connect 5s\n\ttimeout client 1m\n\ttimeout server 1m\n")
	for n, p := range pools {
		fmt.Fprintf(&text, "listen s%d\n\tbind %s:80 transparent\n\tbalance roundrobin\n", n, p.service)
		for i, b := range p.backends {
			fmt.Fprintf(&text, "\tserver b%d %s:8080\n", i+1, b)
		}
	}
	if err := os.WriteFile(c.path("haproxy.cfg"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	arguments := []string{"-D", "-f", c.path("haproxy.cfg")}
	if pid, err := os.ReadFile(c.path("haproxy.pid")); err == nil {
		arguments = append(arguments, "-x", c.path("haproxy.sock"), "-sf", strings.TrimSpace(string(pid)))
	}
	return c.timed(func() error { return c.run("", "haproxy", arguments...) })
}

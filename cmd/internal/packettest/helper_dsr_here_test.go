package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// pairLab is two balancers on the link of clients and backends.
var pairLab = netlab.Options{OneArmed: true, Pair: true, BackendVIPs: true, DirectReturn: true, NoForwarding: true}

// The floating address of a pair, on the link of clients.
const (
	floating       = "10.2.0.50:80 [fd00:2::50]:80"
	listenFloating = `"10.2.0.50:80/tcp,udp", "[fd00:2::50]:80/tcp,udp"`
)

// pairFarm is a dsr farm of both balancers and b1, with weights 1, 1 and 2.
func pairFarm(listen string, more ...string) string {
	return fmt.Sprintf(`
		mode       = "dsr"
		listen     = [%s]
		interfaces = ["eth0"]
		%s
		[backends.one]
		address = ["10.2.0.1", "fd00:2::1"]
		[backends.two]
		address = ["10.2.0.2", "fd00:2::2"]
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		weight  = 2
	`, listen, strings.Join(more, "\n"))
}

// pairShares are the shares of the machines of pairFarm.
var pairShares = shares{"balancer": 1, "second": 1, "b1": 2}

// pairServes has both balancers serve like backends, with the floating address on the loopback interface, and routes to
// the clients.
var pairServes = stepFunc(func(s *testbed) error {
	if _, err := s.Second.Serve(testbedPorts...); err != nil {
		return err
	}
	err := errors.Join(s.Second.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("10.2.0.100")),
		s.Second.AddRoute(netip.MustParsePrefix("2001:db8:c::/48"), netip.MustParseAddr("fd00:2::100")))
	for _, h := range s.pair() {
		err = errors.Join(err, h.Sysctl("net.ipv4.conf.all.arp_ignore", "1"),
			h.Sysctl("net.ipv4.conf.all.arp_announce", "2"))
	}
	for _, h := range append(s.pair(), s.Backends...) {
		err = errors.Join(err, s.runShell(h, "ip address add 10.2.0.50/32 dev lo; "+
			"ip address add fd00:2::50/128 dev lo nodad"))
	}
	return err
})

// runShell runs commands on a machine. The last one tells of a fault.
func (s *testbed) runShell(h *netlab.Host, commands string) error {
	_, err := h.Run(s.ctx, "", "sh", "-c", commands)
	return err
}

// A balancerOf is one of the balancers of a pair.
type balancerOf func(*testbed) *netlab.Host

func first(s *testbed) *netlab.Host  { return s.Balancer }
func second(s *testbed) *netlab.Host { return s.Second }

func (s *testbed) pair() []*netlab.Host { return []*netlab.Host{s.Balancer, s.Second} }

// moveFloating gives the floating address to a balancer, as VRRP does. From is nil if no balancer has it.
type moveFloating struct{ from, to balancerOf }

func (m moveFloating) do(s *testbed) error {
	for _, h := range s.pair() {
		if m.from != nil && h == m.from(s) {
			err := s.runShell(h, "ip address del 10.2.0.50/32 dev eth0; ip address del fd00:2::50/128 dev eth0")
			if err != nil {
				return err
			}
		}
	}
	err := s.runShell(m.to(s), "ip address add 10.2.0.50/32 dev eth0; ip address add fd00:2::50/128 dev eth0 nodad")
	return errors.Join(err, s.runShell(s.Client, "ip neigh flush dev eth0"))
}

// onSecond runs steps with the second balancer in the place of the first.
type onSecond steps

func (o onSecond) do(s *testbed) error {
	lab := &netlab.Lab{Client: s.Client, Balancer: s.Second, Second: s.Balancer, Backends: s.Backends}
	other := &testbed{Lab: lab, t: s.t, ctx: s.ctx, backendOf: s.backendOf, times: s.times}
	if s.secondEngine == nil {
		s.secondEngine = &live.Engine{Store: statedir.Store{Dir: s.t.TempDir()}, Log: s.t.Logf}
	}
	other.engine = s.secondEngine
	return steps(o).do(other)
}

// onPair loads the same farms on both balancers.
func onPair(f farms) steps { return steps{f, onSecond{f}} }

// countFrames has both balancers, and backend b1, count the frames to the floating address from each balancer.
var countFrames = stepFunc(func(s *testbed) (err error) {
	var rules strings.Builder
	for _, h := range s.pair() {
		mac, failed := hardwareAddress(h, "eth0")
		if failed != nil {
			return failed
		}
		for _, to := range []string{"ip daddr 10.2.0.50", "ip6 daddr fd00:2::50"} {
			fmt.Fprintf(&rules, "ether saddr %s %s counter comment %q\n", mac, to, h.Name)
		}
	}
	script := "table netdev seen {}\ndelete table netdev seen\ntable netdev seen { chain in {\n" +
		"type filter hook ingress device eth0 priority -400\n" + rules.String() + "}; }\n"
	for _, h := range append(s.pair(), s.Backends[0]) {
		_, failed := h.Run(s.ctx, script, "nft", "-f", "-")
		err = errors.Join(err, failed)
	}
	return err
})

// hardwareAddress reads the MAC address of a link.
func hardwareAddress(h *netlab.Host, link string) (mac net.HardwareAddr, err error) {
	err = h.Do(func() error {
		on, err := net.InterfaceByName(link)
		if err == nil {
			mac = on.HardwareAddr
		}
		return err
	})
	return mac, err
}

// handedOn: since countFrames one balancer has handed on frames to the other one and to b1, and the other one none.
type handedOn struct{ by balancerOf }

func (o handedOn) do(s *testbed) (err error) {
	by := o.by(s)
	for _, h := range append(s.pair(), s.Backends[0]) {
		text, failed := h.Run(s.ctx, "", "nft", "list", "table", "netdev", "seen")
		if failed != nil {
			return failed
		}
		all := counterLine.FindAllStringSubmatch(text, -1)
		if len(all) != 4 { // of two balancers, in both families
			return fmt.Errorf("the counters of %s are not known: %s", h.Name, text)
		}
		for _, found := range all {
			packets, from := found[1], found[2]
			if want := from == by.Name && h != by; want != (packets != "0") {
				err = errors.Join(err, fmt.Errorf("%s got %s frames from %s: %s", h.Name, packets, from, found[0]))
			}
		}
	}
	return err
}

// isHere: status says that so named backends of farm web are this machine, and no other ones.
type isHere []string

func (want isHere) do(s *testbed) error {
	f, err := s.status("web")
	var here []string
	for _, b := range f.Backends {
		if b.Here {
			here = append(here, b.Name)
		}
	}
	if err == nil && !slices.Equal(here, want) {
		err = fmt.Errorf("%v are this machine, want %v", here, want)
	}
	return err
}

// noFinding: neither preflight nor the doctor finds anything.
var noFinding = stepFunc(func(s *testbed) error {
	found, err := s.found()
	s.wantExamined(s.t, "", "")
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("found %v", found.Diagnostics())
	}
	return err
})

// ownShareFinding: a backend that is this machine lacks an address. The remedy adds it.
func ownShareFinding(backend, address string) step {
	return stepFunc(func(s *testbed) error {
		found, err := s.found()
		if err != nil {
			return err
		}
		want := fmt.Sprintf("backend %s is this machine, which does not have %s,", backend, address)
		if len(found) != 1 || found[0].Kind != "own-share" || !strings.Contains(found[0].Message, want) {
			return fmt.Errorf("found %v, want %q", found.Diagnostics(), want)
		}
		return runs(found[0].Hint()).do(s)
	})
}

// dropsAtInput drops the clients' packets to a balancer.
var dropsAtInput = nftScript(`table inet filter2 { chain in {
	type filter hook input priority 0; policy drop; ct state established,related accept; udp dport 53 accept
	icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
}; }`)

// inputFinding: rules drop the share of one of several backends.
var inputFinding = stepFunc(func(s *testbed) error {
	found, err := s.found()
	if err == nil && (len(found) != 1 || found[0].Effect != preflight.Harms ||
		!strings.Contains(found[0].Text(), "drops the packets to a backend on this machine (farm web)")) {
		err = fmt.Errorf("found %v", found.Diagnostics())
	}
	return err
})

// applyAgain loads the same farms for the addresses that the machine has now.
var applyAgain = stepFunc(func(s *testbed) error {
	return s.Balancer.Do(func() error {
		_, _, err := s.engine.Apply(s.ctx)
		return err
	})
})

var counterLine = regexp.MustCompile(`ip6? daddr \S+ counter packets (\d+) bytes \d+ comment "(\w+)"`)

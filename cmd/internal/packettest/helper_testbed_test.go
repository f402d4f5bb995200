package packettest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/statedir"
)

// A testbed is a lab whose balancer serves farms, with the results of the steps so far.
type testbed struct {
	*netlab.Lab
	t      *testing.T
	ctx    context.Context
	engine *live.Engine

	secondEngine *live.Engine // of the second balancer of a pair

	sourcePorts   atomic.Int64 // the number of source ports in use
	retransmitted int          // an upper bound of the unanswered packets that the kernel has retransmitted
	held          []connection
	meetings      int
	conversations []*conversation
	backendOf     map[string]map[netip.Addr]string // by the name of a step and the client's address
	times         map[string]time.Time             // by the name of a step
	nflog         nflogReader
	queueProgram  *queueProgram
}

// testbedPorts are open on every machine.
var testbedPorts = []uint16{53, 80, 443, 8000, 8050, 8081, 8082, 8083, 8100}

// newTestbed makes a testbed that lasts as long as the test. With -short the test is skipped.
func newTestbed(t *testing.T, options netlab.Options) *testbed {
	t.Helper()
	skipShort(t)
	s := &testbed{Lab: netlab.Test(t, options), t: t, ctx: t.Context(), backendOf: map[string]map[netip.Addr]string{},
		times: map[string]time.Time{}}
	for _, h := range s.machines() {
		if _, err := h.Serve(testbedPorts...); err != nil {
			t.Fatal(err)
		}
	}
	// conntrack entries of UDP last as long as the test, instead of half a minute
	must(t, s.Balancer.Sysctl("net.netfilter.nf_conntrack_udp_timeout", "1200"))
	must(t, s.Balancer.Sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", "1200"))
	s.engine = &live.Engine{Store: statedir.Store{Dir: t.TempDir()}, Log: t.Logf}
	return s
}

func (s *testbed) machines() []*netlab.Host {
	all := append([]*netlab.Host{s.Client, s.Balancer}, s.Backends...)
	if s.Twin != nil {
		all = append(all, s.Twin)
	}
	return all
}

// machine is the machine with the name.
func (s *testbed) machine(name string) *netlab.Host {
	all := s.machines()
	return all[slices.IndexFunc(all, func(h *netlab.Host) bool { return h.Name == name })]
}

// address is the machine's address on the backends' link, of the same family as another address.
func address(h *netlab.Host, like netip.Addr) netip.Addr {
	switch {
	case h.Name == "balancer" && like.Is6():
		return netip.MustParseAddr("fd00:2::1")
	case h.Name == "balancer":
		return netip.MustParseAddr("10.2.0.1")
	case like.Is6():
		return h.IP6[0]
	}
	return h.IP4[0]
}

// newClient returns an unused source address and port, because conntrack sends a second UDP conversation of the same
// addresses and ports to the first one's backend. No two clients have the same port: on the balancer they would compete
// for it, and the kernel drops the first packet of one. All runs use the same sequence.
func (s *testbed) newClient(h *netlab.Host, to netip.Addr) netip.AddrPort {
	n := int(s.sourcePorts.Add(1) - 1)
	port := uint16(10000 + n)
	if h != s.Client {
		return netip.AddrPortFrom(netip.Addr{}, port)
	}
	clients := s.clients(to)
	return netip.AddrPortFrom(clients[n%len(clients)], port)
}

// newClientAs is a new client with one of the addresses, if there is one of the family.
func (s *testbed) newClientAs(h *netlab.Host, to netip.Addr, addresses string) netip.AddrPort {
	as := s.newClient(h, to)
	for _, word := range strings.Fields(addresses) {
		if a := netip.MustParseAddr(word); a.Is6() == to.Is6() {
			as = netip.AddrPortFrom(a, as.Port())
		}
	}
	return as
}

// clients are the client's source addresses.
func (s *testbed) clients(to netip.Addr) []netip.Addr {
	if to.Is6() {
		return s.Client.IP6
	}
	return s.Client.IP4
}

// addAddress gives a link of the balancer another address, which the kernel does not choose as a source by itself.
type addAddress struct{ link, address string }

func (o addAddress) do(s *testbed) error {
	return s.Balancer.Do(func() error {
		on, err := netlink.LinkByName(o.link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(o.address)
		if err != nil {
			return err
		}
		a.Flags, a.ValidLft = syscall.IFA_F_NODAD, 1<<32-1 // deprecated from the start, valid forever
		return netlink.AddrAdd(on, a)
	})
}

// addDefaultRoutes gives the balancer default gateways.
var addDefaultRoutes = stepFunc(func(s *testbed) error {
	return errors.Join(
		s.Balancer.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("203.0.113.2")),
		s.Balancer.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("2001:db8:f::2")))
})

// onSecondTestbed runs steps on a second testbed, which shares only the recorded backends with the first.
type onSecondTestbed steps

func (e onSecondTestbed) do(s *testbed) error {
	other := newTestbed(s.t, netlab.Options{})
	other.backendOf = s.backendOf
	return steps(e).do(other)
}

// eventually repeats a step until it succeeds or the time is over.
type eventually struct{ step }

func (e eventually) do(s *testbed) error {
	for end := deadline(); ; {
		if err := e.step.do(s); err == nil || end.over() {
			return err
		}
	}
}

// conntrackEntries are the balancer's conntrack entries of both families. The kernel is not asked for an empty table,
// as in conntrack.DumpAll.
func (s *testbed) conntrackEntries() (flows []*netlink.ConntrackFlow, err error) {
	err = s.Balancer.Do(func() error {
		if n, known := conntrack.Count(); known && n == 0 {
			return nil
		}
		flows, err = netlink.ConntrackTableList(netlink.ConntrackTable, syscall.AF_UNSPEC)
		return err
	})
	return flows, err
}

// kernelCounter reads a number from a file in the machine's own /proc/net, with a name and a number in each line.
func kernelCounter(h *netlab.Host, file, name string) (n int, err error) {
	err = h.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/" + file)
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				_, err = fmt.Sscan(rest, &n)
			}
		}
		return err
	})
	return n, err
}

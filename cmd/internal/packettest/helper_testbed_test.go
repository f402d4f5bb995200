package packettest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/compiler"
	"farmc/compiler/diag"
	"github.com/vishvananda/netlink"
)

// A stage is a lab whose balancer serves farms, and what has been seen of it so far.
type stage struct {
	*netlab.Lab
	t      *testing.T
	ctx    context.Context
	engine *live.Engine

	asked    atomic.Int64 // how often somebody new was needed to ask
	repeated int          // how many packets to which nobody answered the kernel may have sent once more, at most
	held     []connection
	meetings int
	talks    []*talking
	met      map[string]map[netip.Addr]string // by the name of a meeting: who answered whom
	journal  journal
	judge    *judge
}

// stagePorts are answered on by every machine.
var stagePorts = []uint16{53, 80, 443, 8000, 8050, 8081, 8082, 8083, 8100}

func newStage(t *testing.T, options netlab.Options) *stage {
	t.Helper()
	s := &stage{Lab: netlab.Test(t, options), t: t, ctx: t.Context(), met: map[string]map[netip.Addr]string{}}
	for _, h := range s.machines() {
		if _, err := h.Serve(stagePorts...); err != nil {
			t.Fatal(err)
		}
	}
	// a conversation by UDP lasts as long as the test, and not half a minute
	must(t, s.Balancer.Sysctl("net.netfilter.nf_conntrack_udp_timeout", "1200"))
	must(t, s.Balancer.Sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", "1200"))
	s.engine = &live.Engine{Store: live.Store{Dir: t.TempDir()}, Log: t.Logf}
	return s
}

func (s *stage) machines() []*netlab.Host {
	return append([]*netlab.Host{s.Client, s.Balancer}, s.Backends...)
}

// machine gives the one of that name.
func (s *stage) machine(name string) *netlab.Host {
	all := s.machines()
	return all[slices.IndexFunc(all, func(h *netlab.Host) bool { return h.Name == name })]
}

// address is the one that a machine is known by among the backends, of the family of another address.
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

// speaker gives an address and port that nobody has spoken as before, as conntrack would send a second UDP
// conversation of the same two to where the first one went. No two have the same port, as two at once would contend
// for it on the balancer, and the kernel drops the first packet of one. Who they are is the same in every run.
func (s *stage) speaker(h *netlab.Host, to netip.Addr) netip.AddrPort {
	n := int(s.asked.Add(1) - 1)
	port := uint16(10000 + n)
	if h != s.Client {
		return netip.AddrPortFrom(netip.Addr{}, port)
	}
	clients := s.clients(to)
	return netip.AddrPortFrom(clients[n%len(clients)], port)
}

// speakerAs is somebody new with that one of the addresses, if there are any, which is of the family.
func (s *stage) speakerAs(h *netlab.Host, to netip.Addr, addresses string) netip.AddrPort {
	as := s.speaker(h, to)
	for _, word := range strings.Fields(addresses) {
		if a := netip.MustParseAddr(word); a.Is6() == to.Is6() {
			as = netip.AddrPortFrom(a, as.Port())
		}
	}
	return as
}

// clients are the addresses that the client can speak as.
func (s *stage) clients(to netip.Addr) []netip.Addr {
	if to.Is6() {
		return s.Client.IP6
	}
	return s.Client.IP4
}

// farms are loaded as apply does, in place of all that were there: the text of each by its name. That of a list ends in
// ".list".
type farms map[string]string

func (f farms) do(s *stage) error { return s.apply(f.files()) }

func (f farms) files() fs.FS {
	files := fstest.MapFS{}
	for name, text := range f {
		if !strings.HasSuffix(name, ".list") {
			name += ".toml"
		}
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return files
}

func (s *stage) apply(files fs.FS) error {
	s.engine.Dirs = []compiler.Dir{{Path: "farms.d", FS: files}}
	return s.Balancer.Do(func() error {
		_, told, err := s.engine.Apply(s.ctx)
		if err == nil {
			return nil
		}
		var text strings.Builder
		told.Print(&text, diag.Palette{})
		return fmt.Errorf("%w\n%s", err, text.String())
	})
}

// pipe is farmc compile | nft -f -.
var pipe = deed(func(s *stage) error {
	script, told := s.engine.Compile()
	if told.Faulty() {
		return fmt.Errorf("%v", told)
	}
	return foreign(script.Text).do(s)
})

// foreign is a script of somebody else's, loaded on the balancer.
type foreign string

func (f foreign) do(s *stage) error {
	_, err := s.Balancer.Run(s.ctx, string(f), "nft", "-f", "-")
	return err
}

// wipe takes farmc's table away.
const wipe = foreign("delete table inet farmc\n")

// shutIngress has nothing come in at the balancer until openIngress: without rules it takes the last acknowledgement of
// what was carried, which comes up to 40 ms later, for its own, and resets the connection.
const (
	shutIngress = foreign("table inet shut { chain c { type filter hook prerouting priority -500; drop; }; }\n")
	openIngress = foreign("delete table inet shut\n")
)

// owns gives a link of the balancer a further address, which the kernel doesn't choose by itself.
type owns struct{ link, address string }

func (o owns) do(s *stage) error {
	return s.Balancer.Do(func() error {
		on, err := netlink.LinkByName(o.link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(o.address)
		if err != nil {
			return err
		}
		a.Flags, a.ValidLft = syscall.IFA_F_NODAD, 1<<32-1 // preferred for no time, valid for ever
		return netlink.AddrAdd(on, a)
	})
}

// outward gives the balancer a default gateway.
var outward = deed(func(s *stage) error {
	return errors.Join(
		s.Balancer.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("203.0.113.2")),
		s.Balancer.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("2001:db8:f::2")))
})

// elsewhere plays steps on a second stage, which has nothing in common with the first but what was met there.
type elsewhere steps

func (e elsewhere) do(s *stage) error {
	other := newStage(s.t, netlab.Options{})
	other.met = s.met
	return steps(e).do(other)
}

// eventually tries a step until it succeeds, or the last error is final.
type eventually struct{ step }

func (e eventually) do(s *stage) error {
	for end := deadline(); ; {
		if err := e.step.do(s); err == nil || end.over() {
			return err
		}
	}
}

// flows are what connection tracking of the balancer holds, of the family of an address.
func (s *stage) flows(like netip.Addr) (flows []*netlink.ConntrackFlow, err error) {
	family := netlink.InetFamily(syscall.AF_INET)
	if like.Is6() {
		family = syscall.AF_INET6
	}
	err = s.Balancer.Do(func() error {
		flows, err = netlink.ConntrackTableList(netlink.ConntrackTable, family)
		return err
	})
	return flows, err
}

// statistic reads a number of the kernel's from the machine's own /proc/net: a line of a name and a number.
func statistic(h *netlab.Host, file, name string) (n int, err error) {
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

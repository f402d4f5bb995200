package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
)

// addLink gives the balancer another link at the switch, with addresses of its own. The balancer's first link there
// does not answer ARP requests for them, as it would by default.
func addLink(link string) step {
	return stepFunc(func(s *testbed) error {
		return errors.Join(s.Balancer.Sysctl("net.ipv4.conf.all.arp_ignore", "1"), s.Plug(s.Balancer, link),
			runOn{"balancer", "ip address add 10.2.0.2/24 dev " + link +
				" noprefixroute\nip address add fd00:2::2/64 dev " + link + " noprefixroute nodad"}.do(s))
	})
}

// warns loads farms and expects a warning, or none if the text is empty.
type warns struct {
	farms farms
	of    string
}

func (w warns) do(s *testbed) error {
	if err := w.farms.do(s); err != nil {
		return err
	}
	var told []string
	err := s.Balancer.Do(func() error {
		_, all, err := s.engine.Plan(s.ctx)
		for _, d := range all {
			told = append(told, fmt.Sprintf("%s:%d:%d: %s: %s", d.Place.File, d.Place.Line, d.Place.Column, d.Severity,
				d.Message))
		}
		return err
	})
	said := slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, w.of) })
	if err == nil && (said != (w.of != "") || w.of == "" && len(told) > 0) {
		err = fmt.Errorf("said %q, not %q", told, w.of)
	}
	return err
}

// renameLink renames a link of the balancer.
type renameLink struct{ from, to string }

func (r renameLink) do(s *testbed) error {
	err := s.Balancer.Do(func() error {
		link, err := netlink.LinkByName(r.from)
		if err != nil {
			return err
		}
		return netlink.LinkSetName(link, r.to)
	})
	if errors.Is(err, syscall.EBUSY) {
		s.t.Skip("this kernel cannot rename a link that is up")
	}
	return err
}

// setMACs gives the link between client and balancer new MAC addresses, and flushes conntrack and neighbours.
func (s *testbed) setMACs(client, balancer byte) error {
	for _, end := range []struct {
		do  func(func() error) error
		mac net.HardwareAddr
	}{
		{s.Client.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x10 + client}},
		{s.Balancer.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x20 + balancer}},
	} {
		if err := end.do(func() error { return setMAC(end.mac) }); err != nil {
			return err
		}
	}
	return s.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func setMAC(mac net.HardwareAddr) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
		return err
	}
	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, n := range neighbours {
		if err := netlink.NeighDel(&n); err != nil {
			return err
		}
	}
	return nil
}

// mac is the address of a machine's link.
func (s *testbed) mac(machine string) (mac string, err error) {
	err = s.machine(machine).Do(func() error {
		on, err := netlink.LinkByName("eth0")
		if err == nil {
			mac = on.Attrs().HardwareAddr.String()
		}
		return err
	})
	return mac, err
}

// replaceLink gives a backend a new link, with the addresses and routes of the old one.
func replaceLink(name string) step {
	return stepFunc(func(s *testbed) error {
		b := s.machine(name)
		if err := (runOn{name, "ip link delete eth0"}).do(s); err != nil {
			return err
		}
		return errors.Join(s.Plug(b, "eth0"),
			b.AddAddress("eth0", netip.PrefixFrom(b.IP4[0], 24)), b.AddAddress("eth0", netip.PrefixFrom(b.IP6[0], 64)),
			b.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.2.0.100")),
			b.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("fd00:2::100")))
	})
}

// sentOver: the balancer has sent frames over each of these links.
type sentOver []string

func (links sentOver) do(s *testbed) error {
	return s.Balancer.Do(func() error {
		for _, name := range links {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if n := link.Attrs().Statistics.TxPackets; n < 100 {
				return fmt.Errorf("only %d packets left by %s", n, name)
			}
		}
		return nil
	})
}

// returnByBalancer routes packets of backends to clients on their own link through the balancer.
var returnByBalancer = stepFunc(func(s *testbed) (err error) {
	for _, b := range s.Backends[:3] {
		err = errors.Join(err, addRoutes(b, "10.2.0.1 fd00:2::1", "10.2.0.96/27 10.2.0.128/27 fd00:2::100/120"))
	}
	return err
})

// addRoutes routes networks through a gateway with two addresses.
func addRoutes(h *netlab.Host, gateway, networks string) (err error) {
	for _, network := range strings.Fields(networks) {
		for _, via := range strings.Fields(gateway) {
			to, via := netip.MustParsePrefix(network), netip.MustParseAddr(via)
			if to.Addr().Is6() == via.Is6() {
				err = errors.Join(err, h.AddRoute(to, via))
			}
		}
	}
	return err
}

// setMTU sets the MTU of interfaces, as in "balancer eth0 client eth0".
type setMTU struct {
	links string
	size  int
}

func (m setMTU) do(s *testbed) (err error) {
	words := strings.Fields(m.links)
	for i := 0; i < len(words); i += 2 {
		err = errors.Join(err, s.machine(words[i]).Do(func() error {
			link, err := netlink.LinkByName(words[i+1])
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, m.size)
		}))
	}
	return err
}

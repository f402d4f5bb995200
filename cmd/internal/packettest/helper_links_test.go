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

// further gives the balancer a further link at the switch, with addresses of its own.
func further(link string) step {
	return deed(func(s *stage) error {
		return errors.Join(s.Plug(s.Balancer, link), on{"balancer", "ip address add 10.2.0.2/24 dev " + link + " noprefixroute\nip address add fd00:2::2/64 dev " + link + " noprefixroute nodad"}.do(s))
	})
}

// warned applies farms, which warns as it says, or not at all, and loads them.
type warned struct {
	farms farms
	of    string
}

func (w warned) do(s *stage) error {
	if err := w.farms.do(s); err != nil {
		return err
	}
	var told []string
	err := s.Balancer.Do(func() error {
		_, all, err := s.engine.Plan(s.ctx)
		for _, d := range all {
			told = append(told, fmt.Sprintf("%s:%d:%d: %s: %s", d.Place.File, d.Place.Line, d.Place.Column, d.Severity, d.Message))
		}
		return err
	})
	said := slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, w.of) })
	if err == nil && (said != (w.of != "") || w.of == "" && len(told) > 0) {
		err = fmt.Errorf("said %q, not %q", told, w.of)
	}
	return err
}

// renamed gives a link of the balancer another name.
type renamed struct{ from, to string }

func (r renamed) do(s *stage) error {
	err := s.Balancer.Do(func() error {
		link, err := netlink.LinkByName(r.from)
		if err != nil {
			return err
		}
		return netlink.LinkSetName(link, r.to)
	})
	if errors.Is(err, syscall.EBUSY) {
		s.t.Skip("this kernel renames no link that is up")
	}
	return err
}

// wear gives the link between client and balancer new MAC addresses, and forgets connections and neighbours.
func (s *stage) wear(client, balancer byte) error {
	for _, end := range []struct {
		do  func(func() error) error
		mac net.HardwareAddr
	}{
		{s.Client.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x10 + client}},
		{s.Balancer.Do, net.HardwareAddr{2, 0, 0, 0, 0, 0x20 + balancer}},
	} {
		if err := end.do(func() error { return wear(end.mac) }); err != nil {
			return err
		}
	}
	return s.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func wear(mac net.HardwareAddr) error {
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
func (s *stage) mac(machine string) (mac string, err error) {
	err = s.machine(machine).Do(func() error {
		on, err := netlink.LinkByName("eth0")
		if err == nil {
			mac = on.Attrs().HardwareAddr.String()
		}
		return err
	})
	return mac, err
}

// replugged gives a backend a new link, with the addresses and routes of the old one.
func replugged(name string) step {
	return deed(func(s *stage) error {
		b := s.machine(name)
		if err := (on{name, "ip link delete eth0"}).do(s); err != nil {
			return err
		}
		return errors.Join(s.Plug(b, "eth0"),
			b.AddAddress("eth0", netip.PrefixFrom(b.IP4[0], 24)), b.AddAddress("eth0", netip.PrefixFrom(b.IP6[0], 64)),
			b.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.2.0.100")),
			b.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("fd00:2::100")))
	})
}

// sent: the balancer has sent frames out of each of these links.
type sent []string

func (links sent) do(s *stage) error {
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

// backByBalancer has the backends send what goes to clients on their own link to the balancer.
var backByBalancer = deed(func(s *stage) (err error) {
	for _, b := range s.Backends[:3] {
		err = errors.Join(err, routes(b, "10.2.0.1 fd00:2::1", "10.2.0.96/27 10.2.0.128/27 fd00:2::100/120"))
	}
	return err
})

// routes has a machine send to networks by way of a gateway's two addresses.
func routes(h *netlab.Host, gateway, networks string) (err error) {
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

// An mtu is set for interfaces: "balancer eth0 client eth0".
type mtu struct {
	links string
	size  int
}

func (m mtu) do(s *stage) (err error) {
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

package netlab

import (
	"errors"
	"net/netip"
)

// The client's own address at the switch, where backends send what they answer directly.
const (
	directGateway4 = "10.2.0.100"
	directGateway6 = "fd00:2::100"
)

// ownServices gives every backend the services' addresses on its lo, which it neither tells its neighbours of nor
// speaks as to them (Documentation/networking/ip-sysctl.rst: arp_ignore, arp_announce; IPv6 is like that by nature).
func (l *Lab) ownServices() error {
	for _, b := range l.Backends {
		err := b.sysctls(
			setting{"net.ipv4.conf.all.arp_ignore", "1"},
			setting{"net.ipv4.conf.all.arp_announce", "2"})
		for _, vip := range services() {
			err = errors.Join(err, b.addAddress("lo", single(vip), false))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// direct connects the client to the switch by a link of its own, if the balancer is between the two.
func (l *Lab) direct(options Options) error {
	if options.OneArmed {
		return l.manyClients()
	}
	if err := l.plug(l.Client, "eth1"); err != nil {
		return err
	}
	return errors.Join(
		l.Client.addAddress("eth1", netip.MustParsePrefix(directGateway4+"/24"), false),
		l.Client.addAddress("eth1", netip.MustParsePrefix(directGateway6+"/64"), false))
}

// manyClients puts the network of clients behind the client that is at the switch.
func (l *Lab) manyClients() error {
	ip4, ip6 := clients()
	l.Client.IP4, l.Client.IP6 = append(l.Client.IP4, ip4...), append(l.Client.IP6, ip6...)
	return errors.Join(
		l.Client.ownNetwork(netip.MustParsePrefix(clientNetwork4)),
		l.Client.ownNetwork(netip.MustParsePrefix(clientNetwork6)))
}

// directRoutes has the balancer find the clients that are behind the one at the switch.
func (l *Lab) directRoutes() error {
	return errors.Join(
		l.oneArmRoutes(),
		l.Balancer.AddRoute(netip.MustParsePrefix(clientNetwork4), netip.MustParseAddr(directGateway4)),
		l.Balancer.AddRoute(netip.MustParsePrefix(clientNetwork6), netip.MustParseAddr(directGateway6)))
}

// Plug connects a further link of the host to the switch, and waits until it carries packets.
func (l *Lab) Plug(h *Host, link string) error {
	if err := l.plug(h, link); err != nil {
		return err
	}
	return errors.Join(h.await(h.unconnected), h.await(h.tentative))
}

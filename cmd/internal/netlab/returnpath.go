package netlab

import (
	"errors"
	"net/netip"
)

// The client's own address at the switch, the gateway of backends that answer directly.
const (
	returnGateway4 = "10.2.0.100"
	returnGateway6 = "fd00:2::100"
)

// addServiceAddresses adds the services' addresses to lo of every backend. The backends do not answer ARP requests for
// them and do not use them as sources of ARP requests (Documentation/networking/ip-sysctl.rst: arp_ignore,
// arp_announce). IPv6 needs no settings for that.
func (l *Lab) addServiceAddresses() error {
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

// addReturnLinks connects the client to the switch by a second link, unless the client is at the switch already.
func (l *Lab) addReturnLinks(options Options) error {
	if options.OneArmed {
		return l.addClientNetwork()
	}
	if err := l.plug(l.Client, "eth1"); err != nil {
		return err
	}
	return errors.Join(
		l.Client.addAddress("eth1", netip.MustParsePrefix(returnGateway4+"/24"), false),
		l.Client.addAddress("eth1", netip.MustParsePrefix(returnGateway6+"/64"), false))
}

// addClientNetwork makes the client at the switch a router for the network of clients.
func (l *Lab) addClientNetwork() error {
	ip4, ip6 := clients()
	l.Client.IP4, l.Client.IP6 = append(l.Client.IP4, ip4...), append(l.Client.IP6, ip6...)
	return errors.Join(
		l.Client.ownNetwork(netip.MustParsePrefix(clientNetwork4)),
		l.Client.ownNetwork(netip.MustParsePrefix(clientNetwork6)))
}

// returnRoutes adds routes from the balancer to the network of clients at the switch.
func (l *Lab) returnRoutes() error {
	return errors.Join(
		l.oneArmRoutes(),
		l.Balancer.AddRoute(netip.MustParsePrefix(clientNetwork4), netip.MustParseAddr(returnGateway4)),
		l.Balancer.AddRoute(netip.MustParsePrefix(clientNetwork6), netip.MustParseAddr(returnGateway6)))
}

// Plug creates a further link between the host and the switch, and waits until it carries packets.
func (l *Lab) Plug(h *Host, link string) error {
	if err := l.plug(h, link); err != nil {
		return err
	}
	return errors.Join(h.await(h.linkNotReady), h.await(h.tentativeAddress))
}

package netlab

import (
	"errors"
	"fmt"
	"net/netip"
)

const (
	backendGateway4 = "10.2.0.1"
	backendGateway6 = "fd00:2::1"
	clientGateway4  = "203.0.113.1"
	clientGateway6  = "2001:db8:f::1"
	clientNetwork4  = "198.51.100.0/24"
	clientNetwork6  = "2001:db8:c::/48"
)

// build creates the hosts, connects them, and waits until the links carry packets.
func (l *Lab) build(options Options) error {
	if options.Balancers > 0 {
		return l.buildCluster(options)
	}
	if err := l.addHosts(options); err != nil {
		return err
	}
	if !options.NoSwitch {
		if err := l.addSwitch(); err != nil {
			return err
		}
	}
	arms, routes := l.twoArms, l.twoArmRoutes
	if options.OneArmed {
		arms, routes = l.oneArm, l.oneArmRoutes
	}
	if err := arms(); err != nil {
		return err
	}
	for i, b := range l.Backends {
		if err := l.attach(b, "eth0", 11+i, 1); err != nil {
			return err
		}
	}
	for _, balancer := range l.balancers() {
		if err := balancer.configureBalancer(options); err != nil {
			return err
		}
	}
	gateway4, gateway6 := backendGateway4, backendGateway6
	if options.BackendVIPs {
		if err := l.addServiceAddresses(); err != nil {
			return err
		}
	}
	if options.DirectReturn {
		gateway4, gateway6 = returnGateway4, returnGateway6
		if err := l.addReturnLinks(options); err != nil {
			return err
		}
	}
	for _, h := range l.hosts {
		if err := errors.Join(h.await(h.linkNotReady), h.await(h.tentativeAddress)); err != nil {
			return err
		}
	}
	for _, b := range l.Backends {
		if err := b.gateway(gateway4, gateway6); err != nil {
			return err
		}
	}
	if options.DirectReturn && options.OneArmed {
		routes = l.returnRoutes
	}
	return routes()
}

// addHosts creates the hosts, without links.
func (l *Lab) addHosts(options Options) (err error) {
	if l.switchHost, err = l.newHost("switch", plainTTL); err != nil {
		return err
	}
	if err := l.switchHost.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"); err != nil {
		return err
	}
	if l.Balancer, err = l.newHost("balancer", plainTTL); err != nil {
		return err
	}
	if l.Client, err = l.newHost("client", plainTTL); err != nil {
		return err
	}
	if options.Twin {
		if l.Twin, err = l.newHost("twin", plainTTL); err != nil {
			return err
		}
	}
	if options.Pair {
		if l.Second, err = l.newHost("second", plainTTL); err != nil {
			return err
		}
	}
	for i := range options.Backends {
		b, err := l.newHost(fmt.Sprintf("b%d", i+1), backendTTL(i))
		if err != nil {
			return err
		}
		l.Backends = append(l.Backends, b)
	}
	return nil
}

// twoArms connects the client to the balancer. The client is a router for a network of clients: a link with hundreds of
// clients would exhaust the neighbour table, which all namespaces share.
func (l *Lab) twoArms() error {
	if err := l.connect(l.Client, "eth0", l.Balancer, "eth0"); err != nil {
		return err
	}
	for _, at := range []struct {
		host   *Host
		prefix string
	}{
		{l.Balancer, clientGateway4 + "/30"},
		{l.Balancer, clientGateway6 + "/64"},
		{l.Client, "203.0.113.2/30"},
		{l.Client, "2001:db8:f::2/64"},
	} {
		if err := at.host.addAddress("eth0", netip.MustParsePrefix(at.prefix), false); err != nil {
			return err
		}
	}
	l.Balancer.IP4 = []netip.Addr{netip.MustParseAddr(clientGateway4)}
	l.Balancer.IP6 = []netip.Addr{netip.MustParseAddr(clientGateway6)}
	l.Client.IP4, l.Client.IP6 = clients()
	for _, first := range []netip.Addr{l.Client.IP4[0], l.Client.IP6[0]} {
		if err := l.Client.addAddress("lo", single(first), false); err != nil {
			return err
		}
	}
	if l.Twin != nil {
		if err := l.addTwin(); err != nil {
			return err
		}
	}
	return l.attach(l.Balancer, "eth1", 1, 1)
}

// addTwin connects the twin to the balancer, with the addresses of the client's link.
func (l *Lab) addTwin() error {
	if err := l.connect(l.Twin, "eth0", l.Balancer, "eth9"); err != nil {
		return err
	}
	l.Twin.IP4, l.Twin.IP6 = l.Client.IP4, l.Client.IP6
	return errors.Join(
		l.Balancer.addBoth("eth9", clientGateway4+"/30", clientGateway6+"/64"),
		l.Twin.addBoth("eth0", "203.0.113.2/30", "2001:db8:f::2/64"),
		l.Twin.addBoth("lo", l.Client.IP4[0].String()+"/32", l.Client.IP6[0].String()+"/128"))
}

// twoArmRoutes gives the client the networks of clients, and the balancer routes to them.
func (l *Lab) twoArmRoutes() error {
	networks := []struct{ prefix, via string }{
		{clientNetwork4, "203.0.113.2"},
		{clientNetwork6, "2001:db8:f::2"},
	}
	for _, n := range networks {
		prefix := netip.MustParsePrefix(n.prefix)
		if err := l.Client.ownNetwork(prefix); err != nil {
			return err
		}
		if err := l.Balancer.AddRoute(prefix, netip.MustParseAddr(n.via)); err != nil {
			return err
		}
	}
	if l.Twin != nil {
		for _, n := range networks {
			if err := l.Twin.ownNetwork(netip.MustParsePrefix(n.prefix)); err != nil {
				return err
			}
		}
		if err := l.Twin.gateway(clientGateway4, clientGateway6); err != nil {
			return err
		}
	}
	return l.Client.gateway(clientGateway4, clientGateway6)
}

// oneArm connects the client and the balancers to the switch.
func (l *Lab) oneArm() error {
	if err := l.attach(l.Balancer, "eth0", 1, 1); err != nil {
		return err
	}
	if l.Second != nil {
		if err := l.attach(l.Second, "eth0", 2, 1); err != nil {
			return err
		}
	}
	return l.attach(l.Client, "eth0", 100, 32)
}

func (l *Lab) balancers() []*Host {
	if l.Second == nil {
		return []*Host{l.Balancer}
	}
	return []*Host{l.Balancer, l.Second}
}

func (l *Lab) oneArmRoutes() error {
	return l.Client.gateway(backendGateway4, backendGateway6)
}

// attach connects a host to the switch, with n addresses from the first on.
func (l *Lab) attach(h *Host, link string, first, n int) error {
	if err := l.plug(h, link); err != nil {
		return err
	}
	ip4, ip6 := numbered("10.2.0.%d", first, n), numbered("fd00:2::%d", first, n)
	for i := range n {
		if err := h.addAddress(link, netip.PrefixFrom(ip4[i], 24), false); err != nil {
			return err
		}
		if err := h.addAddress(link, netip.PrefixFrom(ip6[i], 64), i > 0); err != nil {
			return err
		}
	}
	h.IP4, h.IP6 = append(h.IP4, ip4...), append(h.IP6, ip6...)
	return nil
}

// configureBalancer makes a host a router with the services' addresses.
func (h *Host) configureBalancer(options Options) error {
	if !options.NoVIPs {
		for _, vip := range services() {
			if err := h.addAddress("lo", single(vip), false); err != nil {
				return err
			}
		}
	}
	if options.NoForwarding {
		return nil
	}
	return h.sysctls(setting{"net.ipv4.ip_forward", "1"}, setting{"net.ipv6.conf.all.forwarding", "1"})
}

// services are the addresses of services.
func services() []netip.Addr {
	return append(numbered("192.0.2.%d", 1, 9), numbered("2001:db8::%d", 1, 9)...)
}

// clients are the source addresses of the client.
func clients() (ip4, ip6 []netip.Addr) {
	return numbered("198.51.100.%d", 2, 249), numbered("2001:db8:c::%d", 2, 249)
}

// numbered gives n addresses: the format with the decimal numbers from first on as its last part.
func numbered(format string, first, n int) (as []netip.Addr) {
	for i := range n {
		as = append(as, netip.MustParseAddr(fmt.Sprintf(format, first+i)))
	}
	return as
}

// single is the prefix that holds this address only.
func single(a netip.Addr) netip.Prefix {
	return netip.PrefixFrom(a, a.BitLen())
}

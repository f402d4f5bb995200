package netlab

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// front is the network of the router and the balancers of a cluster.
const front = "front"

// buildCluster builds a lab with a router and several balancers, and waits until the links carry packets.
func (l *Lab) buildCluster(options Options) error {
	if err := l.addClusterHosts(options); err != nil {
		return err
	}
	if err := errors.Join(l.addSwitch(), l.addBridge(front)); err != nil {
		return err
	}
	if err := errors.Join(l.clusterLinks(), l.clusterAddresses()); err != nil {
		return err
	}
	for _, h := range l.hosts {
		if err := errors.Join(h.await(h.linkNotReady), h.await(h.tentativeAddress)); err != nil {
			return err
		}
	}
	return l.clusterRoutes()
}

func (l *Lab) addClusterHosts(options Options) (err error) {
	if err := l.addHosts(Options{Backends: options.Backends}); err != nil {
		return err
	}
	l.Router, l.Balancer = l.Balancer, nil
	l.Router.Name = "router"
	for i := range options.Balancers {
		b, err := l.newHost(fmt.Sprintf("balancer%d", i+1), plainTTL)
		if err != nil {
			return err
		}
		l.Balancers = append(l.Balancers, b)
	}
	return nil
}

// clusterLinks connects the client to the router, and all others to their networks.
func (l *Lab) clusterLinks() error {
	if err := l.connect(l.Client, "eth0", l.Router, "eth0"); err != nil {
		return err
	}
	failed := errors.Join(l.plugInto(front, l.Router, "eth1"), l.attach(l.Router, "eth2", 1, 1))
	for i, b := range l.Balancers {
		failed = errors.Join(failed, l.plugInto(front, b, "eth0"), l.attach(b, "eth1", 2+i, 1))
	}
	for i, b := range l.Backends {
		failed = errors.Join(failed, l.attach(b, "eth0", 11+i, 1))
	}
	return failed
}

// clusterAddresses adds the addresses of the clients' and the front network, and those of services to the backends.
func (l *Lab) clusterAddresses() error {
	l.Client.IP4, l.Client.IP6 = clients()
	failed := errors.Join(
		l.Router.addBoth("eth0", clientGateway4+"/30", clientGateway6+"/64"),
		l.Client.addBoth("eth0", "203.0.113.2/30", "2001:db8:f::2/64"),
		l.Client.addBoth("lo", l.Client.IP4[0].String()+"/32", l.Client.IP6[0].String()+"/128"),
		l.Router.addBoth("eth1", "10.1.0.1/24", "fd00:1::1/64"),
		l.addServiceAddresses())
	for i, b := range l.Balancers {
		failed = errors.Join(failed, b.addBoth("eth0",
			fmt.Sprintf("10.1.0.%d/24", 11+i), fmt.Sprintf("fd00:1::%d/64", 11+i)))
	}
	return failed
}

// addBoth adds an address of each family.
func (h *Host) addBoth(link, ip4, ip6 string) error {
	return errors.Join(h.addAddress(link, netip.MustParsePrefix(ip4), false),
		h.addAddress(link, netip.MustParsePrefix(ip6), false))
}

// clusterRoutes makes the router the way from all hosts to the clients, with a hash of addresses and ports.
func (l *Lab) clusterRoutes() error {
	failed := errors.Join(l.Client.gateway(clientGateway4, clientGateway6), l.Router.configureBalancer(router),
		l.Router.sysctls(hashPorts...))
	for i, network := range []string{clientNetwork4, clientNetwork6} {
		prefix := netip.MustParsePrefix(network)
		via := netip.MustParseAddr([]string{"203.0.113.2", "2001:db8:f::2"}[i])
		failed = errors.Join(failed, l.Client.ownNetwork(prefix), l.Router.AddRoute(prefix, via))
	}
	for _, b := range l.Balancers {
		failed = errors.Join(failed, b.configureBalancer(router), b.gateway("10.1.0.1", "fd00:1::1"))
	}
	for _, b := range l.Backends {
		failed = errors.Join(failed, b.gateway(backendGateway4, backendGateway6))
	}
	return failed
}

// router has no addresses of services.
var router = Options{NoVIPs: true}

// hashPorts makes the router choose among equal routes by addresses, protocol and ports. With policy 1 a veth hands on
// the sender's hash, which changes with each retransmission (skb_set_hash_from_sk, Linux 6.1).
var hashPorts = []setting{
	{"net.ipv4.fib_multipath_hash_policy", "3"},
	{"net.ipv4.fib_multipath_hash_fields", "0x37"},
	{"net.ipv6.fib_multipath_hash_policy", "3"},
	{"net.ipv6.fib_multipath_hash_fields", "0x37"},
}

// Unplug takes the carrier from all links of a host at the switches, as a loss of power does.
func (l *Lab) Unplug(h *Host) error { return l.setPorts(h, l.switchHost.net.LinkSetDown) }

// PlugAgain gives the links of a host their carrier back.
func (l *Lab) PlugAgain(h *Host) error { return l.setPorts(h, l.switchHost.net.LinkSetUp) }

// setPorts changes the ports of the switches that lead to a host.
func (l *Lab) setPorts(h *Host, change func(netlink.Link) error) error {
	var failed []error
	for _, link := range []string{"eth0", "eth1"} {
		port, err := l.switchHost.net.LinkByName(h.Name + "-" + link)
		if err == nil {
			err = change(port)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// Package netlab builds small networks of namespaces for packet tests and the demo: a client, a balancer and
// backends, joined by veth pairs, with real TCP and UDP sockets, all in this process. Namespaces have no name and
// live as long as the Lab, so any number of labs can run at once, a crash leaves nothing behind, and the machine's
// own network and ruleset are never touched. It knows Linux networking, and nothing of farmc.
//
// Files: lab.go, topology.go and cluster.go build a Lab; setup.go makes sure that the process may have namespaces,
// namespace.go enters them; host.go, link.go, address.go, returnpath.go and await.go configure hosts; server.go,
// client.go, ping.go and raw.go send and answer packets; distribution.go and chisquare.go judge which backends have
// answered.
//
// Two arms, as New builds them by default:
//
//	client eth0 ── eth0 balancer eth1 ── switch ──┬── eth0 b1
//	                                              ├── eth0 b2
//	                                              └── eth0 b3
//
//	services  192.0.2.1 to .9 and 2001:db8::1 to ::9, on the balancer's lo
//	clients   198.51.100.0/24 and 2001:db8:c::/48: all are local addresses of the client; its default is .2 and ::2
//	between   203.0.113.1 and 2001:db8:f::1 the balancer, .2 and ::2 the client
//	backends  10.2.0.0/24 and fd00:2::/64: the balancer .1 and ::1, the backends .11, .12 ... and ::11, ::12 ...
//
// One arm: the client is at the switch too, as 10.2.0.100 to .131 and fd00:2::100 to ::131, and all that the
// balancer sends or receives passes its eth0. The backends answer such a client directly, as on any network. The second
// balancer of a pair is there as 10.2.0.2 and fd00:2::2.
//
// A cluster: a router spreads packets over several balancers. Their routes to services are for the test to make.
//
//	client eth0 ── eth0 router eth1 ── front ──┬── eth0 balancer1 eth1 ──┐
//	                      eth2                 └── eth0 balancer2 eth1 ──┤
//	                       └──────────────── switch ─────────────────────┴── eth0 b1, b2, b3
//
// The router has .1 and ::1 of each network, the balancers 10.1.0.11 and fd00:1::11 and on at the front, and 10.2.0.2
// and fd00:2::2 and on at the switch. The backends own the addresses of services, too. Gateway of all is the router.
//
// A twin is a second client with the addresses of the first. It is at the balancer's eth9, which has the same addresses
// as eth0. Routes from the balancer to the twin are for the test to make.
//
// Elsewhere every host has the balancer as its default gateway. Transmit checksum offload is off everywhere, as veth
// would pass wrong checksums unseen; so are rp_filter, redirects, duplicate address detection and the limits on ICMP
// errors. Programs in all namespaces see the machine's own /sys.
package netlab

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Options are the differences of a Lab from the default one.
type Options struct {
	Backends     int  // number of backends, at most MaxBackends; 3 if zero
	OneArmed     bool // the client is on the backends' link
	NoVIPs       bool // the balancer's lo has no addresses of services
	NoForwarding bool // the balancer doesn't forward
	BackendVIPs  bool // the backends own the addresses of services, too
	DirectReturn bool // the backends answer clients past the balancer
	NoSwitch     bool // one backend, and a link from the balancer's eth1 to its eth0 in place of the switch
	Pair         bool // a second balancer like the first, with one arm only
	Twin         bool // with two arms: a second client with the same addresses, at the balancer's eth9
	Balancers    int  // a cluster of so many balancers behind a router; all other options but Backends have no effect
}

// MaxBackends is the maximum of a Lab, because each backend needs a TTL of its own.
const MaxBackends = 60

// A Lab is a network of its own, to be closed after use.
type Lab struct {
	Client   *Host
	Balancer *Host
	Twin     *Host   // second client with the addresses of the first
	Second   *Host   // second balancer of a pair; no host uses it as its gateway
	Backends []*Host // b1, b2 ...

	Router    *Host   // of a cluster, which has no Balancer
	Balancers []*Host // of a cluster: balancer1, balancer2 ...

	switchHost *Host // its bridge is the switch
	noSwitch   bool
	hosts      []*Host
	ctx        context.Context // done when the lab is closed
	end        context.CancelFunc
	open       sync.WaitGroup // servers and connections
}

// New builds a lab. The error is ErrUnavailable if this process may not have namespaces.
func New(options Options) (*Lab, error) {
	if options.Backends == 0 {
		options.Backends = 3
	}
	if options.Backends < 0 || options.Backends > MaxBackends {
		return nil, fmt.Errorf("a lab has 1 to %d backends, not %d", MaxBackends, options.Backends)
	}
	l := &Lab{noSwitch: options.NoSwitch}
	l.ctx, l.end = context.WithCancel(context.Background())
	if err := l.build(options); err != nil {
		return nil, errors.Join(fmt.Errorf("build a lab: %w", err), l.Close())
	}
	return l, nil
}

// Close ends servers, connections and programs that Run has started, and closes the namespaces, which the kernel then
// deletes. A second Close does nothing.
func (l *Lab) Close() error {
	l.end()
	l.open.Wait()
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.close())
	}
	l.hosts = nil
	return errors.Join(errs...)
}

// Serve starts a server on the ports of every backend, see Host.Serve.
func (l *Lab) Serve(ports ...uint16) error {
	for _, b := range l.Backends {
		if _, err := b.Serve(ports...); err != nil {
			return err
		}
	}
	return nil
}

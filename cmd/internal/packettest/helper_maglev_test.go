package packettest

import (
	"fmt"
	"net/netip"
	"sync"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
)

const maglevClients = 1000

// clientBackends are clients with the backends that answer them.
type clientBackends map[netip.AddrPort]string

// requestFromMany loads a farm and sends requests from maglevClients clients: with IPv4 from different addresses and
// ports, with IPv6 from different addresses.
func (s *testbed) requestFromMany(farm string, to netip.AddrPort) clientBackends {
	s.t.Helper()
	if err := (farms{"web": farm}).do(s); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) }); err != nil {
		s.t.Fatal(err)
	}
	met, mu, q := clientBackends{}, sync.Mutex{}, s.targets("", "udp", to.String())[0]
	_, err := netlab.Spread(maglevClients, func(i int) (netlab.Answer, error) {
		as := netip.AddrPortFrom(s.Client.IP4[i%249], uint16(10000+i))
		if to.Addr().Is6() {
			as = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:c::1:%x", i)), uint16(10000+i))
		}
		answer, err := q.request(as)
		mu.Lock()
		defer mu.Unlock()
		met[as] = answer.Backend
		return answer, err
	})
	if err != nil {
		s.t.Fatal(q.wrap(err))
	}
	return met
}

// moved counts the clients that were not with the removed backend, and the number of them that changed their backend.
func (c clientBackends) moved(now clientBackends, gone string) (moved, others int) {
	for client, backend := range c {
		if backend == gone {
			continue
		}
		others++
		if now[client] != backend {
			moved++
		}
	}
	return moved, others
}

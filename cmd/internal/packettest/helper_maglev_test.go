package packettest

import (
	"fmt"
	"net/netip"
	"sync"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
)

const crowdSize = 2000

// A crowd is clients with the backends that answer them.
type crowd map[netip.AddrPort]string

// crowd loads a farm and asks it as many clients: of IPv4 by address and port, of IPv6 by address alone.
func (s *stage) crowd(farm string, to netip.AddrPort) crowd {
	s.t.Helper()
	if err := (farms{"web": farm}).do(s); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) }); err != nil {
		s.t.Fatal(err)
	}
	met, mu, q := crowd{}, sync.Mutex{}, s.questions("", "udp", to.String())[0]
	_, err := netlab.Spread(crowdSize, func(i int) (netlab.Answer, error) {
		as := netip.AddrPortFrom(s.Client.IP4[i%249], uint16(10000+i))
		if to.Addr().Is6() {
			as = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:c::1:%x", i)), uint16(10000+i))
		}
		answer, err := q.ask(as)
		mu.Lock()
		defer mu.Unlock()
		met[as] = answer.Backend
		return answer, err
	})
	if err != nil {
		s.t.Fatal(q.blame(err))
	}
	return met
}

// moved counts, of the clients that were not the one backend's, those that met another one now.
func (c crowd) moved(now crowd, gone string) (moved, others int) {
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

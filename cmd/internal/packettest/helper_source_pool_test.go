package packettest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// sources: connections leave from all of the addresses, and from no others.
type sources struct{ by, to, all string }

func (o sources) do(s *testbed) error {
	for _, q := range s.targets("", o.by, o.to) {
		want, seen := map[netip.Addr]bool{}, map[netip.Addr]bool{}
		for _, word := range strings.Fields(o.all) {
			if a := netip.MustParseAddr(word); a.Is6() == q.to.Addr().Is6() {
				want[a] = true
			}
		}
		for range 40 * len(want) { // one address is missed by chance once in 10^8 runs
			answer, err := q.request(s.newClient(q.from, q.to.Addr()))
			if err != nil {
				return q.wrap(err)
			}
			seen[answer.Peer.Addr()] = true
		}
		if !maps.Equal(want, seen) {
			return q.wrap(fmt.Errorf("connections leave from %v, want %v", slices.Collect(maps.Keys(seen)),
				slices.Collect(maps.Keys(want))))
		}
	}
	return nil
}

// sendFlows sends a datagram of each of n flows to 192.0.2.1:80, from clients with 50,000 ports each. It returns the
// number of datagrams that arrive at the backend, which drops them: the kernel sends no datagram whose port is taken.
func (s *testbed) sendFlows(n int) (int, error) {
	_, err := s.machine("b1").Run(s.ctx,
		`table inet deaf {
			counter arrived { }
			chain p { type filter hook prerouting priority -400; udp dport 80 counter name arrived drop; }
		}`, "nft", "-f", "-")
	if err == nil {
		err = nftScript(`table inet spy {
			counter came { }
			chain prerouting { type filter hook prerouting priority -305; udp dport 80 counter name came; }
		}`).do(s)
	}
	if err == nil {
		err = s.Client.Do(func() error { return s.sendDatagrams(n) })
	}
	if err != nil {
		return 0, err
	}
	time.Sleep(time.Second) // for the last ones
	return nftCounterOf(s, s.machine("b1"), "deaf", "arrived")
}

func (s *testbed) sendDatagrams(n int) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	to := netip.MustParseAddr("192.0.2.1")
	for i := range n {
		from := netip.AddrFrom4([4]byte{198, 18, 0, byte(i / 50_000)})
		datagram := slices.Clone(udpDatagram)
		binary.BigEndian.PutUint16(datagram, uint16(10_000+i%50_000))
		packet := netlab.Packet(from, to, protocolUDP, datagram)
		if err := unix.Sendto(socket, packet, 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
			return err
		}
		if sent := i + 1; sent%900 == 0 || sent == n { // a queue holds no more at once
			if err := s.awaitCame(sent); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitCame waits until n datagrams have reached the balancer.
func (s *testbed) awaitCame(n int) error {
	for end := deadline(); ; {
		came, err := nftCounter(s, "spy", "came")
		if err != nil || came == n {
			return err
		}
		if end.over() {
			return fmt.Errorf("%d datagrams of %d reach the balancer", came, n)
		}
	}
}

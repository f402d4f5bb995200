package packettest

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A flood sends SYNs from a number of addresses while honest clients work.
type flood struct {
	*testbed
	addresses         int
	sent, tried, good atomic.Int64
	spent             time.Duration // by the sender, which does the balancer's work, too, as the wire is a veth pair
}

// honestClients is the number of clients, and eager the number of connections that each opens in a second.
const honestClients, eager = 50, 2

// pace is the largest number of packets in a second.
const pace = 40_000

// run starts the flood, and after the time lead the clients, which work for the time long.
func (f *flood) run(lead, long time.Duration) error {
	end := time.Now().Add(lead + long)
	var all sync.WaitGroup
	all.Go(func() { f.send(end) })
	time.Sleep(lead)
	for n := range honestClients {
		all.Go(func() { f.work(n, end) })
	}
	all.Wait()
	if f.addresses > 0 && f.sent.Load() == 0 {
		return errors.New("nothing could be sent")
	}
	return nil
}

// work is the loop of an honest client: connect, read, close.
func (f *flood) work(n int, end time.Time) {
	to, from := netip.MustParseAddrPort("192.0.2.1:80"), clientAddress(n, false)
	for next := time.Now(); time.Now().Before(end); next = next.Add(time.Second / eager) {
		time.Sleep(time.Until(next))
		f.tried.Add(1)
		if _, err := f.Client.Ask("tcp4", from, to, time.Second); err == nil {
			f.good.Add(1)
		}
	}
}

// send sends SYNs from random addresses and ports.
func (f *flood) send(end time.Time) {
	if f.addresses == 0 {
		return
	}
	f.Client.Do(func() error {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		to := netip.MustParseAddrPort("192.0.2.1:80")
		began := time.Now()
		for n := 0; time.Now().Before(end); n++ {
			if ahead := time.Duration(n)*time.Second/pace - time.Since(began); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
			packet := segment{flags: flagSYN, mss: 1460}.bytes(f.source(), to)
			before := time.Now()
			if unix.Sendto(s, packet, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}) == nil {
				f.sent.Add(1)
			}
			f.spent += time.Since(before)
		}
		return nil
	})
}

// source is an unused address in 100.64.0.0/10, and a port.
func (f *flood) source() netip.AddrPort {
	number := binary.BigEndian.AppendUint32(nil, 100<<24|64<<16|uint32(rand.IntN(f.addresses)))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(number)), uint16(1024+rand.IntN(60000)))
}

// cost is the time that a packet of the flood takes, in microseconds.
func (f *flood) cost() float64 {
	return float64(f.spent.Microseconds()) / float64(max(f.sent.Load(), 1))
}

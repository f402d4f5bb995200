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

// A flood comes from some addresses, while honest clients work.
type flood struct {
	*stage
	addresses         int
	sent, tried, good atomic.Int64
	spent             time.Duration // by the sender, in which the balancer's work is done, as the wire is a pair of veth
}

// honest are how many clients work, and how many connections each opens in a second.
const honest, eager = 50, 2

// pace is how many packets are sent at most in a second.
const pace = 40_000

// run has the flood begin so much before the clients do, who work that long.
func (f *flood) run(lead, long time.Duration) error {
	end := time.Now().Add(lead + long)
	var all sync.WaitGroup
	all.Go(func() { f.send(end) })
	time.Sleep(lead)
	for n := range honest {
		all.Go(func() { f.work(n, end) })
	}
	all.Wait()
	if f.addresses > 0 && f.sent.Load() == 0 {
		return errors.New("nothing could be sent")
	}
	return nil
}

// work is what an honest client does: connect, read, close.
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

// send sends SYNs from addresses and ports at random.
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

// source is an address of nobody's, in 100.64.0.0/10, and a port.
func (f *flood) source() netip.AddrPort {
	number := binary.BigEndian.AppendUint32(nil, 100<<24|64<<16|uint32(rand.IntN(f.addresses)))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(number)), uint16(1024+rand.IntN(60000)))
}

// cost is how many microseconds a packet of the flood took.
func (f *flood) cost() float64 {
	return float64(f.spent.Microseconds()) / float64(max(f.sent.Load(), 1))
}

package packettest

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// A target is a service, with the machine and the protocol of the request.
type target struct {
	from    *netlab.Host
	network string // tcp4, udp4, tcp6, udp6
	to      netip.AddrPort
}

// targets are one for each protocol and address.
func (s *testbed) targets(from, protocols, to string) (all []target) {
	if from == "" {
		from = "client"
	}
	for _, to := range strings.Fields(to) {
		at := netip.MustParseAddrPort(to)
		for _, protocol := range strings.Fields(protocols) {
			all = append(all, target{s.machine(from), protocol + family(at.Addr()), at})
		}
	}
	return all
}

func family(a netip.Addr) string {
	if a.Is6() {
		return "6"
	}
	return "4"
}

func (q target) udp() bool { return strings.HasPrefix(q.network, "udp") }

// wrap adds the request to an error.
func (q target) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s to %s %s: %w", q.from.Name, q.network, q.to, err)
}

// request sends one request from the address and port.
func (q target) request(as netip.AddrPort) (netlab.Answer, error) {
	c, err := q.dial(as)
	if err != nil {
		return netlab.Answer{}, err
	}
	defer c.Close()
	if q.udp() {
		if _, err := c.Write([]byte("who?")); err != nil {
			return netlab.Answer{}, err
		}
	}
	return netlab.ReadAnswer(c)
}

// answerTimeout is the time that an answer may take. It only passes when a test fails.
const answerTimeout = time.Minute

func (q target) dial(as netip.AddrPort) (net.Conn, error) {
	c, err := q.from.Dial(q.network, as, q.to, answerTimeout)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(answerTimeout))
}

// A timeLimit ends repeated attempts. The pause between two attempts grows with their number, because an attempt can be
// a process that costs more than the awaited change.
type timeLimit struct {
	end   time.Time
	pause time.Duration
}

const firstPause, longestPause = time.Millisecond, 100 * time.Millisecond

// deadline is long enough for a second attempt.
func deadline() *timeLimit { return &timeLimit{time.Now().Add(2 * answerTimeout), firstPause} }

// over waits a moment, and says whether the time is over.
func (l *timeLimit) over() bool {
	time.Sleep(l.pause)
	l.pause = min(l.pause*3/2, longestPause)
	return time.Now().After(l.end)
}

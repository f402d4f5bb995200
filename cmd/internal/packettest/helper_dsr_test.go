package packettest

import (
	"errors"
	"fmt"
	"strings"

	"farmc/cmd/internal/netlab"
)

// An arm is a way to place the balancer of a dsr farm: where packets come in, and where the backends are. The balancer
// doesn't forward, so that what arrives at a client has not passed it.
type arm struct {
	name    string
	in, out string
	lab     netlab.Options
}

var arms = []arm{
	{"one-armed", "eth0", "eth0", netlab.Options{OneArmed: true, BackendVIPs: true, DirectReturn: true, NoForwarding: true}},
	{"two-armed", "eth0", "eth1", netlab.Options{BackendVIPs: true, DirectReturn: true, NoForwarding: true}},
}

// farm is a dsr farm of b1 and b2, of weight 3 and 1.
func (a arm) farm(listen string, more ...string) string {
	return fmt.Sprintf(`
		mode       = "dsr"
		listen     = [%s]
		interfaces = [%q]
		%s
		[backends.b1]
		address   = ["10.2.0.11", "fd00:2::11"]
		interface = %[4]q
		weight    = 3
		[backends.b2]
		address   = ["10.2.0.12", "fd00:2::12"]
		interface = %[4]q
	`, listen, a.in, strings.Join(more, "\n"), a.out)
}

// A reach has many clients ask services of dsr farms. Whoever answers was asked at the service's own address and port,
// and sees the client.
type reach struct {
	by, to  string
	shares  shares // by the names of machines
	clients int    // all that there are if zero
	as      string // their addresses, if they aren't to be of all
}

func (r reach) do(s *stage) (err error) {
	for _, q := range s.questions("", r.by, r.to) {
		err = errors.Join(err, q.blame(r.spread(s, q)))
	}
	return err
}

func (r reach) spread(s *stage, q question) error {
	n := r.clients
	if n == 0 {
		n = 249
	}
	counts, err := netlab.Spread(n, func(int) (netlab.Answer, error) { return s.directly(q, r.as) })
	if p := netlab.Fits(counts, r.shares); err == nil && p < certainty {
		err = fmt.Errorf("%v answered, want %v: p = %.2g", counts, r.shares, p)
	}
	return err
}

// directly asks as somebody new.
func (s *stage) directly(q question, addresses string) (netlab.Answer, error) {
	as := s.speakerAs(q.from, q.to.Addr(), addresses)
	answer, err := q.ask(as)
	switch {
	case err != nil:
		err = fmt.Errorf("as %s: %w", as, err)
	case answer.Local != q.to || answer.Peer != as:
		err = fmt.Errorf("as %s: %s was reached at %s and sees %s", as, answer.Backend, answer.Local, answer.Peer)
	}
	return answer, err
}

// nowhere is a farm of one backend, at addresses that nobody has, with its MAC address if that is given.
func (a arm) nowhere(mac string) string {
	if mac != "" {
		mac = fmt.Sprintf("mac = %q", mac)
	}
	return fmt.Sprintf(`
		mode       = "dsr"
		listen     = [%s]
		interfaces = [%q]
		[backends.b1]
		address   = ["10.2.0.99", "fd00:2::99"]
		interface = %q
		%s
	`, byAll, a.in, a.out, mac)
}

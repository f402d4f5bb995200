package packettest

import (
	"errors"
	"fmt"
	"strings"

	"farmc/cmd/internal/netlab"
)

// A dsrTopology places the balancer of a dsr farm: the interface where packets come in, and the interface of the
// backends. The balancer does not forward, so an answer that arrives at a client has not passed the balancer.
type dsrTopology struct {
	name    string
	in, out string
	lab     netlab.Options
}

var dsrTopologies = []dsrTopology{
	{"one-armed", "eth0", "eth0",
		netlab.Options{OneArmed: true, BackendVIPs: true, DirectReturn: true, NoForwarding: true}},
	{"two-armed", "eth0", "eth1", netlab.Options{BackendVIPs: true, DirectReturn: true, NoForwarding: true}},
}

// farm is a dsr farm of b1 and b2, with weights 3 and 1.
func (a dsrTopology) farm(listen string, more ...string) string {
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

// A directRequest comes from many clients to services of dsr farms. The answering backend has to see the service's
// address and port, and the client's.
type directRequest struct {
	by, to  string
	shares  shares // by the names of machines
	clients int    // sampleSize if zero
	as      string // source addresses; any of the client's if empty
}

func (r directRequest) do(s *testbed) (err error) {
	for _, q := range s.targets("", r.by, r.to) {
		err = errors.Join(err, q.wrap(r.checkShares(s, q)))
	}
	return err
}

func (r directRequest) checkShares(s *testbed, q target) error {
	n := r.clients
	if n == 0 {
		n = sampleSize
	}
	counts, err := netlab.Spread(n, func(int) (netlab.Answer, error) { return s.requestDirect(q, r.as) })
	if p := netlab.Fits(counts, r.shares); err == nil && p < significance {
		err = fmt.Errorf("%v answered, want %v: p = %.2g", counts, r.shares, p)
	}
	return err
}

// requestDirect sends a request from a new source port.
func (s *testbed) requestDirect(q target, addresses string) (netlab.Answer, error) {
	as := s.newClientAs(q.from, q.to.Addr(), addresses)
	answer, err := q.request(as)
	switch {
	case err != nil:
		err = fmt.Errorf("as %s: %w", as, err)
	case answer.Local != q.to || answer.Peer != as:
		err = fmt.Errorf("as %s: %s was reached at %s and sees %s", as, answer.Backend, answer.Local, answer.Peer)
	}
	return answer, err
}

// farmWithUnknownNeighbour has one backend, at addresses that no machine has, with a MAC address if mac is not empty.
func (a dsrTopology) farmWithUnknownNeighbour(mac string) string {
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
	`, listenAllKinds, a.in, a.out, mac)
}

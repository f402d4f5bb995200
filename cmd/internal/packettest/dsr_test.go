package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

func TestDSR(t *testing.T) {
	t.Parallel()
	play(t, dsrScenes())
}

// play runs scenes beside one another.
func play(t *testing.T, scenes []scene) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.steps.do(newStage(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}

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

const (
	manyPorts   = `"192.0.2.1:80,443,8000-8100/tcp,udp", "[2001:db8::1]:80,443,8000-8100/tcp,udp"`
	wholeSecond = `"192.0.2.2", "2001:db8::2"`
)

var dsrSchedulers = []struct {
	name, keys string
	whole      bool // can be had for every protocol
}{
	{"maglev", ``, true},
	{"maglev-by-port", `hash-on = ["source-address", "source-port"]`, false},
	{"hash", `scheduler = "hash"`, true},
	{"hash-by-port", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-port\"]", false},
	{"hash-widest", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-port\", \"destination-port\", \"source-mac\", \"destination-mac\"]", false},
	{"hash-by-addresses-and-mac", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"destination-address\", \"source-mac\", \"destination-mac\"]", true},
	{"symmetric-hash", `scheduler = "symmetric-hash"`, true},
}

func dsrScenes() (all []scene) {
	for _, arm := range arms {
		for _, s := range dsrSchedulers {
			three := shares{"b1": 3, "b2": 1}
			c := scene{name: arm.name + "-" + s.name, lab: arm.lab, steps: steps{
				farms{"web": arm.farm(manyPorts, s.keys)},
				reach{by: "tcp udp", to: both, shares: three},
				reach{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443 192.0.2.1:8050 [2001:db8::1]:8050", shares: three, clients: 60},
				ask{by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"balancer:53": 1}},
				pings{to: "192.0.2.1 2001:db8::1", shares: shares{"balancer": 1}},
				untracked("192.0.2.1 2001:db8::1"),
			}}
			if s.whole {
				c.steps = append(c.steps,
					farms{"web": arm.farm(wholeSecond, s.keys)},
					reach{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: three, clients: 60},
					pings{to: "192.0.2.2 2001:db8::2", shares: three},
					untracked("192.0.2.2 2001:db8::2"))
			}
			all = append(all, c)
		}
	}
	return all
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

// untracked: connection tracking of the balancer knows nothing of what was sent to these addresses, but for what it
// answered itself.
func untracked(addresses string) step {
	return deed(func(s *stage) (err error) {
		for _, a := range strings.Fields(addresses) {
			to := netip.MustParseAddr(a)
			flows, err := s.flows(to)
			if err != nil {
				return err
			}
			for _, flow := range flows {
				f := flow.Forward
				if f.DstIP.Equal(to.AsSlice()) && f.DstPort != 53 && (f.Protocol == 6 || f.Protocol == 17) {
					return fmt.Errorf("a packet to %s is tracked: %v", to, flow)
				}
			}
		}
		return nil
	})
}

package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
)

// refused: services refuse at once, TCP with a reset, UDP with port unreachable, and leave no conntrack entry.
type refused struct {
	from   string
	by, to string
	as     string // source addresses; any of the client's if empty
}

func (r refused) do(s *testbed) (err error) {
	var requests []sentRequest
	for _, q := range s.targets(r.from, r.by, r.to) {
		sent := sentRequest{q, s.newClientAs(q.from, q.to.Addr(), r.as)}
		requests = append(requests, sent)
		err = errors.Join(err, q.wrap(sent.refused(s)))
	}
	return errors.Join(err, s.checkUntracked(requests))
}

// A sentRequest is a request and its source. An address that the kernel chose is zero.
type sentRequest struct {
	target
	as netip.AddrPort
}

func (q sentRequest) refused(s *testbed) error {
	before, err := q.icmpUnreachables()
	repeated, told := q.retransmissions()
	if err = errors.Join(err, told); err != nil {
		return err
	}
	answer, err := q.request(q.as)
	more, told := q.retransmissions()
	switch {
	case told != nil:
		return told
	case err == nil:
		return fmt.Errorf("%s answered at %s", answer.Backend, answer.Local)
	case !q.isRefusal(err):
		return err
	case more > repeated:
		return errors.New("not refused at once: the SYN was repeated")
	}
	after, err := q.icmpUnreachables()
	if byICMP := after > before; q.from == s.Client && byICMP != q.udp() {
		return fmt.Errorf("refused by ICMP: %t", byICMP)
	}
	return err
}

// isRefusal says whether a connection was refused. The kernel refuses to send the balancer's own datagrams. For UDP
// only port unreachable is ECONNREFUSED (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert in net/ipv6/icmp.c).
func (q target) isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || q.from.Name == "balancer" && q.udp() && errors.Is(err, syscall.EPERM)
}

// icmpUnreachables is the number of ICMP destination unreachable messages that the sender has received.
func (q target) icmpUnreachables() (n int, err error) {
	if q.to.Addr().Is6() {
		return kernelCounter(q.from, "snmp6", "Icmp6InDestUnreachs")
	}
	return q.counter("Icmp:", "InDestUnreachs")
}

// retransmissions is the number of TCP segments that the sender has retransmitted.
func (q target) retransmissions() (int, error) { return q.counter("Tcp:", "RetransSegs") }

// counter reads a counter of a protocol from /proc/net/snmp, which has a line of names and a line of numbers.
func (q target) counter(protocol, name string) (n int, err error) {
	err = q.from.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		var names []string
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			switch {
			case words[0] != protocol:
			case names == nil:
				names = words
			default:
				_, err = fmt.Sscan(words[slices.Index(names, name)], &n)
			}
		}
		return err
	})
	return n, err
}

// checkUntracked: the requests have no conntrack entries. It reads the table once, because each reading takes as long
// as many requests.
func (s *testbed) checkUntracked(requests []sentRequest) (err error) {
	flows, err := s.conntrackEntries()
	for _, flow := range flows {
		if i := slices.IndexFunc(requests, func(q sentRequest) bool { return q.is(flow.Forward) }); i >= 0 {
			err = errors.Join(err, requests[i].wrap(fmt.Errorf("refused, but tracked: %v", flow)))
		}
	}
	return err
}

// is reports whether the request has the addresses and ports.
func (q sentRequest) is(f netlink.IPTuple) bool {
	protocol := uint8(syscall.IPPROTO_TCP)
	if q.udp() {
		protocol = syscall.IPPROTO_UDP
	}
	return f.Protocol == protocol && f.SrcPort == q.as.Port() && f.DstPort == q.to.Port() &&
		f.DstIP.Equal(q.to.Addr().AsSlice()) && (!q.as.Addr().IsValid() || f.SrcIP.Equal(q.as.Addr().AsSlice()))
}

// refusedPings are ICMP echoes that a farm without backends refuses.
type refusedPings struct{ to string }

func (r refusedPings) do(s *testbed) error {
	for _, to := range strings.Fields(r.to) {
		answer, err := s.Client.Ping(netip.Addr{}, netip.MustParseAddr(to), answerTimeout)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("ping %s: %v, %w", to, answer, err)
		}
	}
	return nil
}

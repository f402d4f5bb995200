package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
)

// refused has services refuse at once: TCP by a reset, UDP by port unreachable, and nothing of it is remembered.
type refused struct {
	from   string
	by, to string
	as     string // the client's addresses, if it isn't to be any
}

func (r refused) do(s *stage) (err error) {
	for _, q := range s.questions(r.from, r.by, r.to) {
		err = errors.Join(err, q.blame(q.refused(s, r.as)))
	}
	return err
}

func (q question) refused(s *stage, addresses string) error {
	before, err := q.unreachables()
	repeated, told := q.repeats()
	if err = errors.Join(err, told); err != nil {
		return err
	}
	as := s.speakerAs(q.from, q.to.Addr(), addresses)
	answer, err := q.ask(as)
	more, told := q.repeats()
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
	after, err := q.unreachables()
	if byICMP := after > before; q.from == s.Client && byICMP != q.udp() {
		return fmt.Errorf("refused by ICMP: %t", byICMP)
	}
	return errors.Join(err, s.forgot(q, as))
}

// isRefusal: a connection is refused. This machine's own datagrams can't even be sent. Of UDP only port unreachable
// is ECONNREFUSED (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert in net/ipv6/icmp.c).
func (q question) isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || q.from.Name == "balancer" && q.udp() && errors.Is(err, syscall.EPERM)
}

// unreachables is how many ICMP errors of that kind who asks has been told.
func (q question) unreachables() (n int, err error) {
	if q.to.Addr().Is6() {
		return statistic(q.from, "snmp6", "Icmp6InDestUnreachs")
	}
	return q.counter("Icmp:", "InDestUnreachs")
}

// repeats is how many segments of TCP who asks has sent again.
func (q question) repeats() (int, error) { return q.counter("Tcp:", "RetransSegs") }

// counter reads one from the lines of names and of numbers that the kernel has for a protocol, in who asks.
func (q question) counter(protocol, name string) (n int, err error) {
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

// forgot: connection tracking has no entry of the question.
func (s *stage) forgot(q question, as netip.AddrPort) error {
	flows, err := s.flows(q.to.Addr())
	protocol := uint8(syscall.IPPROTO_TCP)
	if q.udp() {
		protocol = syscall.IPPROTO_UDP
	}
	for _, flow := range flows {
		f := flow.Forward
		if f.Protocol == protocol && f.SrcPort == as.Port() && f.DstPort == q.to.Port() && f.DstIP.Equal(q.to.Addr().AsSlice()) &&
			(!as.Addr().IsValid() || f.SrcIP.Equal(as.Addr().AsSlice())) {
			return fmt.Errorf("refused, but tracked: %v", flow)
		}
	}
	return err
}

// refusedPings are ICMP echoes that a farm without backends refuses.
type refusedPings struct{ to string }

func (r refusedPings) do(s *stage) error {
	for _, to := range strings.Fields(r.to) {
		answer, err := s.Client.Ping(netip.Addr{}, netip.MustParseAddr(to), patience)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("ping %s: %v, %w", to, answer, err)
		}
	}
	return nil
}

package packettest

import (
	"fmt"

	"farmc/cmd/internal/netlab"
)

// twoUplinks connects the balancer with the client by eth9, too. Requests to 192.0.2.2 and 2001:db8::2 come in there,
// and all others by eth0. Replies are routed by eth0, but for packets with the mark of eth9.
var twoUplinks = steps{
	secondUplink,
	runs("ip address add 2001:db8:e::1/64 dev eth9"),
	on{"client", "ip address add 2001:db8:e::2/64 dev eth9; ip route add 192.0.2.1/32 via 203.0.113.1; " +
		"ip route add 2001:db8::2/128 via 2001:db8:e::1"},
	runs(`ip route add default via 203.0.113.2 table 101; ip -6 route add default via 2001:db8:f::2 table 101
		ip route add default via 203.0.114.2 table 102; ip -6 route add default via 2001:db8:e::2 table 102
		ip rule add fwmark 0x100/0xf00 table 101; ip -6 rule add fwmark 0x100/0xf00 table 101
		ip rule add fwmark 0x200/0xf00 table 102; ip -6 rule add fwmark 0x200/0xf00 table 102`),
	sysctls{"net.ipv4.conf.eth0.rp_filter", "2"},
	sysctls{"net.ipv4.conf.eth9.rp_filter", "2"},
}

// repliesBy: requests to services are answered, and all replies come to the client by this link.
type repliesBy struct{ by, to, link string }

func (r repliesBy) do(s *testbed) error {
	for _, q := range s.targets("", r.by, r.to) {
		taps := map[string]*netlab.Tap{}
		for _, link := range []string{"eth0", "eth9"} {
			tap, err := s.Client.Tap(link)
			if err != nil {
				return err
			}
			defer tap.Close()
			taps[link] = tap
		}
		if _, err := q.request(s.newClient(q.from, q.to.Addr())); err != nil {
			return q.wrap(err)
		}
		for link, tap := range taps {
			isReply := func(packet []byte) bool {
				p, err := parse(packet)
				return err == nil && p.from.Addr() == q.to.Addr()
			}
			wait := noAnswerTimeout
			if link == r.link {
				wait = answerTimeout
			}
			if _, err := tap.Next(wait, isReply); (err == nil) != (link == r.link) {
				return q.wrap(fmt.Errorf("a reply comes by %s: %t, want replies by %s", link, err == nil, r.link))
			}
		}
	}
	return nil
}

// repliesElsewhere: some replies to requests that came in by eth9 come to the client by eth0.
type repliesElsewhere struct{ to string }

func (r repliesElsewhere) do(s *testbed) error {
	if err := (repliesBy{"tcp", r.to, "eth9"}).do(s); err == nil {
		return fmt.Errorf("all replies of %s come by eth9", r.to)
	}
	return nil
}

package packettest

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var countable = regexp.MustCompile(`^(\t\t\t(?:\S+ \. )*\S+)((?: : [0-9a-f:.]+(?: \. \d+)?| comment "b\d"),\n)$`)

// setCounters gives every slot a counter, as if packets had used it.
var setCounters = stepFunc(func(s *testbed) error {
	kept, err := s.engine.Store.Loaded()
	if err != nil {
		return err
	}
	var text strings.Builder
	n, counts := 0, false
	for line := range strings.Lines(string(kept.Script)) {
		switch {
		case strings.HasSuffix(line, " {\n") && !strings.HasPrefix(line, "\t\t"):
			counts = false
		case line == "\t\tcounter\n":
			counts = true
		case counts && countable.MatchString(line):
			n++
			line = countable.ReplaceAllString(line, fmt.Sprintf("$1 counter packets %d bytes %d$2", n, 100*n))
		}
		text.WriteString(line)
	}
	return nftScript(text.String()).do(s)
})

// nextInTurn sends a request to roundRobinFarm. The backend after the last one has to answer.
type nextInTurn struct{}

func (nextInTurn) do(s *testbed) error {
	q := s.targets("", "tcp", "192.0.2.9:80")[0]
	answer, err := q.request(s.newClient(q.from, q.to.Addr()))
	if err != nil {
		return q.wrap(err)
	}
	const meeting = "turns"
	if s.backendOf[meeting] == nil {
		s.backendOf[meeting] = map[netip.Addr]string{}
	}
	last := s.backendOf[meeting][netip.Addr{}]
	s.backendOf[meeting][netip.Addr{}] = answer.Backend
	if want := map[string]string{"b1": "b2", "b2": "b3", "b3": "b1"}[last]; last != "" && answer.Backend != want {
		return fmt.Errorf("%s answered after %s", answer.Backend, last)
	}
	return nil
}

// keepsCounters loads farms without traffic. Each backend has to have the same counters as before.
type keepsCounters struct{ farms }

func (c keepsCounters) do(s *testbed) error {
	before, err := s.backendPackets()
	if err != nil {
		return err
	}
	if err := c.farms.do(s); err != nil {
		return err
	}
	after, err := s.backendPackets()
	if err != nil {
		return err
	}
	maps.DeleteFunc(after, func(_ string, packets int) bool { return packets == 0 })
	maps.DeleteFunc(before, func(_ string, packets int) bool { return packets == 0 })
	if len(before) < 2 || !maps.Equal(before, after) {
		return fmt.Errorf("packets were %v, and are %v", before, after)
	}
	return nil
}

var countLine = regexp.MustCompile(`counter packets (\d+) bytes \d+ (?:: |comment ")([0-9a-f.:]+)`)

// backendPackets is the number of counted packets for each backend, by its address, or by its name in a set.
func (s *testbed) backendPackets() (map[string]int, error) {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list", "ruleset")
	sums := map[string]int{}
	for _, found := range countLine.FindAllStringSubmatch(text, -1) {
		packets, _ := strconv.Atoi(found[1])
		sums[found[2]] += packets
	}
	return sums, err
}

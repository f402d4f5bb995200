package packettest

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var countable = regexp.MustCompile(`^(\t\t\t(?:\S+ \. )*\S+)( : [0-9a-f:.]+(?: \. \d+)?,\n)$`)

// counting is as if packets had met every slot.
var counting = deed(func(s *stage) error {
	kept, err := s.engine.Store.Loaded()
	if err != nil {
		return err
	}
	var text strings.Builder
	n, counts := 0, false
	for line := range strings.Lines(string(kept.Script)) {
		switch {
		case strings.HasSuffix(line, " {\n") && strings.HasPrefix(line, "\tmap "):
			counts = false
		case line == "\t\tcounter\n":
			counts = true
		case counts && countable.MatchString(line):
			n++
			line = countable.ReplaceAllString(line, fmt.Sprintf("$1 counter packets %d bytes %d$2", n, 100*n))
		}
		text.WriteString(line)
	}
	return foreign(text.String()).do(s)
})

// next asks the farm turns, where the backend after the last one has to answer.
type next struct{}

func (next) do(s *stage) error {
	q := s.questions("", "tcp", "192.0.2.9:80")[0]
	answer, err := q.ask(s.speaker(q.from, q.to.Addr()))
	if err != nil {
		return q.blame(err)
	}
	const meeting = "turns"
	if s.met[meeting] == nil {
		s.met[meeting] = map[netip.Addr]string{}
	}
	last := s.met[meeting][netip.Addr{}]
	s.met[meeting][netip.Addr{}] = answer.Backend
	if want := map[string]string{"b1": "b2", "b2": "b3", "b3": "b1"}[last]; last != "" && answer.Backend != want {
		return fmt.Errorf("%s answered after %s", answer.Backend, last)
	}
	return nil
}

// counts loads farms while nobody asks, after which each backend has counted as much as before.
type counts struct{ farms }

func (c counts) do(s *stage) error {
	before, err := s.countedFor()
	if err != nil {
		return err
	}
	if err := c.farms.do(s); err != nil {
		return err
	}
	after, err := s.countedFor()
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

var countLine = regexp.MustCompile(`counter packets (\d+) bytes \d+ : ([0-9a-f.:]+)`)

// countedFor is how many packets have been counted for each address of a backend.
func (s *stage) countedFor() (map[string]int, error) {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list", "ruleset")
	sums := map[string]int{}
	for _, found := range countLine.FindAllStringSubmatch(text, -1) {
		packets, _ := strconv.Atoi(found[1])
		sums[found[2]] += packets
	}
	return sums, err
}

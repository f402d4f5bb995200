package packettest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
)

// asked has somebody ask some times by TCP and UDP; the machine that answers has the port that was asked.
func asked(times int, from, to, answers, sees string) step {
	var all steps
	for _, at := range strings.Fields(to) {
		all = append(all, ask{from: from, by: "tcp udp", to: at, shares: shares{answers + at[strings.LastIndex(at, ":"):]: 1}, times: times, sees: sees})
	}
	return all
}

// lines are so many of TCP and as many of UDP: what begins them, and from whom, to each destination.
func lines(times int, prefix, from, destinations string) map[string]int {
	out := map[string]int{}
	for _, to := range strings.Fields(destinations) {
		for _, protocol := range []string{"tcp", "udp"} {
			out[fmt.Sprintf("%s: %s %s > %s", prefix, protocol, from, to)] = times
		}
	}
	return out
}

// udpLines leaves the lines of UDP.
func udpLines(times int, prefix, from, destinations string) map[string]int {
	out := lines(times, prefix, from, destinations)
	maps.DeleteFunc(out, func(line string, _ int) bool { return strings.Contains(line, ": tcp ") })
	return out
}

// repeated sends so many datagrams, one after the other, each of which the backend refuses.
func repeated(times int) step {
	return deed(func(s *stage) error {
		for _, q := range s.questions("", "udp", both) {
			c, err := q.dial(s.speaker(q.from, q.to.Addr()))
			if err != nil {
				return err
			}
			defer c.Close()
			for range times {
				if _, err := c.Write([]byte("anybody?")); err != nil {
					return q.blame(err)
				}
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
					return q.blame(fmt.Errorf("want a refusal, got %w", err))
				}
			}
		}
		return nil
	})
}

// tcp leaves the lines of TCP.
func tcp(all map[string]int) map[string]int {
	maps.DeleteFunc(all, func(line string, _ int) bool { return !strings.Contains(line, ": tcp ") })
	return all
}

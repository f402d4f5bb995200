package packettest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
)

// requests sends requests over TCP and UDP; the answering machine has to see the port of the request.
func requests(times int, from, to, answers, sees string) step {
	var all steps
	for _, at := range strings.Fields(to) {
		all = append(all, request{from: from, by: "tcp udp", to: at,
			shares: shares{answers + at[strings.LastIndex(at, ":"):]: 1}, times: times, sees: sees})
	}
	return all
}

// logLines are the lines for each destination, times over TCP and times over UDP.
func logLines(times int, prefix, from, destinations string) map[string]int {
	out := map[string]int{}
	for _, to := range strings.Fields(destinations) {
		for _, protocol := range []string{"tcp", "udp"} {
			out[fmt.Sprintf("%s: %s %s > %s", prefix, protocol, from, to)] = times
		}
	}
	return out
}

// udpLogLines are the lines for UDP.
func udpLogLines(times int, prefix, from, destinations string) map[string]int {
	out := logLines(times, prefix, from, destinations)
	maps.DeleteFunc(out, func(line string, _ int) bool { return strings.Contains(line, ": tcp ") })
	return out
}

// repeatedDatagrams sends datagrams of one conversation, each of which the backend refuses.
func repeatedDatagrams(times int) step {
	return stepFunc(func(s *testbed) error {
		for _, q := range s.targets("", "udp", service1) {
			c, err := q.dial(s.newClient(q.from, q.to.Addr()))
			if err != nil {
				return err
			}
			defer c.Close()
			for range times {
				if _, err := c.Write([]byte("still there?")); err != nil {
					return q.wrap(err)
				}
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
					return q.wrap(fmt.Errorf("want a refusal, got %w", err))
				}
			}
		}
		return nil
	})
}

// tcpLogLines are the lines for TCP.
func tcpLogLines(all map[string]int) map[string]int {
	maps.DeleteFunc(all, func(line string, _ int) bool { return !strings.Contains(line, ": tcp ") })
	return all
}

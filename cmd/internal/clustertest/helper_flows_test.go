package clustertest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// flows are all connections of a case.
type flows struct {
	all     []*flow
	stopped chan struct{}
	running sync.WaitGroup
}

// openFlows opens n connections by TCP for each mode, half of them in each family, and n/4 conversations by UDP.
func (s *site) openFlows(n int) (*flows, error) {
	s.openings++
	fs := &flows{stopped: make(chan struct{})}
	failed := errors.Join(
		fs.open(s, n/2, "tcp4", modes[:]...), fs.open(s, n/2, "tcp6", modes[:]...),
		fs.open(s, n/8, "udp4", modes[:]...), fs.open(s, n/8, "udp6", modes[:]...))
	fs.start()
	return fs, failed
}

// open opens n flows of each mode at once.
func (fs *flows) open(s *site, n int, network string, modes ...mode) (failed error) {
	var mu sync.Mutex
	var opening sync.WaitGroup
	for i := range n * len(modes) {
		opening.Go(func() {
			f, err := s.openFlow(modes[i%len(modes)], network, s.client(network, i))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s by %s: %w", modes[i%len(modes)], network, err))
				return
			}
			fs.all = append(fs.all, f)
		})
	}
	opening.Wait()
	return failed
}

func (fs *flows) start() {
	for _, f := range fs.all {
		fs.running.Go(func() { f.run(fs.stopped) })
	}
}

// client is the address and port of a flow. No two TCP flows of a case and family have the same port, as a connection
// that has ended keeps its port for a minute.
func (s *site) client(network string, i int) netip.AddrPort {
	addresses := s.Client.IP4
	if strings.HasSuffix(network, "6") {
		addresses = s.Client.IP6
	}
	return netip.AddrPortFrom(addresses[i%len(addresses)], uint16(20000+1000*s.openings+i))
}

// stop ends all flows, each after one more exchange.
func (fs *flows) stop() {
	close(fs.stopped)
	fs.running.Wait()
	for _, f := range fs.all {
		f.conn.Close()
	}
}

// A count is the result of the flows of a mode.
type count struct {
	opened, lost int
	longest      time.Duration // wait for an answer, of flows that are not lost
	why          string        // the first flow that was lost
}

func (c count) String() string {
	return fmt.Sprintf("%d of %d lost, longest wait %s %s", c.lost, c.opened, c.longest.Round(10*time.Millisecond),
		c.why)
}

// count counts the flows of a mode by TCP or UDP.
func (fs *flows) count(m mode, transport string) (c count) {
	for _, f := range fs.all {
		if f.mode != m || !strings.HasPrefix(f.network, transport) {
			continue
		}
		c.opened++
		if f.lost == nil {
			c.longest = max(c.longest, f.longest)
			continue
		}
		c.lost++
		c.why = fmt.Sprintf("(%s by %s: %v)", f.backend, f.network, f.lost)
	}
	return c
}

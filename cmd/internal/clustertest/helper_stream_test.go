package clustertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// streamInterval is the time between two datagrams of a stream.
const streamInterval = 20 * time.Millisecond

// A stream sends numbered datagrams, whether they are answered or not. Lost datagrams in a row are a gap: a machine
// that is busy sends fewer of them.
type stream struct {
	mode    mode
	network string
	conn    net.Conn
	sent    uint32

	mu       sync.Mutex
	answered map[uint32]bool
}

// streams are all streams of a case.
type streams struct {
	all              []*stream
	stopped          chan struct{}
	sending, reading sync.WaitGroup
}

// openStreams starts n streams to the services of dsr and stateless in each family.
func (s *site) openStreams(n int) *streams {
	s.t.Helper()
	all := &streams{stopped: make(chan struct{})}
	for range n {
		for _, m := range []mode{dsr, stateless} {
			for _, network := range []string{"udp4", "udp6"} {
				client := s.client(network, 500+len(all.all)) // no port of a flow
				c, err := s.Client.Dial(network, client, m.service(network), patience)
				must(s.t, err)
				all.all = append(all.all, &stream{mode: m, network: network, conn: c, answered: map[uint32]bool{}})
			}
		}
	}
	for _, f := range all.all {
		all.sending.Go(func() { f.send(all.stopped) })
		all.reading.Go(f.read)
	}
	return all
}

// send sends until the channel is closed.
func (f *stream) send(stopped <-chan struct{}) {
	for ticker := time.NewTicker(streamInterval); ; {
		select {
		case <-stopped:
			ticker.Stop()
			return
		case <-ticker.C:
			f.conn.Write(binary.BigEndian.AppendUint32(nil, f.sent)) // an ICMP error is a lost datagram
			f.sent++
		}
	}
}

// read notes answers until the connection is closed. An answer ends with the datagram.
func (f *stream) read() {
	answer := make([]byte, 1500)
	for {
		n, err := f.conn.Read(answer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && n >= 4 {
			f.mu.Lock()
			f.answered[binary.BigEndian.Uint32(answer[n-4:n])] = true
			f.mu.Unlock()
		}
	}
}

// stop ends all streams, and waits for the answers to their last datagrams.
func (all *streams) stop() {
	close(all.stopped)
	all.sending.Wait()
	time.Sleep(time.Second)
	for _, f := range all.all {
		f.conn.Close()
	}
	all.reading.Wait()
}

// gaps are the datagrams that streams have lost.
type gaps struct {
	sent, lost, longest int // longest: in a row, in one stream
	network             string
}

func (g gaps) String() string {
	return fmt.Sprintf("%d of %d datagrams lost, %d in a row %s", g.lost, g.sent, g.longest, g.network)
}

// gaps counts the lost datagrams of a mode.
func (all *streams) gaps(m mode) (g gaps) {
	for _, f := range all.all {
		if f.mode != m {
			continue
		}
		row := 0
		for i := range f.sent {
			g.sent++
			if f.answered[i] {
				row = 0
				continue
			}
			g.lost++
			if row++; row > g.longest {
				g.longest, g.network = row, f.network
			}
		}
	}
	return g
}

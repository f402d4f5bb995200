package packettest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"farmc/cmd/internal/netlab"
)

// oneSocket sends 300 datagrams from one socket. Each backend gets its share, sees the client, and its answers come
// from the service: the socket takes no others.
type oneSocket struct {
	to     string
	shares shares
	inTurn bool // each turn of as many datagrams as all weights has each backend by its weight
}

func (o oneSocket) do(s *testbed) error {
	for _, q := range s.targets("", "udp", o.to) {
		if err := o.ask(s, q); err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

func (o oneSocket) ask(s *testbed, q target) error {
	as := s.newClient(q.from, q.to.Addr())
	c, err := q.dial(as)
	if err != nil {
		return err
	}
	defer c.Close()
	var row []string
	for range 300 {
		name, err := answerTo(c, as)
		if err != nil {
			return fmt.Errorf("datagram %d: %w", len(row)+1, err)
		}
		row = append(row, name)
	}
	return o.check(row)
}

// answerTo sends a datagram and gives the backend that answers, with its port.
func answerTo(c net.Conn, as netip.AddrPort) (string, error) {
	if _, err := c.Write([]byte("who?")); err != nil {
		return "", err
	}
	answer, err := netlab.ReadAnswer(c)
	if err == nil && answer.Peer != as {
		err = fmt.Errorf("%s sees %s instead of %s", answer.Backend, answer.Peer, as)
	}
	return fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port()), err
}

// check compares the backends of the datagrams with the shares.
func (o oneSocket) check(row []string) error {
	counts := countNames(row)
	if err := o.shares.fit(counts); err != nil || !o.inTurn {
		return err
	}
	turn := 0
	for _, weight := range o.shares {
		turn += weight
	}
	for at := range slices.Chunk(row[:len(row)-len(row)%turn], turn) {
		for name, n := range countNames(at) {
			if n != o.shares[name] {
				return fmt.Errorf("%v answered in one turn, want %v", at, o.shares)
			}
		}
	}
	return nil
}

func countNames(names []string) map[string]int {
	out := map[string]int{}
	for _, name := range names {
		out[name]++
	}
	return out
}

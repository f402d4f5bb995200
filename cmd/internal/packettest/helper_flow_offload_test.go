package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

func lacksFlowTables(t *testing.T) bool {
	s := newTestbed(t, netlab.Options{})
	err := farms{"web": oneBackend("snat", listen1, "b1", 0, `flow-offload = ["eth0", "eth1"]`)}.do(s)
	if err == nil {
		return false
	}
	for _, want := range []string{"web.toml:4:", "this kernel has no flow tables (module nf_flow_table)",
		"flow-offload"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error has no %q:\n%v", want, err)
		}
	}
	return true
}

// closeAll closes all connections that are held.
var closeAll = stepFunc(func(s *testbed) (err error) {
	for _, c := range s.held {
		err = errors.Join(err, c.Close())
	}
	s.held = nil
	return err
})

// takesShortCut: packets of held connections pass no forward chain.
func takesShortCut(s *testbed) error {
	before, err := nftCounter(s, "spy", "passed")
	if err != nil {
		return err
	}
	if err := (echo{}).do(s); err != nil {
		return err
	}
	after, err := nftCounter(s, "spy", "passed")
	if err == nil && after != before {
		err = fmt.Errorf("of %d connections %d packets pass the forward chain", len(s.held), after-before)
	}
	return err
}

// offloaded says whether connections to services are in a flow table, as conntrack reports it.
type offloaded struct {
	to   string
	want bool
}

func (o offloaded) do(s *testbed) error {
	var text []byte
	err := s.Balancer.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack")
		return err
	})
	for _, to := range strings.Fields(o.to) {
		at := netip.MustParseAddrPort(to)
		err = errors.Join(err, o.look(string(text), fmt.Sprintf("dst=%s ", at.Addr().StringExpanded()),
			fmt.Sprintf("dport=%d ", at.Port())))
	}
	return err
}

func (o offloaded) look(text, address, port string) error {
	found := 0
	for line := range strings.Lines(text) {
		original, _, _ := strings.Cut(line, "dport=")
		original = line[:min(len(line), len(original)+len("dport=65535 "))]
		if !strings.Contains(original, address) || !strings.Contains(original, port) {
			continue
		}
		found++
		if strings.Contains(line, "[OFFLOAD]") != o.want {
			return fmt.Errorf("in a flow table, want %t: %s", o.want, line)
		}
	}
	if found == 0 {
		return fmt.Errorf("no conntrack entry for %s %s", address, port)
	}
	return nil
}

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

// TestFlowOffload: established connections take the short cut, which a kernel may be built without. Where it is, all that
// can be asked is what people are told.
func TestFlowOffload(t *testing.T) {
	t.Parallel()
	if lacksFlowTables(t) {
		t.Skip("this kernel has no flow tables; Debian's has")
	}
	play(t, []scene{
		offloadScene("snat", "snat", `["eth0", "eth1"]`, netlab.Options{}),
		offloadScene("snat-one-armed", "snat", `"eth0"`, netlab.Options{OneArmed: true}),
		offloadScene("dnat", "dnat", `["eth0", "eth1"]`, netlab.Options{}),
	})
}

func lacksFlowTables(t *testing.T) bool {
	s := newStage(t, netlab.Options{})
	err := farms{"web": one("snat", listenBoth, "b1", 0, `flow-offload = ["eth0", "eth1"]`)}.do(s)
	if err == nil {
		return false
	}
	for _, want := range []string{"web.toml:4:", "this kernel has no flow tables (module nf_flow_table)", "flow-offload"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("told is no %q:\n%v", want, err)
		}
	}
	return true
}

// passed counts what is forwarded, by which protocol and family, in the direction of the service.
const passed = foreign(`table inet spy {
	counter passed { }
	chain forward { type filter hook forward priority -300; counter name passed; }
}`)

func offloadScene(name, mode, devices string, lab netlab.Options) scene {
	offload := "flow-offload = " + devices
	const (
		port   = both + " "
		ranged = "192.0.2.1:8050 [2001:db8::1]:8050 "
		whole  = "192.0.2.2:80 [2001:db8::2]:80 "
		any    = "192.0.2.3:443 [2001:db8::3]:443 "
		not    = "192.0.2.1:8081 [2001:db8::1]:8081 192.0.2.2:53 [2001:db8::2]:53"
	)
	return scene{name: name, lab: lab, steps: steps{
		passed,
		farms{
			"port":     one(mode, listenBoth, "b1", 8081, offload),
			"range":    one(mode, `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "b2", 0, offload),
			"whole":    one(mode, `"192.0.2.2", "2001:db8::2"`, "b3", 0, offload),
			"any":      one(mode, `"*:443/tcp,udp"`, "b2", 8082, offload),
			"in-range": one(mode, `"192.0.2.1:8081/tcp,udp", "[2001:db8::1]:8081/tcp,udp"`, "b3", 0),
			"in-whole": one(mode, `"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp"`, "b1", 0),
		},
		hold{by: "tcp udp", to: port + ranged + whole + any},
		echo{}, // the first packets of both directions passed the long way
		deed(takesShortCut),
		offloaded{port + ranged + whole + any, true},
		pipe,
		echo{}, echo{},
		deed(takesShortCut),
		hangUp,
		hold{by: "tcp udp", to: not},
		echo{},
		offloaded{not, false},
		carry{"tcp", port + ranged + whole + any, 300_000},
		carry{"udp", port + ranged + whole + any, 4000},
		hangUp,
		farms{"web": one(mode, listenBoth, "b3", 0, `flow-offload = ["eth0", "eth1", "absent0"]`)},
		hold{by: "tcp udp", to: port},
		echo{},
		deed(takesShortCut),
	}}
}

// hangUp closes all connections that are held.
var hangUp = deed(func(s *stage) (err error) {
	for _, c := range s.held {
		err = errors.Join(err, c.Close())
	}
	s.held = nil
	return err
})

// takesShortCut: what is sent on connections that are held passes no forward chain.
func takesShortCut(s *stage) error {
	before, err := s.counted("passed")
	if err != nil {
		return err
	}
	if err := (echo{}).do(s); err != nil {
		return err
	}
	after, err := s.counted("passed")
	if err == nil && after != before {
		err = fmt.Errorf("of %d connections %d packets pass the forward chain", len(s.held), after-before)
	}
	return err
}

func (s *stage) counted(name string) (packets int, err error) {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list counter inet spy "+name)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(between(text, "\tpackets ", "}"), "%d", &packets)
	return packets, err
}

// offloaded says whether connections to services are in a flow table, as connection tracking has it.
type offloaded struct {
	to   string
	want bool
}

func (o offloaded) do(s *stage) error {
	var text []byte
	err := s.Balancer.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack")
		return err
	})
	for _, to := range strings.Fields(o.to) {
		at := netip.MustParseAddrPort(to)
		err = errors.Join(err, o.look(string(text), fmt.Sprintf("dst=%s ", at.Addr().StringExpanded()), fmt.Sprintf("dport=%d ", at.Port())))
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
		return fmt.Errorf("nothing is tracked to %s %s", address, port)
	}
	return nil
}

package packettest

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// leastConnections is a farm with two backends in these states. Its ports differ, and one is that of the client.
func leastConnections(b1, b2 string) string {
	return `
		scheduler = "least-connections"
		listen    = [` + listen1 + `]
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		state   = "` + b1 + `"
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		port    = 8082
		state   = "` + b2 + `"
	`
}

// TestLeastConnections: slots move to the backend with fewer open connections, in the kernel alone. They stay moved
// when other farms are loaded, a backend that goes down has none at once, and they are back by weight when farmc watch
// ends. farmc watch takes its own moves for no change by another program.
func TestLeastConnections(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, state, program := t.TempDir(), t.TempDir(), farmc(t)
	web, other := filepath.Join(dir, "web.toml"), filepath.Join(dir, "other.toml")
	must(t, writeFile(web, leastConnections("up", "drain")))
	must(t, s.shell("sysctl -qw net.ipv4.ip_forward=1\nsysctl -qw net.ipv6.conf.all.forwarding=1")())
	w := startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", state)
	write := func(file, text, says string) step {
		return stepFunc(func(*testbed) error {
			if err := writeFile(file, text); err != nil {
				return err
			}
			return eventually{w.says(says)}.do(s)
		})
	}
	signal := func(number syscall.Signal) step {
		return stepFunc(func(*testbed) error { return w.Process.Signal(number) })
	}
	skewed := steps{eventually{slotsOf{"ip4", shares{"10.2.0.11": 1, "10.2.0.12": 31}}},
		slotsOf{"ip6", shares{"100::a02:b": 1, "100::a02:c": 31}}}
	requests := request{by: "tcp", to: service1, sees: "balancer", shares: shares{"b1:80": 1, "b2:8082": 31}}
	defer func() { t.Log(w.said.String()) }()
	must(t, steps{
		eventually{w.says("1 farm loaded")},
		hold{by: "tcp udp", to: service1},
		write(web, leastConnections("up", "up"), "backend b2 state drain → up"),
		skewed,
		signal(syscall.SIGSTOP), // else the connections of the requests count
		requests,
		signal(syscall.SIGCONT),
		echo{},
		write(other, oneBackend("snat", `"192.0.2.2:80/tcp"`, "b1", 0), "2 farms loaded"),
		slotsOf{"ip4", shares{"10.2.0.11": 1, "10.2.0.12": 31}},
		write(web, leastConnections("up", "down"), "backend b2 state up → down"),
		request{by: "tcp", to: service1, sees: "balancer", shares: shares{"b1:80": 1}},
		write(web, leastConnections("up", "up"), "backend b2 state down → up"),
		skewed,
		echo{},
	}.do(s))
	must(t, w.stop())
	must(t, slotsOf{"ip4", shares{"10.2.0.11": 16, "10.2.0.12": 16}}.do(s))
	must(t, slotsOf{"ip6", shares{"100::a02:b": 16, "100::a02:c": 16}}.do(s))
	if said := w.said.String(); strings.Contains(said, "rules changed") || strings.Contains(said, "error") {
		t.Errorf("farmc watch says:\n%s", said)
	}
	out, err := s.Balancer.Run(s.ctx, "", program, "history", "--state-dir", state)
	if n := strings.Count(out, "farmc watch"); err != nil || n != 5 {
		t.Errorf("the history has %d loads, not 5: %v\n%s", n, err, out)
	}
}

// TestLeastConnectionsRollback: after a rollback to scheduler least-connections slots move, though the files have
// another scheduler.
func TestLeastConnectionsRollback(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, state, program := t.TempDir(), t.TempDir(), farmc(t)
	web := filepath.Join(dir, "web.toml")
	must(t, writeFile(web, leastConnections("up", "drain")))
	must(t, s.shell("sysctl -qw net.ipv4.ip_forward=1\nsysctl -qw net.ipv6.conf.all.forwarding=1")())
	w := startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", state)
	defer func() { t.Log(w.said.String()) }()
	write := func(text, says string) step {
		return steps{stepFunc(func(*testbed) error { return writeFile(web, text) }), eventually{w.says(says)}}
	}
	skewed := eventually{slotsOf{"ip4", shares{"10.2.0.11": 1, "10.2.0.12": 31}}}
	must(t, steps{
		eventually{w.says("1 farm loaded")},
		hold{by: "tcp", to: service1},
		write(leastConnections("up", "up"), "backend b2 state drain → up"),
		skewed,
		write(strings.Replace(leastConnections("up", "up"), "least-connections", "random", 1), "scheduler"),
		stepFunc(func(*testbed) error {
			time.Sleep(3 * time.Second) // slots are looked at once a second, and then no more
			_, err := s.Balancer.Run(s.ctx, "", program, "rollback", "--dir", dir, "--state-dir", state)
			return err
		}),
		slotsOf{"ip4", shares{"10.2.0.11": 16, "10.2.0.12": 16}},
		skewed,
		echo{},
	}.do(s))
	must(t, w.stop())
}

// slotsOf checks the numbers of slots in the kernel, by the IDs of backends.
type slotsOf struct {
	family string
	slots  shares
}

func (o slotsOf) do(s *testbed) error {
	out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "map", "inet", "farmc", "farm/web/slots-"+o.family)
	if err != nil {
		return err
	}
	for id, want := range o.slots {
		if n := strings.Count(out+",", " : "+id+",") + strings.Count(out, " : "+id+" }"); n != want {
			return fmt.Errorf("%s has %d slots, not %d:\n%s", id, n, want, out)
		}
	}
	return nil
}

package packettest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
)

// countsLab is a lab for all modes.
var countsLab = netlab.Options{NoVIPs: true, BackendVIPs: true}

// countedFarm is a farm with backend b1, and more keys of b1 or more tables.
func countedFarm(mode, listen string, more ...string) farms {
	keys, backend := "", ""
	if mode == "dsr" {
		keys, backend = `interfaces = ["eth0"]`, `interface = "eth1"`
	}
	return farms{"web": fmt.Sprintf("mode = %q\nlisten = [%s]\nscheduler = 'hash'\n%s\n[backends.b1]\n"+
		"address = ['10.2.0.11', 'fd00:2::11']\n%s\n%s", mode, listen, keys, backend, strings.Join(more, "\n"))}
}

// otherBackend is the table of backend b2.
func otherBackend(mode string) string {
	text := "[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\n"
	if mode == "dsr" {
		text += `interface = "eth1"`
	}
	return text
}

// deaf: backend b1 drops SYNs.
var deaf = stepFunc(func(s *testbed) error {
	_, err := s.machine("b1").Run(context.Background(), `table inet deaf {
		chain input { type filter hook input priority 0; tcp flags syn drop; }
	}`, "nft", "-f", "-")
	return err
})

// repeatedSYN opens one connection to each address, which nothing answers while the kernel sends three SYNs.
type repeatedSYN struct{ to string }

func (r repeatedSYN) do(s *testbed) error {
	targets := s.targets("", "tcp", r.to)
	answers := make(chan error, len(targets))
	for _, q := range targets {
		as := s.newClient(q.from, q.to.Addr())
		go func() {
			if _, err := q.from.Ask(q.network, as.Addr(), q.to, 3500*time.Millisecond); err == nil {
				answers <- q.wrap(errors.New("answered"))
				return
			}
			answers <- nil
		}()
	}
	var err error
	for range targets {
		err = errors.Join(err, <-answers)
	}
	return err
}

// newConnections: status counts so many new connections of each backend of farm web; of others it has no count.
type newConnections map[string]uint64

func (want newConnections) do(s *testbed) error {
	return s.compareBackends(map[string]uint64(want), func(b live.BackendStatus) *uint64 { return b.New })
}

// persistentClients: status counts so many persistent clients of each backend of farm web.
type persistentClients map[string]uint64

func (want persistentClients) do(s *testbed) error {
	return s.compareBackends(map[string]uint64(want), func(b live.BackendStatus) *uint64 {
		if b.Clients == nil {
			return nil
		}
		n := uint64(*b.Clients)
		return &n
	})
}

func (s *testbed) compareBackends(want map[string]uint64, of func(live.BackendStatus) *uint64) error {
	f, err := s.status("web")
	got := map[string]uint64{}
	for _, b := range f.Backends {
		if n := of(b); n != nil {
			got[b.Name] = *n
		}
	}
	if err == nil && !maps.Equal(got, want) {
		err = fmt.Errorf("counted %v, want %v", got, want)
	}
	return err
}

// countedSince: the counts of the backend began at a time before now, which is the same at each step of the name.
type countedSince struct{ backend, name string }

func (c countedSince) do(s *testbed) error {
	f, err := s.status("web")
	if err != nil {
		return err
	}
	for _, b := range f.Backends {
		t, err := time.Parse(time.RFC3339, b.NewSince)
		switch {
		case b.Name != c.backend:
			continue
		case err != nil || time.Since(t) > time.Minute || time.Until(t) > 0:
			return fmt.Errorf("%s counts since %q", b.Name, b.NewSince)
		case s.times[c.name].IsZero():
			s.times[c.name] = t
		case !s.times[c.name].Equal(t):
			return fmt.Errorf("%s counts since %s, want %s", b.Name, t, s.times[c.name])
		}
		time.Sleep(1100 * time.Millisecond) // times are in whole seconds
		return nil
	}
	return fmt.Errorf("there is no backend %s", c.backend)
}

// countedLater: the counts of the backend began later than at the step of the name.
type countedLater struct{ backend, name string }

func (c countedLater) do(s *testbed) error {
	f, err := s.status("web")
	for _, b := range f.Backends {
		if t, _ := time.Parse(time.RFC3339, b.NewSince); b.Name == c.backend && !t.After(s.times[c.name]) {
			err = fmt.Errorf("%s counts since %s, not later than %s", b.Name, t, s.times[c.name])
		}
	}
	return err
}

// fullLoad has all rules loaded anew: without the rule that has the digest, the kernel's rules are unknown.
var fullLoad = steps{
	nftScript("flush chain inet farmc keep-conntrack\n"),
	stepFunc(func(s *testbed) error {
		return s.Balancer.Do(func() error {
			p, _, err := s.engine.Apply(s.ctx)
			if err == nil && p.Strategy == live.Incremental {
				err = fmt.Errorf("the load was incremental")
			}
			return err
		})
	}),
}

// noTables deletes both tables of farmc.
const noTables = nftScript("table inet farmc\ndelete table inet farmc\ntable netdev farmc\ndelete table netdev farmc\n")

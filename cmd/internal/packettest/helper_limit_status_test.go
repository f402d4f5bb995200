package packettest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// limitCounter: a limit of the farm has dropped or rejected this number of packets for this reason, or with letPass let
// them pass.
type limitCounter struct {
	farm, reason string
	packets      int
	letPass      bool // by verdict = "log"
	orMore       bool // for banned clients: the kernel retransmits packets of open connections
}

func (c limitCounter) do(s *testbed) error {
	n, err := c.now(s)
	for end := deadline(); err == nil && n < c.packets && !end.over(); { // packets may still be on their way
		n, err = c.now(s)
	}
	if err != nil || n < c.packets || n > c.packets+s.retransmitted && !c.orMore {
		return fmt.Errorf("%d packets of %s are counted as %s, want %d (%w)", n, c.farm, c.reason, c.packets, err)
	}
	return nil
}

func (c limitCounter) now(s *testbed) (int, error) {
	f, err := s.status(c.farm)
	packets := f.HeldBack
	if c.letPass {
		packets = f.LetPass
	}
	n, ok := packets[c.reason]
	if !ok && err == nil {
		err = errors.New("there is no such counter")
	}
	return int(n), err
}

// status is the status of a farm.
func (s *testbed) status(farm string) (f live.FarmStatus, err error) {
	err = s.Balancer.Do(func() error {
		status, err := s.engine.Status(s.ctx, farm)
		if err == nil && (len(status.Farms) != 1 || status.Rules != live.RulesLoaded) {
			err = fmt.Errorf("the status is %+v", status)
		}
		if err == nil {
			f = status.Farms[0]
		}
		return err
	})
	return f, err
}

// backendStatus: each backend of the farm has served and holds these numbers of connections.
type backendStatus struct {
	farm         string
	served, open map[string]int
}

func (w backendStatus) do(s *testbed) error {
	f, err := s.status(w.farm)
	if err != nil {
		return err
	}
	given, open := map[string]int{}, map[string]int{}
	for _, b := range f.Backends {
		if b.New != nil {
			given[b.Name] = int(*b.New)
		}
		if b.Open != nil {
			open[b.Name] = *b.Open
		}
	}
	if !maps.Equal(given, w.served) || !maps.Equal(open, w.open) {
		return fmt.Errorf("the backends of %s got %v, want %v; open are %v, want %v", w.farm, given, w.served, open,
			w.open)
	}
	return nil
}

// bannedClients: the farm bans exactly these clients, for at most this time.
type bannedClients struct {
	farm    string
	clients []string
	most    time.Duration
}

func (w bannedClients) do(s *testbed) error {
	f, err := s.status(w.farm)
	if err != nil {
		return err
	}
	var clients []string
	for _, b := range f.Banned {
		clients = append(clients, b.Client)
		if b.Left <= 0 || b.Left > w.most.Seconds() {
			err = fmt.Errorf("%s is banned for %g s", b.Client, b.Left)
		}
	}
	slices.Sort(clients)
	if !slices.Equal(clients, w.clients) {
		err = fmt.Errorf("%v are banned, want %v", clients, w.clients)
	}
	return err
}

// ban adds a client to a farm's bans.
type ban struct{ farm, client string }

func (b ban) do(s *testbed) error {
	client, _ := farm.ParseClient(b.client)
	return s.Balancer.Do(func() error {
		_, err := s.engine.Ban(s.ctx, live.BanRequest{Farm: b.farm, Client: client})
		return err
	})
}

// unban removes a client from a farm's bans.
type unban struct{ farm, client string }

func (b unban) do(s *testbed) error {
	client, _ := farm.ParseClient(b.client)
	return s.Balancer.Do(func() error {
		was, err := s.engine.Unban(s.ctx, live.BanRequest{Farm: b.farm, Client: client})
		if err == nil && !was {
			err = errors.New("the client was not banned")
		}
		return err
	})
}

// deniedBy: the status of farm web has these numbers of denied packets, and those of each list.
type deniedBy struct {
	all   uint64
	lists map[string]uint64
}

func (d deniedBy) do(s *testbed) error {
	f, err := s.status("web")
	for end := deadline(); err == nil && f.HeldBack["denied"] < d.all && !end.over(); { // packets may be on their way
		f, err = s.status("web")
	}
	if err != nil || f.HeldBack["denied"] != d.all || !maps.Equal(f.DeniedBy, d.lists) {
		return fmt.Errorf("denied are %v, by lists %v, want %+v (%w)", f.HeldBack, f.DeniedBy, d, err)
	}
	return nil
}

// loggedOnly: the status of farm web has these numbers of packets that a list logs in place of denying them.
type loggedOnly map[string]uint64

func (l loggedOnly) do(s *testbed) error {
	f, err := s.status("web")
	for end := deadline(); err == nil && !maps.Equal(f.LogOnly, l) && !end.over(); { // packets may be on their way
		f, err = s.status("web")
	}
	if err != nil || !maps.Equal(f.LogOnly, l) {
		return fmt.Errorf("logged are %v, want %v (%w)", f.LogOnly, l, err)
	}
	return nil
}

package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// racingInsert inserts each unknown client with b2 just before the farm's own insert, as another processor could do
// with another packet of the same client. A rule for each family sets b2's ID where the farm reads it.
type racingInsert struct {
	table string
	sets  [2]string
}

var deleteRule = regexp.MustCompile(`^\s+delete @farm/web/clients-ip([46]) .* # handle ([0-9]+)$`)

func (k racingInsert) do(s *testbed) error {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "-a", "list", "table", k.table, "farmc")
	if err != nil {
		return err
	}
	chain, rules := "", 0
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "chain" {
			chain = words[1]
		}
		at := deleteRule.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if at == nil {
			continue
		}
		set, header := k.sets[0], "ip"
		if at[1] == "6" {
			set, header = k.sets[1], "ip6"
		}
		what, _, _ := strings.Cut(set, " set ")
		rule := fmt.Sprintf("add rule %s farmc %s handle %s %s update @farm/web/clients-ip%s { %s saddr : %s }\n",
			k.table, chain, at[2], set, at[1], header, what)
		if err := nftScript(rule).do(s); err != nil {
			return err
		}
		rules++
	}
	if rules != 2 {
		return fmt.Errorf("%d rules delete clients, want one for each family: %s", rules, text)
	}
	return nil
}

// firstInsertWins: clients stay with the backend of the first insert.
var firstInsertWins = keepBackend{name: "quicker", to: service1, sees: "any", among: "b2"}

// differentBackends: some clients have different backends under the two names.
type differentBackends [2]string

func (a differentBackends) do(s *testbed) error {
	for client, backend := range s.backendOf[a[0]] {
		if other := s.backendOf[a[1]][client]; other != "" &&
			strings.Split(other, ":")[0] != strings.Split(backend, ":")[0] {
			return nil
		}
	}
	return fmt.Errorf("all clients have the same backend under %s", strings.Join(a[:], " and "))
}

// keepBackend sends requests from 25 clients to services, over TCP and UDP, twice each. Each client has to reach one
// backend in each family: the one that an earlier step recorded under the name. Not all clients have the same one.
type keepBackend struct {
	name  string
	from  string
	by    string // "tcp udp" if empty
	to    string
	sees  string // as in request, or "any" for any source
	among string // the backends that may answer; any if empty
}

func (m keepBackend) do(s *testbed) error {
	met := map[string]map[string]bool{} // the clients' backends, by family
	for range 2 {
		for _, q := range s.targets(m.from, "tcp udp", m.to) {
			if m.by != "" && !strings.Contains(m.by, q.network[:3]) || q.udp() && q.to.Port() == 443 {
				continue
			}
			for _, client := range s.clients(q.to.Addr())[:25] {
				if err := m.meet(s, q, client, met); err != nil {
					return q.wrap(fmt.Errorf("as %s: %w", client, err))
				}
			}
		}
	}
	for family, backends := range met {
		if len(backends) < 2 && len(strings.Fields(m.among)) != 1 {
			return fmt.Errorf("all clients of IPv%s have %v", family, backends)
		}
	}
	return nil
}

func (m keepBackend) meet(s *testbed, q target, client netip.Addr, met map[string]map[string]bool) error {
	as := netip.AddrPortFrom(client, s.newClient(s.Client, client).Port())
	answer, err := q.request(as)
	if err != nil {
		return err
	}
	who := answer.Backend
	if answer.Local.Port() != q.to.Port() {
		who += fmt.Sprint(":", answer.Local.Port())
	}
	if want := m.seen(s, q, as); want.IsValid() && answer.Peer.Addr() != want {
		return fmt.Errorf("%s sees %s, want %s", who, answer.Peer, want)
	}
	if m.among != "" && !slices.Contains(strings.Fields(m.among), who) {
		return fmt.Errorf("%s answered, want one of %s", who, m.among)
	}
	f := family(client)
	if met[f] == nil {
		met[f] = map[string]bool{}
	}
	met[f][who] = true
	return s.checkSameBackend(m.name, client, who)
}

func (m keepBackend) seen(s *testbed, q target, as netip.AddrPort) netip.Addr {
	if m.sees == "any" {
		return netip.Addr{}
	}
	return request{sees: m.sees}.wantPeer(s, q, as)
}

// checkSameBackend fails if the client had another backend before under the name.
func (s *testbed) checkSameBackend(name string, client netip.Addr, who string) error {
	if s.backendOf[name] == nil {
		s.backendOf[name] = map[netip.Addr]string{}
	}
	if before, ok := s.backendOf[name][client]; ok && before != who {
		return fmt.Errorf("%s answers, want %s as before", who, before)
	}
	s.backendOf[name][client] = who
	return nil
}

// clientRequests sends requests from one client's address.
type clientRequests struct {
	client  string
	by, to  string
	backend string // the backend; "several" for more than one
}

func (a clientRequests) do(s *testbed) error {
	who := map[string]bool{}
	for _, q := range s.targets("", a.by, a.to) {
		for range 12 {
			answer, err := q.request(netip.AddrPortFrom(netip.MustParseAddr(a.client),
				s.newClient(s.Client, q.to.Addr()).Port()))
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", a.client, err))
			}
			who[answer.Backend] = true
		}
	}
	if a.backend == "several" && len(who) < 2 || a.backend != "several" && (len(who) != 1 || !who[a.backend]) {
		return fmt.Errorf("client %s got %v, want %s", a.client, who, a.backend)
	}
	return nil
}

// once sends one request, which any backend may answer.
func (a clientRequests) once() step {
	return stepFunc(func(s *testbed) error {
		q := s.targets("", a.by, a.to)[0]
		_, err := q.request(netip.AddrPortFrom(netip.MustParseAddr(a.client),
			s.newClient(s.Client, q.to.Addr()).Port()))
		return q.wrap(err)
	})
}

// requestAtOnce opens eight connections of one client at the same time, which all have to reach one backend.
func (s *testbed) requestAtOnce(q target, client netip.Addr) error {
	var asking sync.WaitGroup
	var mu sync.Mutex
	var all error
	for range 8 {
		asking.Go(func() {
			answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, client).Port()))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = s.checkSameBackend("at once", client, answer.Backend)
			}
			all = errors.Join(all, err)
		})
	}
	asking.Wait()
	return all
}

// keepPerNetwork sends requests from 120 clients to services. Clients of one network have to reach one machine, the one
// that an earlier step recorded under the name. Not all networks have the same one.
type keepPerNetwork struct {
	name     string
	by, to   string
	hostBits int    // of a client's address that do not count
	among    string // the machines that may answer; any if empty
}

func (k keepPerNetwork) do(s *testbed) error {
	backends := map[string]bool{}
	for _, q := range s.targets("", k.by, k.to) {
		for _, client := range s.clients(q.to.Addr())[:120] {
			answer, err := q.request(netip.AddrPortFrom(client, s.newClient(s.Client, client).Port()))
			if err == nil {
				network, _ := client.Prefix(client.BitLen() - k.hostBits)
				err = s.checkSameBackend(k.name, network.Addr(), answer.Backend)
			}
			if err == nil && k.among != "" && !slices.Contains(strings.Fields(k.among), answer.Backend) {
				err = fmt.Errorf("%s answers, want one of %s", answer.Backend, k.among)
			}
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", client, err))
			}
			backends[answer.Backend] = true
		}
	}
	if len(backends) < 2 && len(strings.Fields(k.among)) != 1 {
		return fmt.Errorf("all networks have %v", backends)
	}
	return nil
}

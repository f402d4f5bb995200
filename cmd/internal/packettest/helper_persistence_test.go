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

// table is the family of the table that remembers the farms' clients.
func (w way) table() string {
	if w.farm != "" {
		return "netdev"
	}
	return "inet"
}

// quicker has somebody else learn each unknown client, to be with b2, just before the farm does: as where several processors
// have packets of one client at once. What stands for b2 is put, by a rule of each family, where the farm looks for it.
type quicker struct {
	table string
	sets  [2]string
}

var learntAs = regexp.MustCompile(`^\s+delete @farm/web/clients-ip([46]) .* # handle ([0-9]+)$`)

func (k quicker) do(s *stage) error {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "-a", "list", "table", k.table, "farmc")
	if err != nil {
		return err
	}
	chain, rules := "", 0
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "chain" {
			chain = words[1]
		}
		at := learntAs.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if at == nil {
			continue
		}
		set, header := k.sets[0], "ip"
		if at[1] == "6" {
			set, header = k.sets[1], "ip6"
		}
		what, _, _ := strings.Cut(set, " set ")
		rule := fmt.Sprintf("add rule %s farmc %s handle %s %s update @farm/web/clients-ip%s { %s saddr : %s }\n", k.table, chain, at[2], set, at[1], header, what)
		if err := foreign(rule).do(s); err != nil {
			return err
		}
		rules++
	}
	if rules != 2 {
		return fmt.Errorf("%d rules forget clients, want one for each family: %s", rules, text)
	}
	return nil
}

// metFirst: what was learnt first holds.
var metFirst = stay{name: "quicker", to: both, sees: "whoever", among: "b2"}

// remembering has the farm web know clients to be with the backend of an address in each family.
func (w way) remembering(backends ...string) step { return remembers(w.table(), backends...) }

// remembers has the farm web, in a table of a family, know all clients to be with what stands for a backend of IPv4, and of
// IPv6.
func remembers(table string, stands ...string) step {
	return deed(func(s *stage) error {
		var script strings.Builder
		for i, to := range []string{"192.0.2.1", "2001:db8::1"} {
			fmt.Fprintf(&script, "flush map %s farmc farm/web/clients-ip%c\n", table, "46"[i])
			for _, client := range s.clients(netip.MustParseAddr(to)) {
				fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%c { %s : %s }\n", table, "46"[i], client, stands[i])
			}
		}
		return foreign(script.String()).do(s)
	})
}

// apart: some clients met one backend under a name, and another one under another name.
type apart [2]string

func (a apart) do(s *stage) error {
	for client, backend := range s.met[a[0]] {
		if other := s.met[a[1]][client]; other != "" && strings.Split(other, ":")[0] != strings.Split(backend, ":")[0] {
			return nil
		}
	}
	return fmt.Errorf("all clients met the same backend under %s", strings.Join(a[:], " and "))
}

// A stay has 25 clients ask services, by TCP and UDP where it is open to both, three times each. A client has to meet one
// backend in each family, the one that it met before, if it did under the name; and not all of them the same one.
type stay struct {
	name  string
	from  string
	by    string // "tcp udp" if empty
	to    string
	sees  string // as in ask, or "whoever"
	among string // the backends that may answer; any if empty
}

func (m stay) do(s *stage) error {
	met := map[string]map[string]bool{} // the clients' backends, by family
	for range 3 {
		for _, q := range s.questions(m.from, "tcp udp", m.to) {
			if m.by != "" && !strings.Contains(m.by, q.network[:3]) || q.udp() && q.to.Port() == 443 {
				continue
			}
			for _, client := range s.clients(q.to.Addr())[:25] {
				if err := m.meet(s, q, client, met); err != nil {
					return q.blame(fmt.Errorf("as %s: %w", client, err))
				}
			}
		}
	}
	for family, backends := range met {
		if len(backends) < 2 && len(strings.Fields(m.among)) != 1 {
			return fmt.Errorf("all clients of IPv%s met %v", family, backends)
		}
	}
	return nil
}

func (m stay) meet(s *stage, q question, client netip.Addr, met map[string]map[string]bool) error {
	as := netip.AddrPortFrom(client, s.speaker(s.Client, client).Port())
	answer, err := q.ask(as)
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
	return s.meetsAgain(m.name, client, who)
}

func (m stay) seen(s *stage, q question, as netip.AddrPort) netip.Addr {
	if m.sees == "whoever" {
		return netip.Addr{}
	}
	return ask{sees: m.sees}.seen(s, q, as)
}

// meetsAgain says whether the client met another backend before, under the name of a meeting.
func (s *stage) meetsAgain(name string, client netip.Addr, who string) error {
	if s.met[name] == nil {
		s.met[name] = map[netip.Addr]string{}
	}
	if before, ok := s.met[name][client]; ok && before != who {
		return fmt.Errorf("%s answered, %s did before", who, before)
	}
	s.met[name][client] = who
	return nil
}

// known puts clients into the memory of the farm web.
func known(clients map[string]string) foreign { return knownIn("inet", clients) }

func knownIn(table string, clients map[string]string) foreign {
	var script strings.Builder
	for client, backend := range clients {
		fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%s { %s : %s }\n", table, family(netip.MustParseAddr(firstWord(client))), client, backend)
	}
	return foreign(script.String())
}

// multitude fills the memory of clients of IPv4, who are all with b1.
func multitude(table string) foreign {
	var all strings.Builder
	fmt.Fprintf(&all, "add element %s farmc farm/web/clients-ip4 { ", table)
	for i := range 1<<16 - 1 {
		fmt.Fprintf(&all, "10.77.%d.%d : 10.2.0.11, ", i>>8, i&255)
	}
	return foreign(all.String() + "}\n")
}

// An as asks as one client.
type as struct {
	client string
	by, to string
	meets  string // the backend, "anyone" for several of them
}

func (a as) do(s *stage) error {
	who := map[string]bool{}
	for _, q := range s.questions("", a.by, a.to) {
		for range 12 {
			answer, err := q.ask(netip.AddrPortFrom(netip.MustParseAddr(a.client), s.speaker(s.Client, q.to.Addr()).Port()))
			if err != nil {
				return q.blame(fmt.Errorf("as %s: %w", a.client, err))
			}
			who[answer.Backend] = true
		}
	}
	if a.meets == "anyone" && len(who) < 2 || a.meets != "anyone" && (len(who) != 1 || !who[a.meets]) {
		return fmt.Errorf("%s met %v, want %s", a.client, who, a.meets)
	}
	return nil
}

// once asks once, whoever answers.
func (a as) once() step {
	return deed(func(s *stage) error {
		q := s.questions("", a.by, a.to)[0]
		_, err := q.ask(netip.AddrPortFrom(netip.MustParseAddr(a.client), s.speaker(s.Client, q.to.Addr()).Port()))
		return q.blame(err)
	})
}

// remembered is what the farm web knows of its clients, as nft lists it.
func (s *stage) remembered(table, family string) (string, error) {
	return s.Balancer.Run(s.ctx, "", "nft", "list", "map", table, "farmc", "farm/web/clients-"+family)
}

func forgotten(table, family string) step {
	return deed(func(s *stage) error {
		text, err := s.remembered(table, family)
		if strings.Contains(text, "elements") {
			err = fmt.Errorf("it still knows: %s", text)
		}
		return err
	})
}

// renewed has the one client that is known have nearly an hour left.
func renewed(table, family string) step {
	return deed(func(s *stage) error {
		text, err := s.remembered(table, family)
		if err == nil && !strings.Contains(text, "expires 5") && !strings.Contains(text, "expires 1h") { // minutes, or the hour of this very tick
			err = fmt.Errorf("not renewed: %s", text)
		}
		return err
	})
}

// atOnce opens eight connections of one client at a time, which all have to meet one backend.
func (s *stage) atOnce(q question, client netip.Addr) error {
	var asking sync.WaitGroup
	var mu sync.Mutex
	var all error
	for range 8 {
		asking.Go(func() {
			answer, err := q.ask(netip.AddrPortFrom(client, s.speaker(s.Client, client).Port()))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = s.meetsAgain("at once", client, answer.Backend)
			}
			all = errors.Join(all, err)
		})
	}
	asking.Wait()
	return all
}

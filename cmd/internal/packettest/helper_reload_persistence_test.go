package packettest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"
)

// An acquaintance is who met whom, of two farms with three backends each.
type acquaintance struct {
	*stage
	random *rand.Rand
	states [2][3]string
	weight int
	others int
	home   map[string]string // of a client at a service: its backend
}

func (a *acquaintance) farms() farms {
	all := farms{}
	for i, mode := range []string{"snat", "dnat"} {
		text := fmt.Sprintf("mode = %q\nlisten = ['192.0.2.%[2]d:80', '[2001:db8::%[2]d]:80']\npersistence.timeout = '10m'\n", mode, i+1)
		for b, state := range a.states[i] {
			text += fmt.Sprintf("[backends.b%d]\naddress = ['10.2.0.1%[1]d', 'fd00:2::1%[1]d']\nstate = %q\nweight = %d\n", b+1, state, 1+(a.weight+b)%4)
		}
		all[mode] = text
	}
	for n := range a.others {
		all[fmt.Sprint("other-", n)] = one("snat", fmt.Sprintf(`"192.0.2.%d:80/tcp,udp", "[2001:db8::%[1]d]:80/tcp,udp"`, 10+n), "b1", 0)
	}
	return all
}

// change changes a state, weights, or how many other farms there are. One backend of each farm is always up.
func (a *acquaintance) change() {
	states := &a.states[a.random.IntN(2)]
	switch a.random.IntN(4) {
	case 0, 1:
		at := a.random.IntN(3)
		states[at] = "up"
		if slices.Contains(append(states[:at:at], states[at+1:]...), "up") {
			states[at] = []string{"up", "down", "drain"}[a.random.IntN(3)]
		}
	case 2:
		a.weight++
	case 3:
		a.others = a.random.IntN(4)
	}
}

// forget parts clients from backends that are down, and says how many.
func (a *acquaintance) forget() (parted int) {
	for who, backend := range a.home {
		if a.state(who, backend) == "down" {
			delete(a.home, who)
			parted++
		}
	}
	return parted
}

func (a *acquaintance) state(who, backend string) string {
	farm := 0
	if regexp.MustCompile(`192\.0\.2\.2:|::2\]:`).MatchString(who) {
		farm = 1
	}
	return a.states[farm][backend[1]-'1']
}

// meet has clients ask both farms in both families.
func (a *acquaintance) meet(clients int) error {
	for _, q := range a.questions("", "tcp", rushServices) {
		for _, client := range a.clients(q.to.Addr())[:clients] {
			answer, err := q.ask(netip.AddrPortFrom(client, a.speaker(a.Client, client).Port()))
			if err != nil {
				return q.blame(fmt.Errorf("as %s: %w", client, err))
			}
			who := fmt.Sprint(client, " at ", q.to)
			switch before, known := a.home[who]; {
			case known && before != answer.Backend:
				return fmt.Errorf("%s met %s, and %s before, which is %s", who, answer.Backend, before, a.state(who, before))
			case !known && a.state(who, answer.Backend) != "up":
				return fmt.Errorf("%s met %s, which is %s", who, answer.Backend, a.state(who, answer.Backend))
			}
			a.home[who] = answer.Backend
		}
	}
	return nil
}

var expiry = regexp.MustCompile(`198\.51\.100\.\d+ (?:timeout \S+ )?expires (\S+) :`)

// expires says in how long the first client that the kernel lists is forgotten by the farm snat.
func (a *acquaintance) expires() (time.Duration, error) {
	text, err := a.Balancer.Run(a.ctx, "", "nft", "list", "map", "inet", "farmc", "farm/snat/clients-ip4")
	if err != nil {
		return 0, err
	}
	found := expiry.FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New("nobody is remembered: " + text)
	}
	return time.ParseDuration(found[1])
}

// must1 is must for what gives something, too.
func must1[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// halfForgotten is the client whose half hour has gone on, and wasn't made an hour again.
var halfForgotten = regexp.MustCompile(`10\.99\.99\.99 \. 1 (timeout 1h )?expires [12]\dm`)

// A throng is a thousand clients who ask the farm web by UDP, at one of its ports, and have to meet whom they met before,
// but if that is the backend which is not to answer.
type throng struct {
	port    int
	without string
}

func (c throng) do(s *stage) error {
	before, now := s.met["throng"], map[netip.Addr]string{}
	met := map[string]int{}
	for _, q := range s.questions("", "udp", fmt.Sprintf("192.0.2.1:%d [2001:db8::1]:%[1]d", c.port)) {
		for i := range 500 {
			clients := s.clients(q.to.Addr())
			as := netip.AddrPortFrom(clients[i%100], uint16(30000+i/100))
			answer, err := q.ask(as)
			if err != nil {
				return q.blame(fmt.Errorf("as %s: %w", as, err))
			}
			who, key := answer.Backend, number(as)
			if was, ok := before[key]; who == c.without || ok && was != c.without && was != who {
				return q.blame(fmt.Errorf("%s met %s, and %s before", as, who, was))
			}
			now[key] = who
			met[who]++
		}
	}
	s.met["throng"] = now
	if backends := slices.Sorted(maps.Keys(met)); len(backends) < 2 {
		return fmt.Errorf("all met %v", backends)
	}
	return nil
}

// number makes one address of a client's address and port.
func number(client netip.AddrPort) netip.Addr {
	a := client.Addr().As16()
	a[0], a[1] = byte(client.Port()>>8), byte(client.Port())
	return netip.AddrFrom16(a)
}

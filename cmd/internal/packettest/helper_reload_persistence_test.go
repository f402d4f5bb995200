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

// A persistenceRun records the backends of clients, for two farms with three backends each.
type persistenceRun struct {
	*testbed
	random     *rand.Rand
	states     [2][3]string
	weight     int
	otherFarms int
	backendOf  map[string]string // by client and service
}

func (a *persistenceRun) farms() farms {
	all := farms{}
	for i, mode := range []string{"snat", "dnat"} {
		text := fmt.Sprintf("mode = %q\nlisten = ['192.0.2.%[2]d:80', '[2001:db8::%[2]d]:80']\n"+
			"persistence.timeout = '10m'\n", mode, i+1)
		for b, state := range a.states[i] {
			text += fmt.Sprintf("[backends.b%d]\naddress = ['10.2.0.1%[1]d', 'fd00:2::1%[1]d']\nstate = %q\n"+
				"weight = %d\n", b+1, state, 1+(a.weight+b)%4)
		}
		all[mode] = text
	}
	for n := range a.otherFarms {
		all[fmt.Sprint("other-", n)] = oneBackend("snat",
			fmt.Sprintf(`"192.0.2.%d:80/tcp,udp", "[2001:db8::%[1]d]:80/tcp,udp"`, 10+n), "b1", 0)
	}
	return all
}

// change changes a state, weights, or the number of other farms. One backend of each farm is always up.
func (a *persistenceRun) change() {
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
		a.otherFarms = a.random.IntN(4)
	}
}

// forgetDown forgets the clients of backends that are down, and returns their number.
func (a *persistenceRun) forgetDown() (parted int) {
	for who, backend := range a.backendOf {
		if a.state(who, backend) == "down" {
			delete(a.backendOf, who)
			parted++
		}
	}
	return parted
}

func (a *persistenceRun) state(who, backend string) string {
	farm := 0
	if regexp.MustCompile(`192\.0\.2\.2:|::2\]:`).MatchString(who) {
		farm = 1
	}
	return a.states[farm][backend[1]-'1']
}

// meet sends requests of the clients to both farms in both families.
func (a *persistenceRun) meet(clients int) error {
	for _, q := range a.targets("", "tcp", trafficServices) {
		for _, client := range a.clients(q.to.Addr())[:clients] {
			answer, err := q.request(netip.AddrPortFrom(client, a.newClient(a.Client, client).Port()))
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", client, err))
			}
			who := fmt.Sprint(client, " at ", q.to)
			switch before, known := a.backendOf[who]; {
			case known && before != answer.Backend:
				return fmt.Errorf("%s gets %s, and got %s before, in state %s", who, answer.Backend, before,
					a.state(who, before))
			case !known && a.state(who, answer.Backend) != "up":
				return fmt.Errorf("%s gets %s, in state %s", who, answer.Backend, a.state(who, answer.Backend))
			}
			a.backendOf[who] = answer.Backend
		}
	}
	return nil
}

var expiry = regexp.MustCompile(`198\.51\.100\.\d+ (?:timeout \S+ )?expires (\S+) :`)

// expires is the time until the entry of the first listed client of the farm snat expires.
func (a *persistenceRun) expires() (time.Duration, error) {
	text, err := a.Balancer.Run(a.ctx, "", "nft", "list", "map", "inet", "farmc", "farm/snat/clients-ip4")
	if err != nil {
		return 0, err
	}
	found := expiry.FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New("no client has an entry: " + text)
	}
	return time.ParseDuration(found[1])
}

// must1 is must with a value.
func must1[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// unchangedExpiry matches the client whose 30 minutes have gone on, and were not reset to an hour.
var unchangedExpiry = regexp.MustCompile(`10\.99\.99\.99 \. 1 (timeout 1h )?expires [12]\dm`)

// manyClients are a thousand clients that send datagrams to one port of the farm web. Each has to reach the same
// backend as before, unless that backend must not answer.
type manyClients struct {
	port    int
	without string
}

func (c manyClients) do(s *testbed) error {
	before, now := s.backendOf["throng"], map[netip.Addr]string{}
	met := map[string]int{}
	for _, q := range s.targets("", "udp", fmt.Sprintf("192.0.2.1:%d [2001:db8::1]:%[1]d", c.port)) {
		for i := range 500 {
			clients := s.clients(q.to.Addr())
			as := netip.AddrPortFrom(clients[i%100], uint16(30000+i/100))
			answer, err := q.request(as)
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", as, err))
			}
			who, key := answer.Backend, clientKey(as)
			if was, ok := before[key]; who == c.without || ok && was != c.without && was != who {
				return q.wrap(fmt.Errorf("%s gets %s, and %s before", as, who, was))
			}
			now[key] = who
			met[who]++
		}
	}
	s.backendOf["throng"] = now
	if backends := slices.Sorted(maps.Keys(met)); len(backends) < 2 {
		return fmt.Errorf("all get %v", backends)
	}
	return nil
}

// clientKey combines a client's address and port in one address.
func clientKey(client netip.AddrPort) netip.Addr {
	a := client.Addr().As16()
	a[0], a[1] = byte(client.Port()>>8), byte(client.Port())
	return netip.AddrFrom16(a)
}

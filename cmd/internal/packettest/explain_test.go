package packettest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"farmc/cmd/internal/explain"
	"farmc/compiler/farm"
)

// TestExplain: packets of random clients reach the backend that explain names beforehand, or one of the backends.
func TestExplain(t *testing.T) {
	t.Parallel()
	runCases(t, append(explainCases(), untrackedExplainCases()...))
}

// untrackedExplainCases are farms without connection tracking: at the ingress of an interface, and in prerouting.
func untrackedExplainCases() (all []testCase) {
	for _, c := range []struct {
		name, keys string
		explained
	}{
		{"maglev", "", explained{clients: hashedClients, certain: 100}},
		{"maglev-ports", "hash-on = ['source-address', 'source-port']",
			explained{clients: hashedClients, certain: 100}},
		{"hash", "scheduler = 'hash'\nhash-on = ['destination-address', 'source-address']",
			explained{clients: hashedClients, certain: 100}},
		{"hash-ports", "scheduler = 'hash'\nhash-on = ['source-port', 'destination-port']",
			explained{clients: hashedClients, certain: 100}},
		{"symmetric-hash", "scheduler = 'symmetric-hash'", explained{clients: 60, unsure: true}},
		{"persistence", "persistence.on = ['source-address']\nscheduler = 'symmetric-hash'",
			explained{clients: 60, certain: 40}},
		{"static", "persistence.static = { '198.51.100.0/29' = 'b1', '2001:db8:c::4' = 'b2' }",
			explained{clients: hashedClients, certain: 100}},
	} {
		for name, farm := range map[string]string{
			"dsr":               atIngress(untrackedExplainedFarm("dsr", c.keys)),
			"stateless-ingress": atIngress(untrackedExplainedFarm("stateless", c.keys)),
			"stateless":         untrackedExplainedFarm("stateless", c.keys),
		} {
			one := testCase{name: name + "-" + c.name, steps: steps{farms{"web": farm}, c.explained}}
			if name == "dsr" {
				one.lab = dsrTopologies[1].lab
			}
			all = append(all, one)
		}
	}
	return all
}

// untrackedExplainedFarm has three backends at the ports that clients ask for.
func untrackedExplainedFarm(mode, keys string) string {
	return fmt.Sprintf(`
		mode = %q
		listen = ["192.0.2.1:80,8000-8100/udp", "[2001:db8::1]:80,8000-8100/udp"]
		%s
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		weight = 3
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
	`, mode, keys)
}

// hashedClients are enough for backends that explain names beforehand: by chance it would name the right one of three
// with weights 3, 1 and 1 for all of them once in 10^8 cases.
const hashedClients = 24

type explainCase struct {
	name, keys string
	certain    int // share in percent of clients whose backend is known beforehand
}

// clients is the number of clients, more where they have to come again.
func (c explainCase) clients() int {
	if c.certain == 100 {
		return hashedClients
	}
	return 60
}

func explainCases() (all []testCase) {
	for _, c := range []explainCase{
		{"hash-source", "scheduler = 'hash'", 100},
		{"hash-ports", "scheduler = 'hash'\nhash-on = ['source-port', 'destination-port']", 100},
		{"hash-addresses", "scheduler = 'hash'\nhash-on = ['source-address', 'destination-address']", 100},
		{"hash-source-port", "scheduler = 'hash'\nhash-on = ['source-port']", 100},
		{"hash-everything", "scheduler = 'hash'\n" +
			"hash-on = ['source-address', 'destination-address', 'source-port', 'destination-port']", 100},
		{"maglev", "scheduler = 'maglev'\nhash-on = ['source-address', 'source-port']", 100},
		{"static", "persistence.static = { '198.51.100.0/29' = 'b1', '2001:db8:c::4' = 'b2' }", 20},
		{"persistence", "persistence.on = ['source-address']", 40},
		{"persistence-of-networks", "persistence.prefix = [28, 64]", 90},
		{"persistence-hashed", "persistence.on = ['source-address', 'destination-address', 'source-port']", 0},
	} {
		for _, mode := range []string{"dnat", "snat"} {
			all = append(all, testCase{name: mode + "-" + c.name, steps: steps{
				farms{"web": explainedFarm(mode, c.keys)}, explained{clients: c.clients(), certain: c.certain}}})
		}
	}
	all = append(all, testCase{name: "network", steps: steps{
		farms{
			"web": explainedFarmAt(`"192.0.2.0/29:80/udp", "192.0.2.0/28:8000-8100/udp", "[2001:db8::/64]:80/udp", `+
				`"[2001:db8::/126]:8000-8100/udp"`, "snat", "scheduler = 'hash'"),
			"other": oneBackend("snat", `"192.0.2.0/28/all", "2001:db8::/125/all"`, "b2", 0),
		},
		explained{clients: hashedClients, certain: 100}}})
	for _, scheduler := range []string{"random", "round-robin", "symmetric-hash"} {
		all = append(all, testCase{name: scheduler, steps: steps{
			farms{"web": explainedFarm("dnat", "scheduler = '"+scheduler+"'")}, explained{clients: 40}}})
	}
	for name, keys := range map[string]string{
		"allow-first": "access.order = 'allow-first'\n",
		"deny-first":  "access.order = 'deny-first'\n",
		"exempt":      "access.exempt = ['198.51.100.9', '2001:db8:c::9']\nlimits.connections-per-client = 2\n",
		"limit":       "limits.connections-per-client = 2\n",
		"any":         "",
	} {
		deny := `"@bad", "198.51.100.8-198.51.100.12", "2001:db8:c::8-2001:db8:c::c"`
		if name == "any" {
			deny += `, "any"`
		}
		keys += "access.deny = [" + deny + "]\naccess.allow = ['198.51.100.10/31', '2001:db8:c::a', '198.51.100.3']\n"
		all = append(all, testCase{name: "stops-" + name, steps: steps{
			farms{"web": explainedFarm("snat", keys), "bad.list": "198.51.100.3\n2001:db8:c::5\n"}, explainedStops{}}})
	}
	return all
}

func explainedFarm(mode, keys string) string {
	return explainedFarmAt(`"192.0.2.1:80,8000-8100/udp", "[2001:db8::1]:80,8000-8100/udp"`, mode, keys)
}

func explainedFarmAt(listen, mode, keys string) string {
	return fmt.Sprintf(`
		mode = %q
		listen = [%s]
		%s
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		weight = 3
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
		port = 8081
	`, mode, listen, keys)
}

// explained sends datagrams of random clients of both families. Of at least the certain share in percent the first
// answer of explain is one backend; of a remembered client the second one is.
type explained struct {
	clients, certain int
	unsure           bool // the second answer can be several backends, too
}

func (e explained) do(s *testbed) error {
	random := rand.New(rand.NewPCG(17, 17))
	all, sure := udpClients{}, 0
	defer all.close()
	for i := range e.clients {
		q := randomQuestion(random, i)
		for try := range 2 {
			named, err := s.explain(q)
			if err != nil {
				return err
			}
			got, err := s.askFrom(all, q)
			switch _, possible := named[got]; {
			case err != nil:
				return fmt.Errorf("%s: %w", q, err)
			case !possible:
				return fmt.Errorf("%s reaches %s, and explain names %v", q, got, named)
			case try == 1 && len(named) != 1 && !e.unsure:
				return fmt.Errorf("%s: explain names %v, although the connection is open", q, named)
			case try == 0 && len(named) == 1:
				sure++
			}
		}
	}
	if sure*100 < e.clients*e.certain {
		return fmt.Errorf("explain names one backend beforehand for %d of %d clients", sure, e.clients)
	}
	return nil
}

func randomQuestion(random *rand.Rand, i int) explain.Question {
	port := []uint16{80, 8000, 8050, 8100}[random.IntN(4)]
	to, from := "192.0.2.1", "198.51.100.%d"
	if i%2 == 1 {
		to, from = "2001:db8::1", "2001:db8:c::%d"
	}
	client := netip.MustParseAddr(fmt.Sprintf(from, 2+random.IntN(16)))
	return explain.Question{Service: netip.AddrPortFrom(netip.MustParseAddr(to), port), Protocol: farm.UDP,
		Client: netip.AddrPortFrom(client, uint16(10000+i))}
}

// answerTo is the answer of explain.
func (s *testbed) answerTo(q explain.Question) (a explain.Answer, err error) {
	err = s.Balancer.Do(func() error { // which has the interfaces of the farms
		farms, err := s.engine.LoadedFarms()
		if err != nil {
			return err
		}
		m, found := explain.Find(farms, q, nil)
		if !found {
			return fmt.Errorf("no farm takes %s", q)
		}
		memory, err := s.engine.MemoryOf(s.ctx, m.Farm, q)
		a = m.Answer(memory)
		return err
	})
	return a, err
}

// explain gives the backends that explain names, with their shares.
func (s *testbed) explain(q explain.Question) (map[string]float64, error) {
	a, err := s.answerTo(q)
	if err == nil && a.Stopped() {
		err = fmt.Errorf("%s: stopped by %v", q, a.Stops)
	}
	named := map[string]float64{}
	for _, b := range a.Backends {
		named[b.Name] = b.Share
	}
	return named, err
}

func (s *testbed) askFrom(all udpClients, q explain.Question) (string, error) {
	socket, err := all.socket(s, q.Client.Addr().String(), int(q.Client.Port()))
	if err != nil {
		return "", err
	}
	name, err := askName(socket, q.Service)
	if err == nil && name == "" {
		err = errors.New("an empty answer")
	}
	return name, err
}

// explainedStops sends three datagrams of each client, each from a port of its own. Exactly the datagrams are answered
// that nothing stops, as explain says. Some clients must be stopped, and some not.
type explainedStops struct{}

func (explainedStops) do(s *testbed) error {
	all, counts := udpClients{}, map[bool]int{}
	defer all.close()
	for i := range 24 {
		q := randomQuestion(rand.New(rand.NewPCG(1, 1)), i%2)
		format := map[bool]string{true: "198.51.100.%d", false: "2001:db8:c::%d"}[q.Client.Addr().Is4()]
		q.Client = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf(format, 2+i/2%16)), uint16(20000+i))
		for range 3 {
			a, err := s.answerTo(q)
			if err != nil {
				return err
			}
			passed, err := s.passes(all, q, a.Stopped())
			if err != nil || passed == a.Stopped() {
				return errors.Join(err, fmt.Errorf("%s: answered: %t; explain says stopped: %v", q, passed, a.Stops))
			}
			counts[passed]++
			q.Client = netip.AddrPortFrom(q.Client.Addr(), q.Client.Port()+100)
		}
	}
	if counts[true] < 5 || counts[false] < 5 {
		return fmt.Errorf("%d datagrams passed, and %d did not", counts[true], counts[false])
	}
	return nil
}

// passes reports whether a datagram is answered. A shorter time is enough where no answer may come.
func (s *testbed) passes(all udpClients, q explain.Question, stopped bool) (bool, error) {
	socket, err := all.socket(s, q.Client.Addr().String(), int(q.Client.Port()))
	if err != nil {
		return false, err
	}
	wait := answerTimeout
	if stopped {
		wait = 20 * time.Millisecond
	}
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return false, err
	}
	if _, err := socket.WriteToUDPAddrPort([]byte("who?"), q.Service); err != nil {
		return false, err
	}
	_, err = socket.Read(make([]byte, 100))
	return err == nil, nil
}

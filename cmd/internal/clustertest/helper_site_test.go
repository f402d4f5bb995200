package clustertest

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// A site is a cluster with a router, a client and backends. Its programs run until the end of the test.
type site struct {
	*netlab.Lab
	t         *testing.T
	dir       string // of files of this test
	farmc     string // the program
	scheduler string
	backends  []string // of dsr and stateless at the beginning; three if nil
	patient   bool     // BFD waits 3 s instead of 0.3 s
	routing   *program // the router's routing daemon
	balancers []*balancer
	openings  int // of flows
}

// A balancer is a machine with farmc watch and a routing daemon.
type balancer struct {
	*netlab.Host
	number  int // from 1
	watch   *program
	routing *program
	mirror  *program // farmc-etcd; nil: the test writes the farms
}

// newMachines makes a site of three balancers without any program.
func newMachines(t *testing.T, farmc string, c clusterCase) *site {
	t.Helper()
	s := &site{Lab: netlab.Test(t, netlab.Options{Balancers: 3}), t: t, dir: t.TempDir(),
		farmc: farmc, scheduler: c.scheduler, backends: c.backends, patient: c.patient}
	for i, h := range s.Balancers {
		s.balancers = append(s.balancers, &balancer{Host: h, number: i + 1})
	}
	return s
}

// newSite makes a site of three balancers, with the router's daemon, and no program on the balancers.
func newSite(t *testing.T, farmc string, c clusterCase) *site {
	t.Helper()
	bird := needProgram(t, "bird")
	s := newMachines(t, farmc, c)
	must(t, s.Serve(80, 8080, 8081))
	s.replyRules()
	if !c.unfiltered {
		s.dropUnrewritten()
	}
	s.routing = s.start(s.Router, bird, s.birdArguments("router", readExample(t, "bird-router.conf"))...)
	return s
}

// replyRules gives packets of backends a routing table of their own at the router.
func (s *site) replyRules() {
	s.run(s.Router, "ip", "rule", "add", "iif", "eth2", "from", "10.2.0.0/24", "lookup", "100")
	s.run(s.Router, "ip", "-6", "rule", "add", "iif", "eth2", "from", "fd00:2::/64", "lookup", "100")
}

// dropUnrewritten has the router drop replies of the stateless farm that a balancer without rules returns as they are.
func (s *site) dropUnrewritten() {
	for family, backends := range map[string]string{"-4": "10.2.0.0/24", "-6": "fd00:2::/64"} {
		s.run(s.Router, "ip", family, "rule", "add", "iif", "eth1", "from", backends,
			"sport", fmt.Sprint(stateless.port()), "blackhole")
	}
}

// birdArguments writes a configuration file, and gives the command line for BIRD in the foreground.
func (s *site) birdArguments(name, text string) []string {
	file := filepath.Join(s.dir, name+".conf")
	if s.patient {
		text = strings.ReplaceAll(text, "interval 100 ms", "interval 1000 ms")
	}
	must(s.t, os.WriteFile(file, []byte(text), 0o644))
	return []string{"-f", "-c", file, "-s", filepath.Join(s.dir, name+".ctl"), "-P", filepath.Join(s.dir, name+".pid")}
}

// powerOn starts farmc watch and the routing daemon on a balancer.
func (s *site) powerOn(b *balancer) {
	s.t.Helper()
	for _, m := range modes {
		if m == snat {
			s.writeFarm(b, m)
			continue
		}
		s.writeFarm(b, m, s.backends...)
	}
	s.startWatch(b)
	s.startBird(b)
}

func (s *site) startWatch(b *balancer, options ...string) {
	b.watch = s.start(b.Host, s.farmc, append([]string{"watch", "--dir", s.farms(b), "--state-dir", s.state(b)},
		options...)...)
}

// startBird starts BIRD with the example for a balancer, which has the addresses of the first one.
func (s *site) startBird(b *balancer) {
	own := strings.NewReplacer("10.1.0.11", fmt.Sprintf("10.1.0.%d", 10+b.number),
		"fd00:1::11", fmt.Sprintf("fd00:1::%d", 10+b.number),
		"10.2.0.2", fmt.Sprintf("10.2.0.%d", 1+b.number), "fd00:2::2", fmt.Sprintf("fd00:2::%d", 1+b.number))
	text := own.Replace(readExample(s.t, "bird-balancer.conf"))
	b.routing = s.start(b.Host, "bird", s.birdArguments(b.Name, text)...)
}

func (s *site) farms(b *balancer) string { return filepath.Join(s.dir, b.Name, "farms.d") }
func (s *site) state(b *balancer) string { return filepath.Join(s.dir, b.Name, "state") }

// awaitLoad waits until a balancer has loaded its files, which an apply of the same files ensures.
func (s *site) awaitLoad(b *balancer) {
	s.t.Helper()
	s.run(b.Host, s.farmc, "apply", "--dir", s.farms(b), "--state-dir", s.state(b))
}

// powerOff takes the carrier of a balancer, and then ends its programs.
func (s *site) powerOff(b *balancer) {
	must(s.t, s.Unplug(b.Host))
	b.watch.kill()
	b.routing.kill()
}

// run runs a program on a host, and fails the test if it fails.
func (s *site) run(h *netlab.Host, name string, args ...string) string {
	s.t.Helper()
	out, err := h.Run(s.t.Context(), "", name, args...)
	must(s.t, err)
	return out
}

// awaitBalancers waits until the router has a route by each of n balancers in both families.
func (s *site) awaitBalancers(n int) {
	s.t.Helper()
	s.awaitFamily("-4", n)
	s.awaitFamily("-6", n)
}

// awaitFamily waits until the router has a route by each of n balancers to the service of each mode, and to clients for
// replies of backends. The family is an option of ip(8).
func (s *site) awaitFamily(family string, n int) {
	s.t.Helper()
	for _, m := range modes {
		s.awaitNextHops(n, family, m.address("tcp"+family[1:]).String())
	}
	s.awaitNextHops(n, family, "default", "table", "100")
}

// awaitNextHops waits until the router has a route with n next hops.
func (s *site) awaitNextHops(n int, family string, destination ...string) {
	s.t.Helper()
	command := append([]string{family, "route", "show"}, destination...)
	var shown string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// A table without a route does not exist, which is an error.
		shown, _ = s.Router.Run(s.t.Context(), "", "ip", command...)
		if strings.Count(shown, "via ") == n {
			return
		}
	}
	s.t.Fatalf("the router has no %d next hops to %s:\n%s", n, destination, shown)
}

// A mode of a farm, and the number of the address of its service.
type mode struct {
	name   string
	number int
}

var (
	dsr       = mode{"dsr", 1}
	stateless = mode{"stateless", 2}
	snat      = mode{"snat", 3}
	dnat      = mode{"dnat", 4} // of pairs
	modes     = [...]mode{dsr, stateless, snat}
)

func (m mode) String() string { return m.name }

// service is the address and port that the client connects to by the network.
func (m mode) service(network string) netip.AddrPort {
	return netip.AddrPortFrom(m.address(network), 80)
}

func (m mode) address(network string) netip.Addr {
	if strings.HasSuffix(network, "6") {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", m.number))
	}
	return netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", m.number))
}

// buildFarmc builds the program.
func buildFarmc(t *testing.T) string {
	t.Helper()
	return build(t, "../../farmc")
}

// build builds the program in a directory.
func build(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(dir))
	command := exec.CommandContext(t.Context(), "go", "build", "-C", dir, "-o", file, ".")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	return file
}

// examples is the directory of the files that the package ships.
const examples = "../../../debian/examples/cluster"

func readExample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, name))
	must(t, err)
	return string(text)
}

// needProgram skips the test if the machine lacks a program, and fails it in CI.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

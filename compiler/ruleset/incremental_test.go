package ruleset_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

var editSequences = flag.Int("edit-sequences", 8, "random sequences of edits")

// After each of many edits, a script that takes elements over equals the one that is linked of all farms.
func TestTakenElements(t *testing.T) {
	sequences := *editSequences
	if testing.Short() {
		sequences = 2
	}
	taken, least := 0, 3*sequences
	for n := 0; n < sequences || taken < least && n < 10*sequences; n++ { // a random sequence can take over none
		seed := rand.Uint64()
		if taken += editAndLink(t, rand.New(rand.NewPCG(seed, 0))); t.Failed() {
			t.Fatalf("the sequence of seed %d", seed)
		}
	}
	if taken < least {
		t.Errorf("elements of farms were taken over %d times", taken)
	}
}

// A socket that two farms have stands once in the rules about invalid segments. It comes to the second farm, which did
// not change, when the first one has it no more.
func TestSharedSocketsAreNotTaken(t *testing.T) {
	text := func(listen, backend int) *fstest.MapFile {
		return &fstest.MapFile{Mode: 0o644, Data: fmt.Appendf(nil, "listen = '192.0.2.%d:80'\n"+
			"backends.b1.address = '10.0.0.%d'\nbackends.b2.address = '10.0.1.%d'\n", listen, backend, listen)}
	}
	var cache farm.Cache
	var services ruleset.Services
	for step, backend := range []int{2, 3, 4, 3, 2} { // of farm c; that of d is 3
		files := fstest.MapFS{"a.toml": text(1, 1), "b.toml": text(2, 2), "d.toml": text(4, 3)}
		files["c.toml"] = text(3, backend)
		script, told := linkFarms(&cache, &services, files, ruleset.Machine{})
		want, wantTold := linkFarms(&farm.Cache{}, &ruleset.Services{}, files, ruleset.Machine{})
		mustBeSame(t, fmt.Sprintf("step %d", step), script, want, told, wantTold)
	}
}

// Prerouting asks the pick of farms that pick alike, and no map of farms. When a farm of another kind comes, the map
// has all farms again.
func TestTakenElementsOfAMapThatComesBack(t *testing.T) {
	text := func(listen int, keys string) *fstest.MapFile {
		return &fstest.MapFile{Mode: 0o644, Data: fmt.Appendf(nil, "%s\nlocal-clients = false\n"+
			"listen = '192.0.2.%[2]d:80'\nbackends.b1.address = '10.0.0.%[2]d'\nbackends.b2.address = '10.0.1.%[2]d'\n",
			keys, listen)}
	}
	files := fstest.MapFS{"a.toml": text(1, ""), "b.toml": text(2, ""), "c.toml": text(3, "")}
	var cache farm.Cache
	var services ruleset.Services
	for step, keys := range []string{"", "scheduler = 'hash'", ""} {
		files["d.toml"] = text(4, keys)
		script, told := linkFarms(&cache, &services, files, ruleset.Machine{})
		want, wantTold := linkFarms(&farm.Cache{}, &ruleset.Services{}, files, ruleset.Machine{})
		mustBeSame(t, fmt.Sprintf("step %d", step), script, want, told, wantTold)
	}
}

// editAndLink edits farms, and gives the number of scripts that took elements over.
func editAndLink(t *testing.T, r *rand.Rand) (taken int) {
	m := &editedMachine{gone: map[string]bool{}, source: "10.99.0.1", version: 1}
	e := editor{Rand: r, farms: map[string]*editedFarm{}, machine: m}
	for range 30 {
		e.add()
	}
	var cache farm.Cache
	var services ruleset.Services
	for range 40 {
		what := e.edit()
		script, told := linkFarms(&cache, &services, e.files(), m.machine())
		want, wantTold := linkFarms(&farm.Cache{}, &ruleset.Services{}, e.files(), m.machine())
		mustBeSame(t, what, script, want, told, wantTold)
		if script != nil {
			if services.Taken() > 0 {
				taken++
			}
			boot := ruleset.Machine{Absent: func(string) bool { return true }}
			again := services.LinkAgain(script, boot, &diag.Diagnostics{})
			alone, _ := linkFarms(&farm.Cache{}, &ruleset.Services{}, e.files(), boot)
			mustBeSame(t, what+", for the boot", again, alone, nil, nil)
		}
		if t.Failed() {
			break
		}
		e.mend(told)
	}
	return taken
}

func linkFarms(cache *farm.Cache, services *ruleset.Services, files fstest.MapFS, m ruleset.Machine) (*ruleset.Script,
	diag.Diagnostics) {
	var told diag.Diagnostics
	script := services.Link(cache.Read([]farm.Dir{{Path: "farms.d", FS: files}}, &told), m, &told)
	told.Sort()
	return script, told
}

func mustBeSame(t *testing.T, what string, is, want *ruleset.Script, told, wantTold diag.Diagnostics) {
	t.Helper()
	if !reflect.DeepEqual(told, wantTold) {
		t.Errorf("%s: says\n%v\nand all farms\n%v", what, told, wantTold)
	}
	switch {
	case (is == nil) != (want == nil):
		t.Errorf("%s: there is a script: %t, of all farms: %t", what, is != nil, want != nil)
	case is == nil:
	case string(is.Text) != string(want.Text):
		t.Errorf("%s: another script than of all farms:\n%s", what, firstDifference(string(is.Text), string(want.Text)))
	default:
		if is.Digest != want.Digest || !reflect.DeepEqual(is.Sources, want.Sources) ||
			!reflect.DeepEqual(is.ServedPorts, want.ServedPorts) || !reflect.DeepEqual(is.Ingress, want.Ingress) ||
			!reflect.DeepEqual(farm.Describe(is.Farms), farm.Describe(want.Farms)) {
			t.Errorf("%s: the script is described as another one", what)
		}
		for line := range strings.Count(string(is.Text), "\n") {
			if a, b := is.LineOrigin(line), want.LineOrigin(line); !reflect.DeepEqual(a, b) {
				t.Fatalf("%s: line %d is from %v, want %v", what, line, a, b)
			}
		}
	}
}

func firstDifference(a, b string) string {
	is, want := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(is), len(want)) {
		if is[i] != want[i] {
			return fmt.Sprintf("line %d\n%s\nwant\n%s", i+1, is[i], want[i])
		}
	}
	return "one of them is longer"
}

// mend removes the farms with faults, so that most scripts have none.
func (e *editor) mend(told diag.Diagnostics) {
	for _, d := range told {
		if d.Severity == diag.Fault {
			delete(e.farms, d.Farm)
		}
	}
	for len(e.farms) < 20 {
		e.add()
	}
}

// An editedMachine is a machine whose interfaces, routes and ports change.
type editedMachine struct {
	gone    map[string]bool
	source  string
	ports   []uint16
	version uint64
}

func (m *editedMachine) machine() ruleset.Machine {
	return ruleset.Machine{
		Absent:       func(device string) bool { return m.gone[device] },
		Ports:        func() []uint16 { return m.ports },
		RouteVersion: m.version,
		Route: func(backend netip.Addr) ruleset.Route {
			if backend.Is4() && backend.As4()[3]%5 == 0 {
				return ruleset.Route{Interface: "eth2", Source: netip.MustParseAddr(m.source)}
			}
			return ruleset.Route{Interface: "eth1", Source: netip.MustParseAddr("10.99.0.9")}
		},
	}
}

// An editedFarm is a farm as its file says it.
type editedFarm struct {
	keys     string
	listen   []string
	backends map[string]string // the keys of each
	tables   string
}

func (f *editedFarm) text() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nlisten = [\"%s\"]\n%s\n", f.keys, strings.Join(f.listen, "\", \""), f.tables)
	for _, name := range slices.Sorted(maps.Keys(f.backends)) {
		keys := f.backends[name]
		if strings.HasSuffix(f.listen[0], "/all") {
			keys = strings.Replace(keys, "port =", "#", 1)
		}
		fmt.Fprintf(&out, "[backends.%s]\n%s\n", name, keys)
	}
	return []byte(out.String())
}

// An editor edits farms.
type editor struct {
	*rand.Rand
	farms   map[string]*editedFarm
	machine *editedMachine
	made    int
}

func (e *editor) files() fstest.MapFS {
	out := fstest.MapFS{}
	for name, f := range e.farms {
		out[name+".toml"] = &fstest.MapFile{Data: f.text(), Mode: 0o644}
	}
	return out
}

func (e *editor) oneOf(words ...string) string { return words[e.IntN(len(words))] }

// add adds a farm without faults of its own.
func (e *editor) add() {
	f := e.newFarm()
	for !f.isValid() {
		f = e.newFarm()
	}
	e.farms[fmt.Sprintf("f%d-%d", e.IntN(10), e.made)] = f
}

func (f *editedFarm) isValid() bool {
	var told diag.Diagnostics
	new(farm.Cache).Read([]farm.Dir{{FS: fstest.MapFS{"f.toml": {Data: f.text(), Mode: 0o644}}}}, &told)
	return !told.Faulty()
}

// newFarm makes a farm: most are plain.
func (e *editor) newFarm() *editedFarm {
	e.made++
	f := &editedFarm{keys: e.keys(), backends: map[string]string{}}
	f.listen = e.listen(e.made)
	for n := range 2 + e.IntN(8)/7 {
		f.backends[fmt.Sprint("b", n)] = e.backend()
	}
	if e.IntN(12) == 0 {
		f.tables = e.tables()
	}
	return f
}

// keys are those of kinds of farms, of which the first are plain.
func (e *editor) keys() string {
	plain := []string{"", "mode = 'dnat'", "mode = 'snat'\nscheduler = 'hash'", "mode = 'dnat'\nlocal-clients = false",
		"mode = 'snat'\nsource-address = 'masquerade'", "mode = 'dnat'\nstate = 'up'",
		"mode = 'dnat'\ninvalid = 'pass'"}
	if e.IntN(5) > 0 {
		return plain[e.IntN(len(plain))]
	}
	return e.oneOf("mode = 'dnat'\nscheduler = 'round-robin'", "scheduler = 'maglev'", "mark = '7'",
		"scheduler = 'least-connections'",
		"mode = 'stateless'\nscheduler = 'hash'", "mode = 'dsr'\ninterfaces = ['eth0']\nscheduler = 'hash'",
		"interfaces = ['eth0', 'eth3']", "mode = 'dnat'\nhairpin = ['10.0.0.0/8']", "source-address = '172.16.0.1'",
		"state = 'down'", "flow-offload = ['eth0', 'eth3']",
		"flow-offload = ['eth0', 'eth3']\nflow-offload-all = true", // a fault beside zones and mark-replies
		"interfaces = ['eth4']\nzone = 1", "mode = 'dnat'\ninterfaces = ['eth3', 'eth5']\nzone = 2",
		"mark-replies = { eth0 = '0x100/0xf00' }", "mode = 'dnat'\nmark-replies = { eth3 = '0x200/0xf00' }",
		"mode = 'dnat'\nmark = '0x10/0xff'")
}

// listen gives frontends of the nth farm. Some conflict with others.
func (e *editor) listen(n int) []string {
	if e.IntN(300) == 0 {
		n = 1 + e.IntN(n)
	}
	address := fmt.Sprintf("192.0.%d.%d", n/200, 1+n%200)
	switch e.IntN(24) {
	case 0:
		return []string{address + ":8000-8010"}
	case 1:
		return []string{fmt.Sprintf("192.0.0.%d/all", 1+e.IntN(40))}
	case 2:
		return []string{address + ":53/udp"}
	case 3:
		return []string{fmt.Sprintf("0.0.0.0:%d", 1000+n)}
	case 4:
		return []string{fmt.Sprintf("127.0.0.%d:80", n%250)}
	case 11:
		return []string{address + ":3868/sctp"}
	case 12:
		return []string{address + ":80/tcp,udp,sctp"}
	case 5, 6, 7, 8:
		return []string{address + ":80", address + ":443"}
	case 9, 10:
		return []string{address + ":80", fmt.Sprintf("[2001:db8::%d]:80", n)}
	}
	return []string{address + ":80"}
}

// backend gives the keys of a backend. Some farms have the same ones.
func (e *editor) backend() string {
	n, out := e.IntN(1000), ""
	if e.IntN(5) == 0 {
		n = 1 + e.IntN(9)
	}
	if e.IntN(8) > 0 { // else of the family of IPv4 alone
		out = fmt.Sprintf("address = ['10.0.%d.%d', 'fd00::%d']\n", n/200, n%200, n)
	} else {
		out = fmt.Sprintf("address = '10.0.%d.%d'\n", n/200, n%200)
	}
	if e.IntN(5) > 0 {
		out += fmt.Sprintf("port = %d\n", 8000+e.IntN(3))
	}
	return out + e.oneOf("", "", "", "", "", "", "", "", "weight = 2\n", "weight = 3\n", "state = 'drain'\n",
		"state = 'down'\n", "priority = 2\n", "connections = 10\n", "weight-percent = 50\n")
}

func (e *editor) tables() string {
	return e.oneOf("[persistence]\ntimeout = '1m'", "[limits]\nconnections = 100", "[limits]\nsynproxy = true",
		"[log]\non = ['input', 'forward']",
		"[limits]\nban = '2m'\nnew-per-client = { rate = '10/second', burst = 20 }",
		"[access]\ndeny = ['198.51.100.0/24']",
		"[timeouts]\nestablished = '1h'", "[health]\ntype = 'tcp'", "queue = '3'")
}

// edit makes one of many edits, and says which. Few edits make a fault of a farm alone.
func (e *editor) edit() string {
	for range 5 {
		before := maps.Clone(e.farms)
		for name, f := range e.farms {
			copied := *f
			copied.backends = maps.Clone(f.backends)
			e.farms[name] = &copied
		}
		what := e.change()
		all := slices.Collect(maps.Values(e.farms))
		if !slices.ContainsFunc(all, func(f *editedFarm) bool { return !f.isValid() }) {
			return what
		}
		e.farms = before
	}
	return e.change()
}

func (e *editor) change() string {
	if e.IntN(3) == 0 {
		clear(e.machine.gone)
	}
	names := slices.Sorted(maps.Keys(e.farms))
	name := names[e.IntN(len(names))]
	f := e.farms[name]
	switch n := e.IntN(24); {
	case n == 0:
		e.add()
		return "a new farm"
	case n == 1:
		delete(e.farms, name)
		e.add()
		return "a farm instead of " + name
	case n == 2 && len(e.farms) > 20:
		delete(e.farms, name)
		return "without " + name
	case n == 3:
		f.keys = e.keys()
		return name + " is another kind of farm"
	case n == 4:
		f.tables = e.tables()
		return name + " has other tables"
	case n == 5:
		f.tables = ""
		return name + " has no tables"
	case n == 6:
		f.listen = e.listen(e.made + 1)
		e.made++
		return name + " listens elsewhere"
	case n == 7:
		clear(e.machine.gone)
		e.machine.gone[e.oneOf("eth0", "eth3", "eth9", "eth9")] = true // no farm names eth9
		return "an interface comes or goes"
	case n == 8:
		e.machine.source = e.oneOf("10.99.0.1", "10.99.0.2", "10.99.0.9")
		e.machine.version++
		return "another route"
	case n == 9:
		e.machine.ports = [][]uint16{nil, {53}, {53, 8001}}[e.IntN(3)]
		return "other ports"
	case n == 10:
		return "nothing"
	case n == 11:
		delete(f.backends, "b1")
		f.backends["b2"] = e.backend()
		return name + " has other backends"
	}
	f.backends["b0"] = e.backend()
	return name + " has another b0"
}

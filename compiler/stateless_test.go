package compiler_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestAmbiguous compares the faults about ambiguous replies with a list of all possible replies.
func TestAmbiguous(t *testing.T) {
	clear, unclear := 0, 0
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 7))
		farms := translatingFarms(r)
		var frontends []farm.Frontend
		for _, f := range farms {
			frontends = append(frontends, f.Frontends()...)
		}
		slices.SortStableFunc(frontends, farm.Frontend.Compare)
		var told diag.Diagnostics
		farm.AmbiguousReplies(frontends, &told)
		want := confusedListens(farms)
		if (len(want) > 0) != (len(told) > 0) {
			t.Fatalf("seed %d: %d faults, want some: %t\n%s", seed, len(told), len(want) > 0, describe(farms))
		}
		named := map[int]bool{}
		for _, d := range told {
			pair := [2]int{d.Place.Line, d.Place.Line}
			if len(d.Also) > 0 {
				pair[1] = d.Also[0].Place.Line
			}
			if !want[pair] {
				t.Fatalf("seed %d: %v are told to be confused, and aren't\n%s", seed, pair, describe(farms))
			}
			named[pair[0]], named[pair[1]] = true, true
		}
		for pair := range want {
			if !named[pair[0]] && !named[pair[1]] {
				t.Fatalf("seed %d: nobody tells of %v\n%s", seed, pair, describe(farms))
			}
		}
		if len(want) > 0 {
			unclear++
		} else {
			clear++
		}
	}
	if clear < 500 || unclear < 500 {
		t.Errorf("%d clear and %d not: the farms are too tame, or too wild", clear, unclear)
	}
}

// Where the replies of the farms of this test are from and go to: few enough that they meet.
var (
	someServices = []netip.Addr{
		netip.MustParseAddr("192.0.2.1"),
		netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("2001:db8::1"),
	}
	someServers = []netip.Addr{
		netip.MustParseAddr("10.0.0.1"),
		netip.MustParseAddr("10.0.0.2"),
		netip.MustParseAddr("10.0.0.3"),
		netip.MustParseAddr("fd00::1"),
	}
	somePorts = []farm.Ports{
		{First: 80, Last: 80},
		{First: 81, Last: 81},
		{First: 82, Last: 82},
		{First: 80, Last: 82},
		{First: 81, Last: 84},
	}
)

func translatingFarms(r *rand.Rand) []*farm.Farm {
	farms := make([]*farm.Farm, 2+r.IntN(3))
	line := 0
	for i := range farms {
		mode := compilertest.Pick(r, farm.Stateless, farm.Stateless, farm.DNAT, farm.SNAT, farm.DSR)
		f := &farm.Farm{Name: string(rune('a' + i)), Mode: mode}
		ranged, whole := false, false
		for range 1 + r.IntN(2) {
			line++
			address := compilertest.Pick(r, someServices...)
			l := farm.Listen{
				Address:  address,
				Families: []addr.Family{addr.FamilyOf(address)},
				Place:    diag.Place{Line: line},
			}
			if r.IntN(6) == 0 {
				l.Protocols, whole = []farm.Protocol{farm.AnyProtocol}, true
			} else {
				l.Protocols = compilertest.Pick(r,
					[]farm.Protocol{farm.TCP}, []farm.Protocol{farm.UDP}, []farm.Protocol{farm.TCP, farm.UDP})
				l.Ports = []farm.Ports{compilertest.Pick(r, somePorts...)}
				ranged = ranged || !l.Ports[0].Single()
			}
			f.Listen = append(f.Listen, l)
		}
		for j := range 1 + r.IntN(2) {
			b := farm.Backend{Name: fmt.Sprint("b", j), Weight: 1, State: farm.Up}
			server := compilertest.Pick(r, someServers...)
			b.Address[addr.FamilyOf(server)] = server
			if !whole && !(ranged && f.Mode == farm.Stateless) {
				b.Port = compilertest.Pick(r, uint16(0), 80, 81, 83)
			}
			f.Backends = append(f.Backends, b)
		}
		farms[i] = f
	}
	return farms
}

// confusedListens gives the lines of all pairs of listens with a reply in common that mode stateless can't lead back.
func confusedListens(farms []*farm.Farm) map[[2]int]bool {
	type origin struct {
		service   netip.AddrPort
		stateless bool
		line      int
	}
	replies := map[string][]origin{} // by the packet's protocol, source address and source port
	for _, f := range farms {
		for _, l := range f.Listen {
			for _, asked := range askedAt(l) {
				for _, b := range f.Backends {
					from := b.Address[addr.FamilyOf(l.Address)]
					if f.Mode == farm.DSR || !from.IsValid() {
						continue
					}
					port := asked.port
					if b.Port != 0 {
						port = b.Port
					}
					shows := fmt.Sprint(asked.protocol, from, port)
					replies[shows] = append(
						replies[shows],
						origin{netip.AddrPortFrom(l.Address, asked.port), f.Mode == farm.Stateless, l.Place.Line},
					)
				}
			}
		}
	}
	out := map[[2]int]bool{}
	for _, all := range replies {
		for _, a := range all {
			for _, b := range all {
				if (a.stateless || b.stateless) && (a.service != b.service || a.stateless != b.stateless) {
					out[[2]int{a.line, b.line}] = true
				}
			}
		}
	}
	return out
}

type askedPort struct {
	protocol farm.Protocol
	port     uint16
}

// askedAt is where clients can ask, among the ports of this test.
func askedAt(l farm.Listen) (out []askedPort) {
	protocols, ports := l.Protocols, l.Ports
	if l.Whole() {
		protocols, ports = []farm.Protocol{farm.TCP, farm.UDP, farm.SCTP}, []farm.Ports{{First: 79, Last: 85}}
	}
	for _, protocol := range protocols {
		for port := ports[0].First; port <= ports[0].Last; port++ {
			out = append(out, askedPort{protocol, port})
		}
	}
	return out
}

func describe(farms []*farm.Farm) string {
	var text strings.Builder
	for _, f := range farms {
		fmt.Fprintln(&text, f.Name, f.Mode, f.Description())
	}
	return text.String()
}

// TestKernelTakesStatelessHashes loads all combinations of hash keys, in both families, rewritten in prerouting and at
// ingress.
func TestKernelTakesStatelessHashes(t *testing.T) {
	k := compilertest.NewKernel(t)
	for _, interfaces := range []string{"", "interfaces = 'eth0'\n"} {
		all := fstest.MapFS{}
		for set := 1; set < 1<<len(farm.HashKeys); set++ {
			var on []string
			for i, key := range farm.HashKeys {
				if set>>i&1 == 1 {
					on = append(on, fmt.Sprintf("%q", key))
				}
			}
			all[fmt.Sprintf("farm%d.toml", set)] = &fstest.MapFile{Data: []byte(fmt.Sprintf(`mode = "stateless"
scheduler = "hash"
hash-on = [%[1]s]
listen = ["192.0.2.%[2]d:80/tcp,udp", "[2001:db8::%[2]d]:80/tcp,udp"]
%[3]s[backends.b1]
address = ["10.0.0.%[2]d", "fd00::%[2]d"]
port = 8080
[backends.b2]
address = ["10.0.1.%[2]d", "fd00:1::%[2]d"]
`, strings.Join(on, ", "), set, interfaces))}
		}
		script, told := compiler.Compile([]farm.Dir{{FS: all}})
		if told.Faulty() {
			t.Fatal(compilertest.Printed(told))
		}
		k.MustLoad(fmt.Sprint(len(all), " farms ", interfaces), script.Text)
		k.Must("list", "nft -nn list ruleset")
	}
}

// BenchmarkAmbiguous: 10,000 farms of 10 backends, of their own, or all the same.
func BenchmarkAmbiguous(b *testing.B) {
	for _, c := range []struct {
		name      string
		stateless int // one in so many
		shared    bool
		whole     bool
	}{
		{"own-backends", 1, false, false},
		{"shared-backends", 1, true, false},
		{"shared-but-one-stateless", 10_000, true, false},
		{"shared-ranges", 2, true, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			var frontends []farm.Frontend
			for i := range 10_000 {
				address := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
				f := &farm.Farm{Name: fmt.Sprint("farm", i), Mode: farm.DNAT}
				if i%c.stateless == 0 {
					f.Mode = farm.Stateless
				}
				l := farm.Listen{
					Address:   address,
					Families:  []addr.Family{addr.IP4},
					Protocols: []farm.Protocol{farm.TCP},
					Ports:     []farm.Ports{{First: 80, Last: 80}},
					Place:     diag.Place{Line: i},
				}
				if c.whole {
					l.Ports = []farm.Ports{{First: uint16(1 + i), Last: uint16(20_000 + i)}}
				}
				f.Listen = []farm.Listen{l}
				for j := range 10 {
					n := i
					if c.shared {
						n = 0
					}
					backend := farm.Backend{Name: fmt.Sprint("b", j), Weight: 1, State: farm.Up}
					backend.Address[addr.IP4] = netip.AddrFrom4([4]byte{10, byte(j), byte(n >> 8), byte(n)})
					f.Backends = append(f.Backends, backend)
				}
				frontends = append(frontends, f.Frontends()...)
			}
			slices.SortStableFunc(frontends, farm.Frontend.Compare)
			for b.Loop() {
				var told diag.Diagnostics
				farm.AmbiguousReplies(frontends, &told)
			}
		})
	}
}

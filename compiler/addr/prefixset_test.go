package addr

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// has says whether the set has the address, as the kernel asks: by its first bits.
func has(s PrefixSet, a netip.Addr) bool {
	p, err := a.Prefix(s.Length)
	if err != nil {
		return false
	}
	_, found := slices.BinarySearchFunc(s.Firsts, NumberOf(p.Addr()), Number.compare)
	return found
}

func TestPrefixSets(t *testing.T) {
	for _, test := range []struct {
		rule string
		list string
		want string // the lengths, and the networks of each
	}{
		{"one", "192.0.2.0/24", "24: 192.0.2.0"},
		{"address", "192.0.2.7", "32: 192.0.2.7"},
		{"doubled", "192.0.2.7\n192.0.2.7\n192.0.2.0/24\n192.0.2.0/25", "24: 192.0.2.0"},
		{"adjacent-halves", "192.0.2.0/25\n192.0.2.128/25", "24: 192.0.2.0"},
		{"adjacent-across-a-boundary", "192.0.1.128/25\n192.0.2.0/25", "25: 192.0.1.128 192.0.2.0"},
		{"range", "192.0.2.5-192.0.2.9", "32: 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9"},
		{"range-to-the-end", "255.255.255.254-255.255.255.255", "31: 255.255.255.254"},
		{"few-of-a-shorter-length", "192.0.2.0/30\n192.0.2.9", "32: 192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.9"},
		{"much-shorter", "10.0.0.0/8\n192.0.2.9", "8: 10.0.0.0, 32: 192.0.2.9"},
		{"all", "0.0.0.0/0", "1: 0.0.0.0 128.0.0.0"},
		{"all-but-one", "0.0.0.0-255.255.255.254", "5: 0.0.0.0 8.0.0.0..."},
		{"all-of-ip6", "::/0", "1: :: 8000::"},
		{"ip6", "2001:db8::/32\n2001:db8:1::1\n2001:db9::1", "32: 2001:db8::, 128: 2001:db9::1"},
		{"ip6-through-mapped-addresses", "::fffe:ffff:ffff-::1:0:0:0",
			"96: ::ffff:0:0, 128: ::fffe:ffff:ffff ::1:0:0:0"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var ranges [len(Families)][]Range
			for line := range strings.SplitSeq(test.list, "\n") {
				n, err := ParseNetwork(line)
				if err != nil {
					t.Fatal(err)
				}
				ranges[FamilyOf(n.First)] = append(ranges[FamilyOf(n.First)], n.Range())
			}
			var got []string
			for _, f := range Families {
				for _, s := range PrefixSets(Merge(ranges[f]), f) {
					said := fmt.Sprintf("%d:", s.Length)
					for _, first := range s.Firsts {
						said += " " + string(first.AppendTo(nil, f))
					}
					got = append(got, said)
				}
			}
			said := strings.Join(got, ", ")
			if want, more := strings.CutSuffix(test.want, "..."); said != want &&
				!(more && strings.HasPrefix(said, want)) {
				t.Errorf("got  %s\nwant %s", said, test.want)
			}
		})
	}
}

// TestPrefixSetsHoldWhatTheListSays compares lists of any kind with a plain look at each of their lines.
func TestPrefixSetsHoldWhatTheListSays(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := Families[seed%2]
		lines := randomNetworks(r, f, 1+r.IntN(300))
		ranges := make([]Range, len(lines))
		for i, n := range lines {
			ranges[i] = n.Range()
		}
		sets := PrefixSets(Merge(slices.Clone(ranges)), f)
		for range 500 {
			a := randomNear(r, f, lines)
			want := slices.ContainsFunc(lines, func(n Network) bool { return !a.Less(n.First) && !n.Last.Less(a) })
			if got := slices.ContainsFunc(sets, func(s PrefixSet) bool { return has(s, a) }); got != want {
				t.Fatalf("seed %d: %s is in %v: %t, want %t", seed, a, lines, got, want)
			}
		}
		for _, s := range sets {
			if !slices.IsSortedFunc(s.Firsts, Number.compare) ||
				len(slices.Compact(slices.Clone(s.Firsts))) < len(s.Firsts) {
				t.Fatalf("seed %d: a set is not in order: %v", seed, s)
			}
		}
	}
}

// randomNetworks are of all lengths, nested, adjacent and overlapping, and ranges.
func randomNetworks(r *rand.Rand, f Family, n int) []Network {
	out := make([]Network, n)
	for i := range out {
		a := randomAddress(r, f)
		if i > 0 && r.IntN(3) == 0 {
			a = randomNear(r, f, out[:i])
		}
		if r.IntN(4) == 0 { // a range
			b := NumberOf(a).plus(Number{0, r.Uint64N(1 << r.IntN(20))}).Address(f)
			if b.Less(a) {
				b = a
			}
			out[i] = Network{a, b}
			continue
		}
		p := netip.PrefixFrom(a, pick(r, f.Width(), f.Width()-8, 8+r.IntN(f.Width()-7))).Masked()
		out[i] = Network{p.Addr(), Last(p)}
	}
	return out
}

func randomAddress(r *rand.Rand, f Family) netip.Addr {
	if f == IP4 {
		return Number{0, uint64(r.Uint32())}.Address(f)
	}
	return Number{0x2001_0db8_0000_0000 + r.Uint64N(1<<pick(r, 4, 32)), r.Uint64() >> pick(r, 0, 60)}.Address(f)
}

// randomNear is the first or the last address of a network, its neighbour, or another one.
func randomNear(r *rand.Rand, f Family, of []Network) netip.Addr {
	n := of[r.IntN(len(of))]
	a := pick(r, n.First, n.Last, n.First.Prev(), n.Last.Next(), randomAddress(r, f))
	if !a.IsValid() {
		return n.First
	}
	return a
}

// TestALineMoreOrLess: a list that changes by any line is written with few lines changed.
func TestALineMoreOrLess(t *testing.T) {
	changed := 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		lines := make([]Network, 20000)
		for i := range lines {
			p := netip.PrefixFrom(randomAddress(r, IP4), pick(r, 32, 32, 24, 24, 20, 14+r.IntN(19))).Masked()
			lines[i] = Network{p.Addr(), Last(p)}
		}
		before, after := elementsOf(lines[1:]), elementsOf(lines)
		for e := range before {
			if !after[e] {
				changed++
			}
		}
		for e := range after {
			if !before[e] {
				changed++
			}
		}
	}
	if changed == 0 || changed > 20*500 {
		t.Errorf("in 20 lists of 20,000 lines %d elements are others after a line more", changed)
	}
}

func elementsOf(lines []Network) map[string]bool {
	ranges := make([]Range, len(lines))
	for i, n := range lines {
		ranges[i] = n.Range()
	}
	out := map[string]bool{}
	for _, s := range PrefixSets(Merge(ranges), IP4) {
		for _, first := range s.Firsts {
			out[fmt.Sprintf("%s/%d", first.Address(IP4), s.Length)] = true
		}
	}
	return out
}

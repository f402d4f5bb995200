package compiler_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestConflictsByComparingAll holds the walk along sorted doors against the comparison of every farm with every other:
// every conflict that is told is one, and every farm that has a conflict is told of.
func TestConflictsByComparingAll(t *testing.T) {
	if testing.Short() {
		t.Skip("500 random sets of farms take too long for -short; make test-slow runs them")
	}
	conflicts := 0
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		var farms []compilertest.ModelFarm
		files := fstest.MapFS{}
		for i := range 2 + r.IntN(5) {
			f := compilertest.RandomFarm(r)
			f.Name = fmt.Sprintf("farm%d", i)
			farms = append(farms, f)
			files[f.Name+".toml"] = &fstest.MapFile{Data: []byte(compilertest.TomlText(r, f.Settings(r)))}
		}
		meets := map[[2]string]bool{}
		involved := map[string]bool{}
		for i, f := range farms {
			for _, g := range farms[i+1:] {
				if f.ListensWith(g) {
					meets[[2]string{f.Name, g.Name}] = true
					involved[f.Name], involved[g.Name] = true, true
				}
			}
		}
		_, told := compiler.Compile([]farm.Dir{{FS: files}})
		told = slices.DeleteFunc(told, func(d diag.Diagnostic) bool {
			return d.Severity == diag.Warning || strings.HasPrefix(d.Message, "outgoing: connections of ")
		})
		named := map[string]bool{}
		for _, d := range told {
			if !strings.Contains(d.Message, "is already used by farm") {
				t.Fatalf("seed %d: %s", seed, compilertest.Printed(told))
			}
			a, b := strings.TrimSuffix(d.Also[0].Place.File, ".toml"), strings.TrimSuffix(d.Place.File, ".toml")
			if !meets[[2]string{a, b}] {
				t.Errorf("seed %d: %s and %s don't meet: %s", seed, a, b, d.Message)
			}
			if d.Farm != b || d.Place.Line == 0 || d.Also[0].Place.Line == 0 {
				t.Errorf("seed %d: a place is missing: %+v", seed, d)
			}
			named[a], named[b] = true, true
		}
		for name := range involved {
			if !named[name] {
				t.Errorf("seed %d: nothing is said of %s, which meets another", seed, name)
			}
		}
		conflicts += len(told)
	}
	if conflicts < 50 {
		t.Errorf("only %d conflicts: the farms are too tame", conflicts)
	}
}

func TestConflicts(t *testing.T) {
	for _, test := range []struct {
		rule string
		a, b string   // the entries of listen
		want []string // the addresses, ports and protocols that they share
	}{
		{"port", "192.0.2.10:80", "192.0.2.10:80", []string{"192.0.2.10:80/tcp"}},
		{"port-among-others", "192.0.2.10:80,443", "192.0.2.10:25,443", []string{"192.0.2.10:443/tcp"}},
		{"once-however-many-ports", "192.0.2.10:80,443", "192.0.2.10:80,443/tcp,udp", []string{"192.0.2.10:80/tcp"}},
		{"another-port", "192.0.2.10:80", "192.0.2.10:81", nil},
		{"another-address", "192.0.2.10:80", "192.0.2.11:80", nil},
		{"another-protocol", "192.0.2.10:80/tcp", "192.0.2.10:80/udp", nil},
		{"another-family", "0.0.0.0:80", "[::]:80", nil},
		{"one-protocol-of-two", "192.0.2.10:80/tcp,udp", "192.0.2.10:80/udp", []string{"192.0.2.10:80/udp"}},
		{"ranges", "192.0.2.10:10-20", "192.0.2.10:15-25", []string{"192.0.2.10:15-20/tcp"}},
		{"range-in-a-range", "192.0.2.10:10-20", "192.0.2.10:12-15", []string{"192.0.2.10:12-15/tcp"}},
		{"ranges-at-their-ends", "192.0.2.10:10-20", "192.0.2.10:20-25", []string{"192.0.2.10:20/tcp"}},
		{"ranges-side-by-side", "192.0.2.10:10-20", "192.0.2.10:21-25", nil},
		{"port-over-range", "192.0.2.10:15", "192.0.2.10:10-20", nil},
		{"ports-over-whole-address", "192.0.2.10:15,20-30", "192.0.2.10/all", nil},
		{"whole-address", "192.0.2.10/all", "192.0.2.10/all", []string{"192.0.2.10/all"}},
		{"whole-address-of-ip6", "2001:db8::10/all", "[2001:db8:0::10]/all", []string{"2001:db8::10/all"}},
		{"any-address", "*:80", "*:80", []string{"*:80/tcp"}},
		{"any-address-of-a-family", "*:80", "0.0.0.0:80", []string{"0.0.0.0:80/tcp"}},
		{"address-over-any-address", "*:80", "192.0.2.10:80", nil},
		{"range-of-an-address-over-a-port-of-any", "*:80", "192.0.2.10:79-81", nil},
		{"network", "198.51.100.0/28:80", "198.51.100.0/28:80,443", []string{"198.51.100.0/28:80/tcp"}},
		{"network-of-ip6", "[2001:db8::/64]:80", "[2001:db8:0::/64]:80", []string{"[2001:db8::/64]:80/tcp"}},
		{"whole-network", "198.51.100.0/28/all", "198.51.100.0/28/all", []string{"198.51.100.0/28/all"}},
		{"longer-prefix-over-shorter", "198.51.100.0/29:80", "198.51.100.0/28:80", nil},
		{"address-over-network", "198.51.100.3:80", "198.51.100.0/28:80", nil},
		{"address-of-a-network-of-one", "198.51.100.3:80", "198.51.100.3/32:80", []string{"198.51.100.3:80/tcp"}},
		{"network-over-any-address", "*:80", "198.51.100.0/28:80", nil},
		{"protocol", "192.0.2.10/esp", "192.0.2.10/ah,proto-50", []string{"192.0.2.10/esp"}},
		{"protocol-of-a-network", "198.51.100.0/28/gre", "198.51.100.0/28/gre", []string{"198.51.100.0/28/gre"}},
		{"protocol-over-whole-address", "192.0.2.10/esp", "192.0.2.10/all", nil},
		{"protocol-beside-ports", "192.0.2.10/esp", "192.0.2.10:500/udp", nil},
		{"any-range", "*:10-20", "*:20-30", []string{"*:20/tcp"}},
		{"any-port-over-any-range", "*:10-20", "*:15", nil},
	} {
		t.Run(test.rule, func(t *testing.T) {
			form := "listen = %q\n[backends.b1]\naddress = %s\n"
			backends := `"10.0.0.11"`
			if strings.Contains(test.a+test.b, "::") {
				backends = `["10.0.0.11", "fd00::11"]`
			}
			for _, swap := range []bool{false, true} {
				a, b := test.a, test.b
				if swap {
					a, b = b, a
				}
				address := func(listen string) string {
					switch {
					case strings.Contains(listen, "::"):
						return `"fd00::11"`
					case strings.HasPrefix(listen, "*"):
						return backends
					}
					return `"10.0.0.11"`
				}
				_, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{
					"a.toml": {Data: fmt.Appendf(nil, form, a, address(a))},
					"b.toml": {Data: fmt.Appendf(nil, form, b, address(b))},
				}}})
				var got []string
				for _, d := range told {
					got = append(got, strings.TrimSuffix(d.Message, " is already used by farm a"))
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("%s and %s: got %q, want %q", a, b, got, test.want)
				}
			}
		})
	}
}

package compiler_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// A sourceMachine has routes to backends, as "br0 10.2.0.1", and programs that serve on ports; nil: unknown.
type sourceMachine struct {
	routes map[string]string
	ports  []uint16
}

func (m sourceMachine) compile(t *testing.T, farms map[string]string) *ruleset.Script {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range farms {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	var about ruleset.Machine
	if m.routes != nil {
		about.Route = m.route
	}
	if m.ports != nil {
		about.Ports = func() []uint16 { return m.ports }
	}
	script, told := new(compiler.Compiler).CompileFor([]farm.Dir{{FS: files}}, about)
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	return script
}

func (m sourceMachine) route(backend netip.Addr) (r ruleset.Route) {
	device, source, _ := strings.Cut(m.routes[backend.String()], " ")
	r.Interface = device
	r.Source, _ = netip.ParseAddr(source)
	return r
}

// part gives the lines of an object in a script, without its braces and tabs.
func part(t *testing.T, script *ruleset.Script, object string) []string {
	t.Helper()
	_, rest, found := strings.Cut(string(script.Text), "\n\t"+object+" {\n")
	if !found {
		return nil
	}
	text, _, _ := strings.Cut(rest, "\n\t}\n")
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.Trim(lines[i], "\t,")
	}
	return lines
}

// sourceFarm keeps the ports of clients, as a hash picks the same backend again.
const sourceFarm = `
	scheduler = "hash"
	listen = ["192.0.2.1:80", "[2001:db8::1]:80"]
	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	[backends.b3]
	address = ["10.3.0.13", "fd00:3::13"]
`

// TestRouteSources: an interface has one element if all backends behind it see one source, else each backend has one.
func TestRouteSources(t *testing.T) {
	for _, c := range []struct {
		rule        string
		routes      map[string]string
		byInterface []string
		byBackend   []string
		chain       []string
	}{
		{"one source", map[string]string{"10.2.0.11": "br0 10.2.0.1", "10.2.0.12": "br0 10.2.0.1",
			"10.3.0.13": "br0 10.2.0.1"},
			[]string{`"br0" : 10.2.0.1`}, nil,
			[]string{"meta nfproto ipv4 snat ip to oifname map @interface-sources-ip4", "masquerade"}},
		{"two interfaces", map[string]string{"10.2.0.11": "br0 10.2.0.1", "10.2.0.12": "br0 10.2.0.1",
			"10.3.0.13": "eth1 10.3.0.1"},
			[]string{`"br0" : 10.2.0.1`, `"eth1" : 10.3.0.1`}, nil,
			[]string{"meta nfproto ipv4 snat ip to oifname map @interface-sources-ip4", "masquerade"}},
		{"two sources on an interface", map[string]string{"10.2.0.11": "br0 10.2.0.1", "10.2.0.12": "br0 10.2.0.1",
			"10.3.0.13": "br0 10.3.0.1"}, nil,
			[]string{`"br0" . 10.2.0.11 : 10.2.0.1`, `"br0" . 10.2.0.12 : 10.2.0.1`, `"br0" . 10.3.0.13 : 10.3.0.1`},
			[]string{"snat ip to oifname . ip daddr map @backend-sources-ip4", "masquerade"}},
		{"a backend without a source", map[string]string{"10.2.0.11": "br0 10.2.0.1", "10.2.0.12": "br0 10.2.0.1",
			"10.3.0.13": "br0"}, nil,
			[]string{`"br0" . 10.2.0.11 : 10.2.0.1`, `"br0" . 10.2.0.12 : 10.2.0.1`},
			[]string{"snat ip to oifname . ip daddr map @backend-sources-ip4", "masquerade"}},
		{"a backend without a route", map[string]string{"10.2.0.11": "br0 10.2.0.1", "10.2.0.12": "br0 10.2.0.1"},
			[]string{`"br0" : 10.2.0.1`}, nil,
			[]string{"meta nfproto ipv4 snat ip to oifname map @interface-sources-ip4", "masquerade"}},
		{"no source", map[string]string{"10.2.0.11": "br0"}, nil, nil, []string{"masquerade"}},
		{"an interface that nft cannot name", map[string]string{"10.2.0.11": "br\"0 10.2.0.1"}, nil, nil,
			[]string{"masquerade"}},
	} {
		script := sourceMachine{routes: c.routes}.compile(t, map[string]string{"web": sourceFarm, "mail": `
			listen         = "192.0.2.1:25"
			source-address = "10.9.0.1"
			[backends.b1]
			address = "10.9.0.11"
		`, "always": `
			listen         = "192.0.2.1:26"
			source-address = "masquerade"
			[backends.b1]
			address = "10.2.0.11"
		`})
		for object, want := range map[string][]string{"chain masquerade-all": c.chain,
			"chain masquerade-always": {"masquerade"}, "chain source-10.9.0.1": {"snat ip to 10.9.0.1"}} {
			if got := part(t, script, object); !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q, want %q", c.rule, object, got, want)
			}
		}
		for object, want := range map[string][]string{"map interface-sources-ip4": c.byInterface,
			"map backend-sources-ip4": c.byBackend} {
			got := part(t, script, object)
			if len(got) > 4 {
				got = got[3 : len(got)-1]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q, want %q", c.rule, object, got, want)
			}
		}
		if n := len(c.byInterface) + len(c.byBackend); len(script.Sources) != n {
			t.Errorf("%s: the script has the sources %v, want %d", c.rule, script.Sources, n)
		}
	}
}

// TestServedPorts: source ports below 1024 stay below; other ports that the machine serves on are replaced. No new port
// is one that it serves on.
func TestServedPorts(t *testing.T) {
	fixed := map[string]string{"web": "source-address = [\"10.2.0.1\", \"fd00:2::1\"]\n" + sourceFarm}
	for _, c := range []struct {
		rule      string
		ports     []uint16
		low, high string
	}{
		{"gaps above the ports", []uint16{53, 500, 5060}, "501-1023", "5061-65535"},
		{"gaps below the ports", []uint16{900, 65000}, "1-899", "1024-64999"},
		{"gaps between the ports", []uint16{100, 1000, 1024, 65535}, "101-999", "1025-65534"},
		{"no high port", []uint16{22}, "23-1023", ""},
	} {
		script := sourceMachine{ports: c.ports}.compile(t, fixed)
		want := []string{
			"# this machine serves on none of these source ports; ports below 1024 stay below",
			"tcp sport < 1024 snat ip to 10.2.0.1:" + c.low, "udp sport < 1024 snat ip to 10.2.0.1:" + c.low}
		entry := []string{"th sport < 1024 goto source-10.2.0.1/other-port"}
		if c.high != "" {
			want = append(want, "meta l4proto tcp snat ip to 10.2.0.1:"+c.high,
				"meta l4proto udp snat ip to 10.2.0.1:"+c.high)
			entry = append(entry, "th sport @served-ports goto source-10.2.0.1/other-port")
		}
		want, entry = append(want, "snat ip to 10.2.0.1"), append(entry, "snat ip to 10.2.0.1")
		if got := part(t, script, "chain source-10.2.0.1/other-port"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", c.rule, got, want)
		}
		if got := part(t, script, "chain source-10.2.0.1"); !slices.Equal(got, entry) {
			t.Errorf("%s: got %q, want %q", c.rule, got, entry)
		}
	}
	other := sourceMachine{ports: []uint16{53}}.compile(t, map[string]string{"web": "mode = 'dnat'\n" + sourceFarm})
	if text := string(other.Text); strings.Contains(text, "sport <") || other.ServedPorts != nil {
		t.Errorf("mode dnat replaces source ports:\n%s", text)
	}
}

// BenchmarkManySourceRanges: the time of a compile grows with the number of source addresses, and not with its square.
func BenchmarkManySourceRanges(b *testing.B) {
	for _, backends := range []int{200, 800} {
		files := fstest.MapFS{"web.toml": {Data: manySourceRanges(backends)}}
		b.Run(strconv.Itoa(backends), func(b *testing.B) {
			for b.Loop() {
				compilertest.Compiled(b, farm.Dir{FS: files})
			}
		})
	}
}

// manySourceRanges is a farm whose backends have 256 source addresses each.
func manySourceRanges(backends int) []byte {
	text := []byte("listen = '192.0.2.1:80'\n")
	for b := range backends {
		text = fmt.Appendf(text, "[backends.b%d]\naddress = '10.0.%d.%d'\n", b, b>>8, b&255)
		text = fmt.Appendf(text, "source-address = '10.1.%[1]d.0-10.1.%[1]d.255'\n", b&255)
	}
	return text
}

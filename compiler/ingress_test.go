package compiler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// compiledWithout compiles farms for a machine that lacks some interfaces.
func compiledWithout(t *testing.T, farms map[string]string, absent ...string) (string, []string) {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range farms {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	script, told := compiler.CompileWithout(
		[]farm.Dir{{FS: files}},
		func(device string) bool { return slices.Contains(absent, device) },
	)
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	var said []string
	for _, d := range told {
		said = append(said, fmt.Sprintf("%s:%d %s: %s", d.Place.File, d.Place.Line, d.Severity, d.Message))
	}
	_, text, _ := strings.Cut(string(script.Text), script.Digest) // but for the digest
	return text, said
}

const gateway = `mode = "dsr"
listen = "192.0.2.10:80"
interfaces = ["eth0", "eth1"]
table-size = 13
[backends.b1]
address = "10.0.0.11"
interface = "eth0"
[backends.b2]
address = "10.0.0.12"
interface = "eth1"
[backends.b3]
address = "10.0.0.13"
interface = "eth2"
`

// Rules at the ingress of an absent interface are left out, and the backends behind it count as down.
func TestAbsentInterfaces(t *testing.T) {
	const gone = " does not exist: rules and backends that need it are left out"
	for _, c := range []struct {
		name, like string
		absent     []string
		said       []string
	}{
		{"none", gateway, nil, nil},
		{"of-a-backend", without3(gateway), []string{"eth2"},
			[]string{"web.toml:11 warning: backend b3: the interface eth2" + gone}},
		{"of-both", "", []string{"eth1"}, []string{"web.toml:3 warning: interfaces: eth1" + gone}},
		{"another", gateway, []string{"eth3"}, nil},
		{"all", "", []string{"eth0", "eth1", "eth2"}, []string{
			"web.toml:3 warning: interfaces: eth0" + gone, "web.toml:3 warning: interfaces: eth1" + gone,
			"web.toml:11 warning: backend b3: the interface eth2" + gone}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, said := compiledWithout(t, map[string]string{"web": gateway}, c.absent...)
			if !slices.Equal(said, c.said) {
				t.Errorf("said %q, want %q", said, c.said)
			}
			for _, device := range c.absent {
				if strings.Contains(text, device) {
					t.Errorf("%s is still named:\n%s", device, text)
				}
			}
			if c.like == "" {
				return
			}
			if like, _ := compiledWithout(t, map[string]string{"web": c.like}); text != like {
				t.Errorf("not as without the backend:\n%s\nbut:\n%s", like, text)
			}
		})
	}
}

func without3(farm string) string {
	return strings.Replace(farm, "[backends.b3]", "[backends.b3]\nstate = \"down\"", 1)
}

// Other farms, and the words of changes, know nothing of it.
func TestAbsentInterfacesLeaveTheRest(t *testing.T) {
	other := "listen = '192.0.2.20:80'\n[backends.b1]\naddress = '10.0.0.21'\n"
	text, _ := compiledWithout(t, map[string]string{"web": gateway, "other": other}, "eth0", "eth1", "eth2")
	if alone, _ := compiledWithout(t, map[string]string{"other": other}); text != alone {
		t.Errorf("got %s, want %s", text, alone)
	}
	facts := func(absent ...string) farm.Description {
		script, _ := compiler.CompileWithout(
			[]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(gateway)}}}},
			func(device string) bool { return slices.Contains(absent, device) },
		)
		return script.Farms[0].Description()
	}
	if changes := farm.Changes(map[string]farm.Description{"web": facts()},
		map[string]farm.Description{"web": facts("eth0", "eth2")}); len(
		changes,
	) > 0 {
		t.Errorf("the farm changes: %q", changes)
	}
}

// A name can't be longer than nft's, however many interfaces there are.
func TestIngressOfManyInterfaces(t *testing.T) {
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("\"a-long-name-%03d\"", i))
	}
	many := strings.Replace(
		strings.Replace(gateway, "= 13", "= 16381", 1),
		`"eth0", "eth1"`,
		strings.Join(names, ", "),
		1,
	)
	for i := range names {
		many += fmt.Sprintf("[backends.c%d]\naddress = \"10.0.1.%d\"\ninterface = %s\n", i, i, names[i])
	}
	hashed := strings.NewReplacer("table-size = 16381", "scheduler = \"hash\"\nhash-on = [\"source-address\", "+
		"\"source-port\", \"source-mac\"]", "192.0.2.10:80", "192.0.2.11:80").
		Replace(many)
	text, _ := compiledWithout(t, map[string]string{"web": many, "shop": hashed})
	for _, word := range strings.Fields(text) {
		if len(word) > 255 {
			t.Errorf("a word of %d characters: %s", len(word), word)
		}
	}
}

// The slots of all farms together have a bound, and the farm that breaks it is told.
func TestSlotsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("farms at the bound take too long for -short; make test-slow runs them")
	}
	for _, test := range []struct {
		rule, ports, farm string
		fit               int // so many are not too many
		want              string
	}{
		{"tables-of-maglev", "", "scheduler = 'maglev'\ntable-size = 65521\n[backends.b1]\naddress = " +
			"'10.0.0.%d'\n", 32, "farm32.toml:2:13"},
		{"many-ports-of-a-farm-with-many-slots", oddPorts(900), "[backends.b1]\naddress = '10.0.0.%d'\nweight = " +
			"999\n[backends.b2]\naddress = '10.0.1.1'\n", 2, "farm02.toml"},
		{"slots-that-are-shared-with-persistence", oddPorts(500), "persistence = {}\n[backends.b1]\naddress = " +
			"'10.0.0.%d'\nweight = 999\n[backends.b2]\naddress = '10.0.1.1'\n", 4, "farm04.toml"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			for _, farms := range []int{test.fit, test.fit + 1} {
				files := fstest.MapFS{}
				for i := range farms {
					text := fmt.Sprintf("listen = '192.0.2.%d:80%s'\n", i+1, test.ports) + fmt.Sprintf(test.farm, i+1)
					files[fmt.Sprintf("farm%02d.toml", i)] = &fstest.MapFile{Data: []byte(text)}
				}
				_, told := compiler.Compile([]farm.Dir{{FS: files}})
				want := test.want + ": error: with this farm all farms together have more than 2097152 slots"
				if farms == test.fit && told.Faulty() ||
					farms > test.fit && (len(told) != 1 || !strings.Contains(compilertest.Printed(told), want)) {
					t.Errorf("%d farms: %s", farms, compilertest.Printed(told))
				}
			}
		})
	}
}

// oddPorts are so many ports that make no range.
func oddPorts(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, ",%d", 2001+2*i)
	}
	return text.String()
}

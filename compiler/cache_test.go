package compiler_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// After any change between two compiles, the second one has the result of a first one.
func TestCompilerForgetsWhatChanged(t *testing.T) {
	edits := []struct {
		rule  string
		files map[string]string // "" is taken away
	}{
		{"nothing", nil},
		{
			"a weight",
			map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\nweight = 2\n"},
		},
		{
			"a fault",
			map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\nwieght = 2\n"},
		},
		{"still the fault", nil},
		{"mended", map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"}},
		{
			"a new farm that conflicts",
			map[string]string{"site.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"},
		},
		{"it is gone", map[string]string{"site.toml": ""}},
		{"a drop-in", map[string]string{"web.toml.d/health.toml": "[backends.b1]\nstate = 'down'\n"}},
		{"another drop-in", map[string]string{"web.toml.d/health.toml": "[backends.b1]\nstate = 'drain'\n"}},
		{"no drop-in", map[string]string{"web.toml.d/health.toml": ""}},
		{
			"a farm names a list that isn't there",
			map[string]string{
				"web.toml": "listen = '192.0.2.1:80'\naccess = { deny = '@bad' }\n[backends.b1]\naddress = " +
					"'10.0.0.1'\n",
			},
		},
		{"the list comes", map[string]string{"bad.list": "198.51.100.0/24\n"}},
		{"the list grows", map[string]string{"bad.list": "198.51.100.0/24\n203.0.113.9\n"}},
		{"the list has a fault", map[string]string{"bad.list": "198.51.100.0/240\n"}},
		{"the list is another one", map[string]string{"bad.list": "", "worse.list": "198.51.100.0/24\n"}},
		{
			"an escape names the list",
			map[string]string{
				"web.toml": "listen = '192.0.2.1:80'\naccess = { deny = \"\\u0040worse\" }\n[backends.b1]\naddress " +
					"= '10.0.0.1'\n",
			},
		},
		{"the list goes", map[string]string{"worse.list": ""}},
		{
			"interfaces",
			map[string]string{
				"web.toml": "mode = 'dsr'\nlisten = '192.0.2.1:80'\ninterfaces = ['eth0', 'gone']\n[backends.b1]\n" +
					"address = '10.0.0.1'\ninterface = 'eth0'\n[backends.b2]\naddress = '10.0.0.2'\ninterface = " +
					"'gone'\n",
			},
		},
		{"defaults come", map[string]string{"_defaults.toml": "limits.clients = 10\nlog.on = 'denied'\n"}},
		{"defaults name a list that isn't there", map[string]string{"_defaults.toml": "access.deny = '@bad'\n"}},
		{"their list comes", map[string]string{"bad.list": "198.51.100.0/24\n"}},
		{"their list grows", map[string]string{"bad.list": "198.51.100.0/24\n203.0.113.9\n"}},
		{"defaults are faulty", map[string]string{"_defaults.toml": "log = 5\n"}},
		{"defaults are empty", map[string]string{"_defaults.toml": " "}},
		{"defaults go", map[string]string{"_defaults.toml": ""}},
		{
			"something else",
			map[string]string{
				"dns.toml": "listen = '192.0.2.1:54'\nflow-offload = ['eth0', 'gone']\n[backends.b1]\naddress = " +
					"'10.0.0.1'\n",
			},
		},
	}
	files := fstest.MapFS{
		"web.toml": {Data: []byte("listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"), Mode: 0o644},
		"dns.toml": {Data: []byte("listen = '192.0.2.1:53'\n[backends.b1]\naddress = '10.0.0.1'\n"), Mode: 0o644},
	}
	var m, follower compiler.Compiler
	few := 0
	for _, e := range edits {
		for name, text := range e.files {
			if delete(files, name); text != "" {
				files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
			}
		}
		if mustChangeAsNew(t, &follower, e.rule, files, slices.Collect(maps.Keys(e.files))) {
			few++
		}
		for _, gone := range []string{"gone", "none", "gone"} { // interfaces come and go
			mustSayAsNew(t, &m, e.rule, files, gone)
		}
	}
	if few < len(edits)/4 {
		t.Errorf("only after %d of %d edits a few files were read", few, len(edits))
	}
}

// mustChangeAsNew compiles with the names of the farms of changed files, and reports whether only the files of these
// farms were read.
func mustChangeAsNew(t *testing.T, m *compiler.Compiler, rule string, files fstest.MapFS, changed []string) bool {
	t.Helper()
	dirs, absent := []farm.Dir{{Path: "farms.d", FS: files}}, func(string) bool { return false }
	names, farmsAlone := []string{}, true
	for _, file := range changed {
		name, _, isFarm := strings.Cut(file, ".toml")
		names, farmsAlone = append(names, name), farmsAlone && isFarm && file != farm.DefaultsFile
	}
	if farmsAlone {
		if script, told, ok := m.CompileChanged(dirs, names, ruleset.Machine{Absent: absent}); ok {
			mustBeAsNew(t, rule, script, told, dirs, absent)
			return true
		}
	}
	mustCompileAsNew(t, m, rule, dirs, absent)
	return false
}

func mustSayAsNew(t *testing.T, m *compiler.Compiler, rule string, files fstest.MapFS, gone string) {
	t.Helper()
	mustCompileAsNew(
		t,
		m,
		rule,
		[]farm.Dir{{Path: "farms.d", FS: files}},
		func(device string) bool { return device == gone },
	)
}

func mustCompileAsNew(
	t *testing.T, m *compiler.Compiler, rule string, dirs []farm.Dir, absent func(device string) bool,
) {
	t.Helper()
	script, told := m.Compile(dirs, absent)
	mustBeAsNew(t, rule, script, told, dirs, absent)
}

func mustBeAsNew(t *testing.T, rule string, script *ruleset.Script, told diag.Diagnostics, dirs []farm.Dir,
	absent func(device string) bool) {
	t.Helper()
	want, wantTold := compiler.CompileWithout(dirs, absent)
	if !reflect.DeepEqual(told, wantTold) {
		t.Errorf("%s: says\n%v\nand a first compile\n%v", rule, told, wantTold)
	}
	if script == nil || want == nil {
		if script != want {
			t.Errorf("%s: there is a script, or a first compile makes one: %t, %t", rule, script != nil, want != nil)
		}
		return
	}
	if !bytes.Equal(script.Text, want.Text) {
		t.Errorf("%s: another script than a first compile makes\n%s", rule, script.Text)
	}
	if !reflect.DeepEqual(originsOf(script), originsOf(want)) {
		t.Errorf("%s: lines are from elsewhere than those of a first compile", rule)
	}
	if !reflect.DeepEqual(farm.Describe(script.Farms), farm.Describe(want.Farms)) || script.Digest != want.Digest ||
		!slices.Equal(script.Ingress, want.Ingress) || !slices.Equal(script.Interfaces, want.Interfaces) {
		t.Errorf("%s: a first compile knows the script as another one", rule)
	}
}

// originsOf gives the origins of all lines of a script.
func originsOf(s *ruleset.Script) (out []*diag.Origin) {
	for i := range bytes.Count(s.Text, []byte("\n")) + 1 {
		out = append(out, s.LineOrigin(i+1))
	}
	return out
}

// For every kind of farm, the kept results equal those of a first compile, also when interfaces come and go.
func TestCompilerOfAllKinds(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles of all goldens take too long for -short; make test-slow runs them")
	}
	var over compiler.Compiler // of all cases, which have farms of the same names
	for _, name := range compilertest.Cases(t) {
		dirs := compilertest.CaseDirs(t, name)
		var m compiler.Compiler
		for _, gone := range []bool{false, true, false, false} {
			mustCompileAsNew(t, &m, name, dirs, func(string) bool { return gone })
		}
		mustCompileAsNew(t, &over, name+", after another case", dirs, func(string) bool { return false })
	}
}

// TestPropertyCompiler edits random farms again and again; some files stay unchanged.
func TestPropertyCompiler(t *testing.T) {
	edits := 0
	compilertest.Randomly(t, 3, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		files := compilertest.FarmFilesOf(r, farms)
		var m, follower compiler.Compiler
		for range 8 {
			edited, what, _ := compilertest.RandomEdit(r, farms)
			if edited == nil {
				continue
			}
			before := files
			files = editedFiles(r, files, farms, edited)
			mustChangeAsNew(t, &follower, what, files, differing(before, files))
			mustCompileAsNew(t, &m, what, []farm.Dir{{FS: files}}, func(string) bool { return false })
			farms = edited
			edits++
		}
	})
	if edits < *compilertest.FarmSets {
		t.Errorf("only %d edits", edits)
	}
}

// differing gives the names of files that one of two sets lacks, or has with another text.
func differing(a, b fstest.MapFS) (names []string) {
	for _, pair := range [][2]fstest.MapFS{{a, b}, {b, a}} {
		for name, f := range pair[0] {
			if other := pair[1][name]; other == nil || !bytes.Equal(f.Data, other.Data) {
				names = append(names, name)
			}
		}
	}
	return names
}

// editedFiles writes the farms that changed.
func editedFiles(r *rand.Rand, files fstest.MapFS, before, after []compilertest.ModelFarm) fstest.MapFS {
	out := compilertest.FarmFilesOf(r, after)
	for _, f := range after {
		name := f.Name + ".toml"
		if slices.ContainsFunc(before, func(o compilertest.ModelFarm) bool { return reflect.DeepEqual(o, f) }) &&
			files[name] != nil {
			out[name] = files[name]
		}
	}
	return out
}

// An unchanged file is not read again.
func TestCompilerKeepsWhatDidNotChange(t *testing.T) {
	files := tenEach(50)
	files["bad.list"] = &fstest.MapFile{Data: []byte("198.51.100.0/24\n"), Mode: 0o644}
	dirs, none := []farm.Dir{{Path: "farms.d", FS: files}}, func(string) bool { return false }
	var m compiler.Compiler
	before, _ := m.Compile(dirs, none)
	changed := rand.IntN(50)
	files[fmt.Sprintf("farm-%05d.toml", changed)] = &fstest.MapFile{Data: plainFarm(changed, 7), Mode: 0o644}
	files["bad.list"] = &fstest.MapFile{Data: []byte("198.51.100.0/25\n"), Mode: 0o644} // which no farm names
	after, _ := m.Compile(dirs, none)
	for i := range before.Farms {
		if again := before.Farms[i] != after.Farms[i]; again != (i == changed) {
			t.Errorf("farm %d, of which %d changed: read again: %t", i, changed, again)
		}
	}
}

// The script is the same as long as the farms and the answers of the machine are.
func TestCompilerKeepsTheScript(t *testing.T) {
	files := tenEach(3)
	const backends = "[backends]\nb1.address = \"10.9.0.1\"\nb2.address = \"10.9.0.2\"\n"
	files["dsr.toml"] = &fstest.MapFile{Data: []byte("mode = \"dsr\"\ninterfaces = [\"eth1\"]\n" +
		"listen = \"192.0.2.1:81\"\n" + backends)}
	files["snat.toml"] = &fstest.MapFile{Data: []byte("listen = \"192.0.2.1:80\"\n" + backends)}
	absent, ports := false, []uint16{53}
	source := map[string]string{"10.9.0.1": "10.9.0.100", "10.9.0.2": "10.9.0.100"}
	machine := ruleset.Machine{
		Absent: func(string) bool { return absent },
		Ports:  func() []uint16 { return ports },
		Route: func(backend netip.Addr) ruleset.Route {
			return ruleset.Route{Interface: "eth2", Source: netip.MustParseAddr(source[backend.String()])}
		},
	}
	var c compiler.Compiler
	compile := func() *ruleset.Script {
		s, told := c.CompileFor([]farm.Dir{{FS: files}}, machine)
		if s == nil {
			t.Fatal(told)
		}
		return s
	}
	before := compile()
	for _, change := range []struct {
		name string
		make func()
	}{
		{"an interface", func() { absent = true }},
		{"a port", func() { ports = []uint16{53, 123} }},
		{"a source address", func() { source["10.9.0.2"] = "10.9.0.200" }},
		{"a farm", func() { files["farm-00002.toml"] = &fstest.MapFile{Data: plainFarm(2, 5)} }},
	} {
		if compile() != before {
			t.Errorf("the same farms are linked again before a change of %s", change.name)
		}
		if change.make(); compile().Digest == before.Digest {
			t.Errorf("the script stays after a change of %s", change.name)
		}
		before = compile()
	}
	boot := c.LinkAgain(before, ruleset.Machine{Absent: func(string) bool { return true }})
	portable, _ := compiler.CompileWithout([]farm.Dir{{FS: files}}, func(string) bool { return true })
	if boot == nil || boot.Digest != portable.Digest {
		t.Error("a script that is linked again differs from one that is compiled")
	}
	if compile() != before {
		t.Error("the script is lost with one for another machine")
	}
}

// The routes to the backends of a farm are asked for once, until the version of the machine's routes changes.
func TestCompilerKeepsRoutes(t *testing.T) {
	snat := func(n, port int) *fstest.MapFile {
		return &fstest.MapFile{Data: fmt.Appendf(nil, "listen = \"192.0.2.1:%d\"\n[backends]\n"+
			"b1.address = \"10.9.%d.1\"\nb2.address = \"10.9.%[2]d.2\"\n", port, n)}
	}
	files := fstest.MapFS{"a.toml": snat(1, 81), "b.toml": snat(2, 82), "c.toml": snat(3, 83)}
	asked, source := 0, netip.MustParseAddr("10.9.0.100")
	machine := ruleset.Machine{RouteVersion: 1, Route: func(netip.Addr) ruleset.Route {
		asked++
		return ruleset.Route{Interface: "eth2", Source: source}
	}}
	var c compiler.Compiler
	compile := func(step string, wantAsked int, wantSource string) {
		t.Helper()
		asked = 0
		s, told := c.CompileFor([]farm.Dir{{FS: files}}, machine)
		if s == nil {
			t.Fatal(told)
		}
		if got := s.Sources[0].Source.String(); asked != wantAsked || len(s.Sources) != 1 || got != wantSource {
			t.Errorf("%s: %d routes were asked for, the sources are %v; want %d and %s", step, asked, s.Sources,
				wantAsked, wantSource)
		}
	}
	compile("the first time", 6, "10.9.0.100")
	files["c.toml"] = snat(3, 84)
	compile("after a change of one farm", 2, "10.9.0.100")
	source, machine.RouteVersion = netip.MustParseAddr("10.9.0.200"), 2
	compile("with other routes", 6, "10.9.0.200")
	machine.RouteVersion = 0
	compile("with routes that may differ", 6, "10.9.0.200")
}

// The script for the boot of farms without interfaces is made from the rules of the script for the machine. It is the
// same one as if it were compiled by itself.
func TestCompilerLinksAgainForTheBoot(t *testing.T) {
	const backends = "[backends]\nb1.address = \"10.9.0.1\"\nb2.address = \"10.9.0.2\"\n"
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"dnat": "mode = 'dnat'\nlisten = '192.0.2.1:81'\n", "snat": "listen = '192.0.2.1:82'\n",
		"address": "listen = '192.0.2.1:83'\nsource-address = '10.9.0.200'\n",
		"maglev":  "listen = ['192.0.2.1:84', '*:85/tcp,udp']\nscheduler = 'maglev'\n",
		"marked":  "listen = '192.0.2.1:86/udp'\nmark = 7\n[limits]\nconnections-per-client = 5\n",
		"always":  "listen = '192.0.2.2/all'\nsource-address = 'masquerade'\n",
	} {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text + backends)}
	}
	machine := ruleset.Machine{
		Absent: func(string) bool { return false },
		Ports:  func() []uint16 { return []uint16{53, 5060} },
		Route: func(netip.Addr) ruleset.Route {
			return ruleset.Route{Interface: "eth2", Source: netip.MustParseAddr("10.9.0.100")}
		},
	}
	dirs, bare := []farm.Dir{{FS: files}}, ruleset.Machine{Absent: func(string) bool { return true }}
	var c compiler.Compiler
	script, told := c.CompileFor(dirs, machine)
	if script == nil || len(script.Sources) == 0 || len(script.ServedPorts) == 0 {
		t.Fatal(told)
	}
	before := string(script.Text)
	boot := c.LinkAgain(script, bare)
	alone, _ := new(compiler.Compiler).CompileFor(dirs, bare)
	if string(boot.Text) != string(alone.Text) || boot.Digest == script.Digest || len(boot.Farms) != len(files) {
		t.Errorf("the script for the boot is\n%s, want\n%s", boot.Text, alone.Text)
	}
	for line := range strings.Count(string(boot.Text), "\n") {
		if was, is := alone.LineOrigin(line), boot.LineOrigin(line); (was == nil) != (is == nil) ||
			was != nil && *was != *is {
			t.Fatalf("line %d comes from %v, want %v", line, is, was)
		}
	}
	if again := c.LinkAgain(script, bare); again != boot {
		t.Error("the script for the boot is linked once more")
	}
	if same, _ := c.CompileFor(dirs, machine); same != script || string(same.Text) != before {
		t.Error("the script for the machine is lost with the one for the boot")
	}
}

package compiler

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/fstest"
)

// Whatever changes between two compiles, the second one says what a first one would.
func TestMemoryForgetsWhatChanged(t *testing.T) {
	edits := []struct {
		rule  string
		files map[string]string // "" is taken away
	}{
		{"nothing", nil},
		{"a weight", map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\nweight = 2\n"}},
		{"a fault", map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\nwieght = 2\n"}},
		{"still the fault", nil},
		{"mended", map[string]string{"web.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"}},
		{"a new farm that conflicts", map[string]string{"site.toml": "listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"}},
		{"it is gone", map[string]string{"site.toml": ""}},
		{"a drop-in", map[string]string{"web.toml.d/health.toml": "[backends.b1]\nstate = 'down'\n"}},
		{"another drop-in", map[string]string{"web.toml.d/health.toml": "[backends.b1]\nstate = 'drain'\n"}},
		{"no drop-in", map[string]string{"web.toml.d/health.toml": ""}},
		{"a farm names a list that isn't there", map[string]string{"web.toml": "listen = '192.0.2.1:80'\naccess = { deny = '@bad' }\n[backends.b1]\naddress = '10.0.0.1'\n"}},
		{"the list comes", map[string]string{"bad.list": "198.51.100.0/24\n"}},
		{"the list grows", map[string]string{"bad.list": "198.51.100.0/24\n203.0.113.9\n"}},
		{"the list has a fault", map[string]string{"bad.list": "198.51.100.0/240\n"}},
		{"the list is another one", map[string]string{"bad.list": "", "worse.list": "198.51.100.0/24\n"}},
		{"an escape names the list", map[string]string{"web.toml": "listen = '192.0.2.1:80'\naccess = { deny = \"\\u0040worse\" }\n[backends.b1]\naddress = '10.0.0.1'\n"}},
		{"the list goes", map[string]string{"worse.list": ""}},
		{"interfaces", map[string]string{"web.toml": "mode = 'dsr'\nlisten = '192.0.2.1:80'\ninterfaces = ['eth0', 'gone']\n[backends.b1]\naddress = '10.0.0.1'\ninterface = 'eth0'\n[backends.b2]\naddress = '10.0.0.2'\ninterface = 'gone'\n"}},
		{"something else", map[string]string{"dns.toml": "listen = '192.0.2.1:54'\nflow-offload = ['eth0', 'gone']\n[backends.b1]\naddress = '10.0.0.1'\n"}},
	}
	files := fstest.MapFS{"web.toml": {Data: []byte("listen = '192.0.2.1:80'\n[backends.b1]\naddress = '10.0.0.1'\n"), Mode: 0o644},
		"dns.toml": {Data: []byte("listen = '192.0.2.1:53'\n[backends.b1]\naddress = '10.0.0.1'\n"), Mode: 0o644}}
	var m Memory
	for _, e := range edits {
		for name, text := range e.files {
			if delete(files, name); text != "" {
				files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
			}
		}
		for _, gone := range []string{"gone", "none", "gone"} { // interfaces come and go
			m.mustSayAsNew(t, e.rule, files, gone)
		}
	}
}

func (m *Memory) mustSayAsNew(t *testing.T, rule string, files fstest.MapFS, gone string) {
	t.Helper()
	dirs, absent := []Dir{{Path: "farms.d", FS: files}}, func(device string) bool { return device == gone }
	script, told := m.Compile(dirs, absent)
	want, wantTold := CompileWithout(dirs, absent)
	if (script == nil) != (want == nil) || script != nil && script.Digest != want.Digest {
		t.Errorf("%s: another script than a first compile makes", rule)
	}
	if !reflect.DeepEqual(told, wantTold) {
		t.Errorf("%s: says\n%v\nand a first compile\n%v", rule, told, wantTold)
	}
}

// What didn't change isn't read again.
func TestMemoryKeepsWhatDidNotChange(t *testing.T) {
	files := tenEach(50)
	files["bad.list"] = &fstest.MapFile{Data: []byte("198.51.100.0/24\n"), Mode: 0o644}
	dirs, none := []Dir{{Path: "farms.d", FS: files}}, func(string) bool { return false }
	var m Memory
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

package farm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

// readingsOf reads a directory, by the names of its files.
func readingsOf(t *testing.T, c *Cache, files map[string]string) ([]*Reading, diag.Diagnostics) {
	t.Helper()
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	var told diag.Diagnostics
	c.Read([]Dir{{Path: "d", FS: dir}}, &told)
	return c.Readings(), told
}

const plainWeb = "listen = '192.0.2.10:80'\nbackends.b1.address = '10.0.0.1'\n"

// Every key is either inherited or refused: a new key needs a decision for inheritedKeys.
func TestDefaultsTakeInheritedKeysAlone(t *testing.T) {
	for _, k := range Keys() {
		if k.Table == "backends" || k.Type == TablesType || k.Type == TableType {
			continue
		}
		text := content{k.Table: {k.Name: k.Example}}.String()
		_, told := readingsOf(t, &Cache{}, map[string]string{DefaultsFile: text})
		name := strings.TrimPrefix(k.Table+"."+k.Name, ".")
		is := slices.Contains(inheritedKeys, strings.SplitN(name, ".", 2)[0]) && !slices.Contains(ownKeys, name)
		if is == strings.Contains(list(told), "farms do not inherit "+name) || is && told.Faulty() {
			t.Errorf("%s is inherited: %t\n%s%s", name, is, text, list(told))
		}
	}
}

// A key without effect in a farm is left out there, and named by Refused. The farm has no fault by it.
func TestFarmRefusesDefaultsWithoutEffect(t *testing.T) {
	tests := []struct{ rule, defaults, farm, refused string }{
		{"a mode", "invalid = 'pass'", "mode = 'stateless'\n" + plainWeb, "invalid has no effect in mode stateless"},
		{"a protocol", "limits.strict-tcp = true", strings.Replace(plainWeb, ":80", ":53/udp", 1),
			"strict-tcp has no effect, as nothing of the farm is TCP"},
		{"a family", "source-address = ['10.2.0.1', 'fd00::1']", plainWeb, "source-address: the farm does not listen " +
			"on IPv6, so fd00::1 has no effect"},
		{"the type of a check", "health.path = '/up'", plainWeb + "health.type = 'tcp'\n",
			"path has no effect with type tcp"},
		{"the other expectation", "health.body-regexp = 'x'", plainWeb + "health = { type = 'http', body = 'OK' }\n",
			"the farm has body"},
		{"a limit of nothing", "limits.clients = 7", plainWeb, "[limits] limits nothing"},
		{"a log of nothing", "log.rate = '1/second'", plainWeb, "[log] has no on, so nothing would be logged"},
		{"two keys that need each other", "scheduler = 'maglev'\nhash-on = 'source-port'",
			plainWeb + "scheduler = 'random'\n", "hash-on has no effect with the scheduler random"},
		{"nothing", "limits.new = { rate = '9/second' }", plainWeb, ""},
	}
	for _, tt := range tests {
		all, told := readingsOf(t, &Cache{}, map[string]string{DefaultsFile: tt.defaults, "web.toml": tt.farm})
		var got []string
		for _, d := range all[0].Refused() {
			got = append(got, d.Message)
		}
		if strings.Join(got, "; ") != tt.refused || len(told) > 0 {
			t.Errorf("%s: refused %q\n%s", tt.rule, got, list(told))
		}
	}
}

// A change of one farm leaves all others as they were read; a change of the defaults reads all farms that inherit.
func TestCacheReadsFarmsOfChangedDefaults(t *testing.T) {
	var c Cache
	files := map[string]string{DefaultsFile: "log.on = 'denied'"}
	for i := range 20 {
		files[fmt.Sprintf("f%d.toml", i)] = strings.Replace(plainWeb, ".10:", fmt.Sprintf(".%d:", i+1), 1)
	}
	changed := func(edit func()) (n int) {
		before, _ := readingsOf(t, &c, files)
		edit()
		after, told := readingsOf(t, &c, files)
		if len(told) > 0 {
			t.Fatal(list(told))
		}
		for i := range after {
			if before[i] != after[i] {
				n++
			}
		}
		return n
	}
	if n := changed(func() {}); n != 0 {
		t.Errorf("without a change %d farms are read anew", n)
	}
	if n := changed(func() { files["f3.toml"] += "# edited\n" }); n != 1 {
		t.Errorf("%d farms are read anew for a change of one", n)
	}
	if n := changed(func() { files[DefaultsFile] = "log.on = 'input'" }); n != 20 {
		t.Errorf("%d farms are read anew for a change of the defaults", n)
	}
}

// The document of a farm has the inherited keys, and Inherited names the place of each.
func TestDocumentHasInheritedKeys(t *testing.T) {
	defaults := "interfaces = ['eth0']\n[limits]\nstrict-tcp = true\nclients = 9\nnew-per-client.rate = '5/second'\n"
	files := map[string]string{DefaultsFile: defaults, "web.toml": plainWeb + "limits.clients = 8\n"}
	all, _ := readingsOf(t, &Cache{}, files)
	const want = `{"backends":{"b1":{"address":"10.0.0.1"}},"interfaces":["eth0"],"limits":{"clients":8,` +
		`"new-per-client":{"rate":"5/second"},"strict-tcp":true},"listen":"192.0.2.10:80"}`
	if got := string(all[0].Document()); got != want {
		t.Errorf("got %s", got)
	}
	got := fmt.Sprint(all[0].Inherited())
	if got != "[{limits.strict-tcp d/_defaults.toml 3} {limits.new-per-client.rate d/_defaults.toml 5} "+
		"{interfaces d/_defaults.toml 1}]" {
		t.Errorf("inherited %s", got)
	}
}

// ReadOne reads no lists, and defaults with a fault do not keep it from giving states and weights of backends.
func TestReadOneWithDefaults(t *testing.T) {
	for _, defaults := range []string{"access.deny = '@office'", "nonsense = 1", "not TOML", "", "limits.clients = 9"} {
		dir := fstest.MapFS{DefaultsFile: {Data: []byte(defaults)}, "web.toml": {Data: []byte(plainWeb)}}
		r := ReadOne([]Dir{{Path: "d", FS: dir}}, "web")
		f := r.Without(func(string) bool { return false })
		if f == nil || len(f.Backends) != 1 || r.Document() == nil {
			t.Errorf("%q: the farm is %v", defaults, f)
		}
	}
}

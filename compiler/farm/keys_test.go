package farm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"farmc/compiler/diag"
)

// A content is a farm by tables and keys, with values in TOML.
type content map[string]map[string]string

// with adds keys to a copy of the content.
func (c content) with(other content) content {
	out := content{}
	for _, from := range []content{c, other} {
		for table, keys := range from {
			if out[table] == nil {
				out[table] = map[string]string{}
			}
			maps.Copy(out[table], keys)
		}
	}
	return out
}

// String writes the content as a file.
func (c content) String() string {
	var out strings.Builder
	for _, table := range slices.Sorted(maps.Keys(c)) {
		if table != "" {
			out.WriteString("[" + table + "]\n")
		}
		for _, key := range slices.Sorted(maps.Keys(c[table])) {
			out.WriteString(key + " = " + c[table][key] + "\n")
		}
	}
	return out.String()
}

// plainFarm has the keys that every farm needs.
var plainFarm = content{"": {"listen": `"192.0.2.10:80"`}, "backends.b1": {"address": `"10.0.0.11"`}}

// besideTables are the keys that a table needs. besideKeys are the keys that a key needs.
var (
	besideTables = map[string]content{
		"persistence": {"persistence": {}},
		"access":      {"access": {"deny": `"192.0.2.77"`}},
		"limits":      {"limits": {"new-per-client": `{ rate = "1/day" }`}},
		"log":         {"log": {"on": `"limited"`}},
		"health":      {"health": {"panic": `"10%"`}},
	}
	besideKeys = map[string]content{
		".announce":              {"": {"mode": `"dsr"`, "interfaces": `["eth0"]`}},
		".flow-offload-all":      {"": {"flow-offload": `["eth0", "eth1"]`}},
		".zone":                  {"": {"interfaces": `["eth0"]`}},
		".per-packet":            {"": {"mode": `"dsr"`, "interfaces": `["eth0"]`, "listen": `"192.0.2.10:80/udp"`}},
		".hash-on":               {"": {"scheduler": `"hash"`}},
		".table-size":            {"": {"scheduler": `"maglev"`}},
		"health.dns-name":        {"health": {"type": `"dns"`, "dns-name": `"example.com"`}},
		"health.dns-type":        {"health": {"type": `"dns"`, "dns-name": `"example.com"`}},
		"health.dns-answer":      {"health": {"type": `"dns"`, "dns-name": `"example.com"`}},
		"health.program":         {"health": {"type": `"exec"`, "program": `"other"`}},
		"health.file":            {"health": {"type": `"file"`, "file": `"/run/other"`}},
		"health.fast-interval":   {"health": {"type": `"tcp"`, "interval": `"10s"`}},
		"access.log-only":        {"log": {"on": `"denied"`}},
		"access.order":           {"access": {"allow": `"192.0.2.78"`}},
		"limits.synproxy-mss":    {"limits": {"synproxy": "true"}},
		"limits.synproxy-wscale": {"limits": {"synproxy": "true"}},
		"timeouts.udp":           {"": {"listen": `"192.0.2.10:80/tcp,udp"`}},
	}
)

// beside gives the keys that the key needs: a key of [health] needs the first type that it has an effect on.
func (k Key) beside() content {
	needed := content{}
	if k.Types != nil {
		needed = content{"health": {"type": `"` + string(k.Types[0]) + `"`}}
	}
	return needed.with(besideTables[k.Table]).with(besideKeys[k.Table+"."+k.Name])
}

// surroundings gives a farm in which the key may stand. With a default, the farm does not have the key.
func (k Key) surroundings() content {
	c := plainFarm.with(k.beside())
	if k.Modes != nil {
		c[""]["mode"] = `"` + string(k.Modes[0]) + `"`
	}
	if k.Modes != nil && k.Modes[0] == Local {
		delete(c, "backends.b1")
	}
	if k.Modes != nil && k.Modes[0].Untracked() {
		c[""]["interfaces"] = `["eth0"]`
	}
	return c
}

// withExample gives the key with its example.
func (k Key) withExample() content {
	table := k.Table
	if table == "backends" {
		table = "backends.b1"
	}
	return content{table: {k.Name: k.Example}}
}

// TestKeyChangesTheDescription sets each key to another value than its default.
func TestKeyChangesTheDescription(t *testing.T) {
	for _, k := range Keys() {
		if k.Type == TableType || k.Type == TablesType || k.Type == AnnotationsType ||
			k.Table == "" && (k.Name == "description" || k.Name == inheritKey) {
			continue
		}
		t.Run(k.Table+"."+k.Name, func(t *testing.T) {
			without := k.surroundings()
			with := without.with(k.withExample())
			before, after := described(t, without), described(t, with)
			if changes := Changes(before, after); len(changes) == 0 {
				t.Errorf("no description of\n%s\nbeside\n%s", with, without)
			}
		})
	}
}

// described gives the description of a farm without faults.
func described(t *testing.T, c content) map[string]Description {
	t.Helper()
	f, told := oneFarm(t, c.String())
	if told != "" {
		t.Fatalf("%s\n%s", told, c)
	}
	return Describe([]*Farm{f})
}

// TestKeyHasNoEffectInOtherModes sets each key in every mode: modes outside of the table refuse it, the others do not.
func TestKeyHasNoEffectInOtherModes(t *testing.T) {
	for _, k := range Keys() {
		if k.Type == TableType || k.Type == TablesType || k.Name == "mode" {
			continue
		}
		for _, mode := range []Mode{SNAT, DNAT, DSR, Stateless, Local} {
			c := plainFarm.with(k.beside()).with(k.withExample())
			c[""]["mode"] = `"` + string(mode) + `"`
			_, told := oneFarm(t, c.String())
			refused := strings.Contains(told, ": "+k.Name+" has no effect in mode "+string(mode))
			takes := k.Modes == nil || slices.Contains(k.Modes, mode)
			if mode == Local && k.Table == "backends" {
				takes, refused = false, strings.Contains(told, "backends has no effect in mode local")
			}
			if takes == refused {
				t.Errorf("%s.%s in mode %s: the table says %t; told is %q", k.Table, k.Name, mode, takes, told)
			}
		}
	}
}

// TestKeysAreTheKnownOnes compares the table with the hints of unknown keys: of one that is like no other, which has
// the number of known keys of its table, and of misspelt ones.
func TestKeysAreTheKnownOnes(t *testing.T) {
	want := map[string][]string{}
	for _, k := range Keys() {
		want[k.Table] = append(want[k.Table], k.Name)
	}
	for table, keys := range want {
		at := table
		if table == "backends" {
			at = "backends.b1"
		}
		slices.Sort(keys)
		hint := func(unknown string) string {
			c := plainFarm.with(besideTables[table]).with(content{at: {unknown: "1"}})
			var told diag.Diagnostics
			parseFarm(farmFiles{name: "web", main: file{path: "web.toml", text: []byte(c.String())}}, nil, &told)
			i := slices.IndexFunc(told, func(d diag.Diagnostic) bool { return strings.Contains(d.Message, unknown) })
			if i < 0 {
				t.Fatalf("[%s] takes %s; told is %v", table, unknown, told)
			}
			return told[i].Hint
		}
		const unlike = "zzzzzzzzzzzzzzzz"
		if got, want := hint(unlike), diag.Suggest(unlike, keys); got != want {
			t.Errorf("[%s]: the hint is %q, not %q", table, got, want)
		}
		for _, key := range keys {
			if got, want := hint(key+"q"), fmt.Sprintf("did you mean %q?", key); got != want {
				t.Errorf("[%s] %sq: the hint is %q, not %q", table, key, got, want)
			}
		}
	}
}

// TestDefaultsAreTheAbsentKeys: a farm that has a key at its default is described like the farm without the key.
func TestDefaultsAreTheAbsentKeys(t *testing.T) {
	for _, k := range Keys() {
		if k.Default == "" || k.Type == LimitType {
			continue
		}
		value := `"` + k.Default + `"`
		if k.Type == FlagType || k.Type == AnnounceType || k.Type == NumberType {
			value = k.Default
		}
		c := plainFarm.with(k.beside())
		at := k.withExample()
		for table := range at {
			at[table][k.Name] = value
		}
		if changes := Changes(described(t, c), described(t, c.with(at))); len(changes) > 0 {
			t.Errorf("%s.%s = %s comes to %q", k.Table, k.Name, value, changes)
		}
	}
}

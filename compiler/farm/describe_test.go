package farm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

// describe gives the descriptions of farms, by name, that are written as texts.
func describe(t *testing.T, farms map[string]string) map[string]Description {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range farms {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	var told diag.Diagnostics
	read := new(Cache).Read([]Dir{{FS: files}}, &told)
	if told.Faulty() {
		t.Fatal(list(told))
	}
	return Describe(read)
}

func TestDescription(t *testing.T) {
	const backend = "\n[backends.b1]\naddress = \"10.0.0.11\"\n"
	const usual = "listen=192.0.2.10:80/tcp mode=snat scheduler=random"
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"what-stands-at-its-default-is-left-out", "listen = '192.0.2.10:80'" + backend,
			usual + "; b1: address=10.0.0.11 weight=1"},
		{"default-or-said", "mode = 'snat'\nstate = 'up'\nscheduler = 'random'\nlocal-clients = true\nlisten = " +
			"'192.0.2.10:80/tcp'" + backend + "weight = 1\nstate = 'up'\n", usual + "; b1: address=10.0.0.11 weight=1"},
		{"description-is-for-people", "description = 'x'\nlisten = '192.0.2.10:80'" + backend,
			usual + "; b1: address=10.0.0.11 weight=1"},
		{"everything", "mode = 'snat'\nstate = 'down'\nscheduler = 'hash'\nhash-on = ['source-port', " +
			"'source-address']\nlocal-clients = false\nsource-address = ['fd00::1', '10.0.0.1']\n" +
			"listen = ['[2001:db8::10]:80,90-99/udp,tcp', '192.0.2.10:80', '*:1']\n[backends.b1]\naddress = " +
			"['fd00::11', '10.0.0.11']\nport = 8080\nweight = 5\nstate = 'drain'\nsource-address = '10.0.0.2'\n",
			"hash-on=source-address, source-port listen=*:1/tcp 192.0.2.10:80/tcp [2001:db8::10]:80,90-99/udp,tcp " +
				"local-clients=false mode=snat scheduler=hash source-address=10.0.0.1, fd00::1 state=down; " +
				"b1: address=10.0.0.11, fd00::11 port=8080 source-address=10.0.0.2 state=drain weight=5"},
		{"hash-on-what-is-usual", "scheduler = 'hash'\nlisten = '192.0.2.10:80'" + backend,
			"hash-on=source-address listen=192.0.2.10:80/tcp mode=snat scheduler=hash; b1: address=10.0.0.11 weight=1"},
		{"invalid", "invalid = 'pass'\nlisten = '192.0.2.10:80'" + backend,
			"invalid=pass " + usual + "; b1: address=10.0.0.11 weight=1"},
		{"invalid-dropped-is-usual", "invalid = 'drop'\nlisten = '192.0.2.10:80'" + backend,
			usual + "; b1: address=10.0.0.11 weight=1"},
		{"helper-serves-no-local-clients", "helper = 'ftp'\nlisten = '192.0.2.10:80'" + backend,
			"helper=ftp " + usual + "; b1: address=10.0.0.11 weight=1"},
		{"local-clients-need-connection-tracking", "mode = 'local'\nlisten = '192.0.2.10:80'\n",
			"listen=192.0.2.10:80/tcp mode=local"},
		{"listens-in-one-order", "listen = ['192.0.2.11:80', '192.0.2.10:80']" + backend,
			"listen=192.0.2.10:80/tcp 192.0.2.11:80/tcp mode=snat scheduler=random; b1: address=10.0.0.11 weight=1"},
		{"persistence", "listen = '192.0.2.10:80'\n[persistence]\nprefix = [24, 64]\nstatic = { '198.51.100.7' = " +
			"'b1' }" + backend,
			"listen=192.0.2.10:80/tcp mode=snat persistence=on source-address persistence.prefix=[24 64] " +
				"persistence.static=198.51.100.7 = b1 persistence.timeout=1m scheduler=random; b1: " +
				"address=10.0.0.11 weight=1"},
		{"whole-address", "listen = '192.0.2.10/all'" + backend,
			"listen=192.0.2.10/all mode=snat scheduler=random; b1: address=10.0.0.11 weight=1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f := describe(t, map[string]string{"web": test.text})["web"].details()
			words := []string{factsInOrder(f.Farm)}
			for _, name := range slices.Sorted(maps.Keys(f.Backends)) {
				words = append(words, name+": "+factsInOrder(f.Backends[name]))
			}
			if got := strings.Join(words, "; "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func factsInOrder(facts map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		words = append(words, key+"="+facts[key])
	}
	return strings.Join(words, " ")
}

func TestChanges(t *testing.T) {
	const b1, b2 = "\n[backends.b1]\naddress = \"10.0.0.11\"\n", "\n[backends.b2]\naddress = \"10.0.0.12\"\n"
	const listen = "listen = '192.0.2.10:80'"
	for _, test := range []struct {
		rule          string
		before, after string
		want          []string
	}{
		{"nothing", listen + b1, "# a comment\n" + listen + b1 + "weight = 1\n", nil},
		{"new", "", listen + b1, []string{"web: new"}},
		{"gone", listen + b1, "", []string{"web: gone"}},
		{"weight", listen + b1, listen + b1 + "weight = 5\n", []string{"web: backend b1 weight 1 → 5"}},
		{"state-of-a-backend", listen + b1 + "state = 'down'\n", listen + b1,
			[]string{"web: backend b1 state down → up"}},
		{"port", listen + b1, listen + b1 + "port = 8080\n", []string{"web: backend b1 port as asked for → 8080"}},
		{"state-of-the-farm", listen + b1, "state = 'down'\n" + listen + b1, []string{"web: state up → down"}},
		{"source-address", listen + b1, "source-address = '10.0.0.1'\n" + listen + b1,
			[]string{"web: source-address this machine's own → 10.0.0.1"}},
		{"local-clients", "local-clients = false\n" + listen + b1, listen + b1,
			[]string{"web: local-clients false → true"}},
		{"scheduler", listen + b1, "scheduler = 'hash'\n" + listen + b1,
			[]string{"web: hash-on unset → source-address", "web: scheduler random → hash"}},
		{"listen", listen + b1, "listen = '192.0.2.11:80'" + b1,
			[]string{"web: listen 192.0.2.10:80/tcp → 192.0.2.11:80/tcp"}},
		{"mode", listen + b1, "mode = 'dnat'\n" + listen + b1, []string{"web: mode snat → dnat"}},
		{"backend-new", listen + b1, listen + b1 + b2 + "port = 81\n",
			[]string{"web: backend b2 new: address 10.0.0.12, port 81, weight 1"}},
		{"backend-gone", listen + b1 + b2, listen + b1, []string{"web: backend b2 gone"}},
		{"farm-before-its-backends", listen + b1 + b2, "mode = 'dnat'\n" + listen + b1 + "weight = 2\n",
			[]string{"web: mode snat → dnat", "web: backend b1 weight 1 → 2", "web: backend b2 gone"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			sets := make([]map[string]Description, 2)
			for i, text := range []string{test.before, test.after} {
				sets[i] = map[string]Description{}
				if text != "" {
					sets[i] = describe(t, map[string]string{"web": text})
				}
			}
			if got := Changes(sets[0], sets[1]); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestChangesOfManyFarmsAreInOrder(t *testing.T) {
	facts := map[string]Description{"a": "{}", "b": "{}", "c": "{}"}
	if got, want := Changes(facts, map[string]Description{"b": "{}", "d": "{}"}),
		[]string{"a: gone", "c: gone", "d: new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Changes(nil, nil); got != nil {
		t.Errorf("got %q of nothing", got)
	}
}

// TestEveryChangeOfAScriptIsDescribed: a key that changes the script changes the description.
func TestEveryChangeOfAScriptIsDescribed(t *testing.T) {
	const farm = "\nlisten = '192.0.2.10:80'\n%s\n[backends.b1]\naddress = '10.0.0.11'\n%s\n[backends.b2]\naddress " +
		"= '10.0.0.12'\n"
	usual := describe(t, map[string]string{"web": fmt.Sprintf(farm, "", "")})
	for _, keys := range [][2]string{
		{"scheduler = 'round-robin'", ""}, {"scheduler = 'hash'", ""}, {"scheduler = 'maglev'", ""},
		{"scheduler = 'symmetric-hash'", ""},
		{"scheduler = 'maglev'\ntable-size = 13", ""}, {"flow-offload = 'eth0'", ""},
		{"mode = 'stateless'\ninterfaces = 'eth0'", "interface = 'eth1'"}, {"local-clients = false", ""},
		{"source-address = '10.0.0.1'", ""}, {"state = 'down'", ""},
		{"", "weight = 2"}, {"", "port = 8080"}, {"", "state = 'drain'"}, {"", "source-address = '10.0.0.1'"},
		{"interfaces = 'eth0'", ""}, {"mark = 1", ""}, {"helper = 'ftp'", ""}, {"", "mark = 1"},
	} {
		changed := describe(t, map[string]string{"web": fmt.Sprintf(farm, keys[0], keys[1])})
		if got := Changes(usual, changed); len(got) == 0 {
			t.Errorf("no change for %q", keys)
		}
	}
}

// State directories have descriptions as json.Marshal writes them.
func TestDescriptionIsJSON(t *testing.T) {
	for name, text := range describe(t, map[string]string{
		"down": "listen = '192.0.2.10:80'\nstate = 'down'\nbackends = {}\n",
		"two": "listen = ['192.0.2.10:80', '*:1']\nscheduler = 'hash'\n[backends]\n" +
			"b2 = { address = '10.0.0.2', weight = 5 }\nb1.address = ['10.0.0.1', 'fd00::1']\n",
	}) {
		var of details
		if err := json.Unmarshal([]byte(text), &of); err != nil {
			t.Errorf("%s: %v: %s", name, err, text)
			continue
		}
		if want, _ := json.Marshal(of); string(want) != string(text) {
			t.Errorf("%s: got\n%s, want\n%s", name, text, want)
		}
	}
	for _, text := range []string{"", "a", "é", `"\`, "<&>", "\x00\x1f", "\u2028", "\xff", "~\x7f "} {
		if want, _ := json.Marshal(text); string(appendText(nil, text)) != string(want) {
			t.Errorf("%q: got %s, want %s", text, appendText(nil, text), want)
		}
	}
}

// TestShortLimits: a rate alone is described like the table with the burst that it has.
func TestShortLimits(t *testing.T) {
	short := plainFarm.with(content{"limits": {"new-per-client": `"10/second"`, "resets-per-client": `"10/m"`,
		"new": `"10/d"`}})
	long := plainFarm.with(content{"limits": {"new-per-client": `{ rate = "10/second", burst = 5 }`,
		"resets-per-client": `{ rate = "10/minute" }`, "new": `{ rate = "10/day" }`}})
	if changes := Changes(described(t, short), described(t, long)); len(changes) > 0 {
		t.Errorf("they differ: %q", changes)
	}
	if changes := Changes(described(t, plainFarm), described(t, short)); len(changes) == 0 {
		t.Error("limits are not described")
	}
}

// Changes of one key that are the same are told once, those of backends and of whole farms each.
func TestTogether(t *testing.T) {
	var changes []string
	for i := range 8 {
		changes = append(changes, fmt.Sprintf("f%d: log none → input", i))
	}
	changes = append(changes, "f8: log none → denied", "g: new", "h: new", "i: backend b1 weight 1 → 2",
		"j: backend b1 weight 1 → 2", "k: log none → denied")
	got := strings.Join(Together(changes), "\n")
	const want = `f0, f1, f2, f3, f4 and 3 more farms: log none → input
f8, k: log none → denied
g: new
h: new
i: backend b1 weight 1 → 2
j: backend b1 weight 1 → 2`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

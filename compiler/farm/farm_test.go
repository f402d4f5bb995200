package farm

import (
	"fmt"
	"strings"
	"testing"

	"farmc/compiler/diag"
)

// oneFarm compiles a farm, and gives it with its diagnostics.
func oneFarm(t *testing.T, texts ...string) (*Farm, string) {
	t.Helper()
	files := farmFiles{name: "web", main: file{name: "web", path: "web.toml", text: []byte(texts[0])}}
	for i, text := range texts[1:] {
		files.dropIns = append(files.dropIns, file{path: fmt.Sprintf("web.toml.d/%d.toml", i+1), text: []byte(text)})
	}
	var told diag.Diagnostics
	f := parseFarm(files, nil, &told)
	told.Sort()
	lines := make([]string, len(told))
	for i, d := range told {
		lines[i] = d.Place.String() + ": " + d.Message
	}
	return f, strings.Join(lines, "\n")
}

func TestFarmDefaults(t *testing.T) {
	f, told := oneFarm(t, "listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\n")
	if told != "" {
		t.Fatal(told)
	}
	b := f.Backends[0]
	if f.Name != "web" || f.Mode != SNAT || f.Down || f.Scheduler != Random || !f.LocalClients ||
		f.Source != (Sources{}) || len(f.Listen) != 1 ||
		b.Name != "b1" || b.Port != 0 || b.Weight != 1 || b.State != Up || b.Source != (Sources{}) {
		t.Errorf("got %+v", f)
	}
}

func TestFarmBackendsAreInOrder(t *testing.T) {
	f, _ := oneFarm(t, "listen = '192.0.2.10:80'\n[backends.b10]\naddress = '10.0.0.10'\n[backends.b9]\naddress = "+
		"'10.0.0.9'\n[backends.B1]\naddress = '10.0.0.1'\n", "backends.a.address = '10.0.0.2'")
	var names []string
	for _, b := range f.Backends {
		names = append(names, b.Name)
	}
	if got, want := strings.Join(names, " "), "B1 a b10 b9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFarmDropIns(t *testing.T) {
	const main = "listen = ['192.0.2.10:80', '192.0.2.11:80']\n[backends.b1]\naddress = '10.0.0.11'\nweight = 5\n"
	for _, test := range []struct {
		rule    string
		dropIns []string
		want    string // of b1: address, weight, state, and how many listens and backends there are
	}{
		{"none", nil, "10.0.0.11 5 up, 2, 1"},
		{"table-merges", []string{"[backends.b1]\nstate = 'down'"}, "10.0.0.11 5 down, 2, 1"},
		{"value-replaces", []string{"[backends.b1]\nweight = 2"}, "10.0.0.11 2 up, 2, 1"},
		{"list-replaces", []string{"listen = '192.0.2.12:80'"}, "10.0.0.11 5 up, 1, 1"},
		{"the-last-counts", []string{"backends.b1.weight = 2", "backends.b1.weight = 3"}, "10.0.0.11 3 up, 2, 1"},
		{"inline-table-merges", []string{"backends = { b1 = { weight = 2 } }"}, "10.0.0.11 2 up, 2, 1"},
		{"backend-comes", []string{"[backends.b2]\naddress = '10.0.0.12'"}, "10.0.0.11 5 up, 2, 2"},
		{"drop-ins-amend-each-other", []string{"[backends.b2]\nweight = 2", "[backends.b2]\naddress = '10.0.0.12'"},
			"10.0.0.11 5 up, 2, 2"},
		{"comments-alone", []string{"# nothing\n"}, "10.0.0.11 5 up, 2, 1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f, told := oneFarm(t, append([]string{main}, test.dropIns...)...)
			b := f.Backends[0]
			if got := fmt.Sprintf("%s %d %s, %d, %d", b.Address, b.Weight, b.State, len(f.Listen),
				len(f.Backends)); got != test.want || told != "" {
				t.Errorf("got %s, %s, want %s", got, told, test.want)
			}
		})
	}
}

// TestFarmFaultsAreToldWhereTheyStand: in the file that has the last word.
func TestFarmFaultsAreToldWhereTheyStand(t *testing.T) {
	const main = "listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\nweight = 5\n"
	for _, test := range []struct {
		rule    string
		main    string
		dropIns []string
		want    string
	}{
		{"replaced-fault-is-none", strings.Replace(main, "weight = 5", "weight = 0", 1),
			[]string{"backends.b1.weight = 1"}, ""},
		{"fault-in-a-drop-in", main, []string{"backends.b1.weight = 0"},
			"web.toml.d/1.toml:1:22: weight is 0, at least 1"},
		{"fault-in-each", "mode = 'x'\n" + main, []string{"backends.b1.weight = 0"},
			"web.toml:1:8: mode can't be \"x\"\nweb.toml.d/1.toml:1:22: weight is 0, at least 1"},
		{"broken-main-and-broken-drop-in", "x y", []string{"y x"},
			"web.toml:1:3: expected '.' or '=', but got 'y' instead\nweb.toml.d/1.toml:1:3: expected '.' or '=', " +
				"but got 'x' instead"},
		{"broken-drop-in", main, []string{"y x"}, "web.toml.d/1.toml:1:3: expected '.' or '=', but got 'x' instead"},
		{"unknown-key-in-a-drop-in", main, []string{"[backends.b1]\nwait = 1"},
			"web.toml.d/1.toml:2:1: unknown key \"wait\" in [backends.b1]"},
		{"backend-without-address-in-a-drop-in", main, []string{"[backends.b2]\nstate = 'up'"},
			"web.toml.d/1.toml:1:11: farm web has no backend \"b2\", so the table is ignored"},
		{"table-becomes-a-value", main, []string{"backends = 1"},
			"web.toml.d/1.toml:1:12: backends is a whole number, not a table"},
		{"value-becomes-a-table", main, []string{"[listen]\na = 1"},
			"web.toml.d/1.toml:1:2: listen is a table, not a string"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if _, got := oneFarm(t, append([]string{test.main}, test.dropIns...)...); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// TestFarmFaultsDontBreedOthers: one slip of the hand is told once, not with all that follows from it.
func TestFarmFaultsDontBreedOthers(t *testing.T) {
	const listen, b1, b2 = "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\n",
		"[backends.b1]\naddress = '10.0.0.11'\n", "[backends.b2]\naddress = 'fd00::12'\n"
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"no-fault", listen + b1 + b2, ""},
		{"mode", "mode = 'nat'\nlocal-clients = true\nsource-address = '10.0.0.1'\n" + listen + b1 + "port = 80\n" + b2,
			"web.toml:1:8: mode can't be \"nat\""},
		{"scheduler", "scheduler = 'hsah'\nhash-on = 'source-port'\n" + listen + b1 + b2,
			"web.toml:1:13: scheduler can't be \"hsah\""},
		{"maglev-misspelt", "scheduler = 'maglv'\ntable-size = 251\n" + listen + b1 + b2,
			"web.toml:1:13: scheduler can't be \"maglv\""},
		{"address-of-the-only-backend-of-a-family", listen + b1 + "[backends.b2]\naddress = 'fd00::x'\n",
			"web.toml:5:11: address: \"fd00::x\" is not an address"},
		{"address-missing", listen + b1 + "[backends.b2]\nport = 80\n", "web.toml:4:11: backend b2 has no address"},
		{"listen-of-a-family", "listen = ['192.0.2.10:80', '[2001:db8::10:80']\n" + b1 + b2,
			"web.toml:1:28: listen: \"[2001:db8::10:80\" lacks a closing bracket"},
		{"listen-misspelt", "lisen = '192.0.2.10:80'\n" + b1, "web.toml:1:1: unknown key \"lisen\""},
		{"backend-that-is-no-table", listen + "backends.b3 = 1\n" + b1 + b2,
			"web.toml:2:15: b3 is a whole number, not a table"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if _, got := oneFarm(t, test.text); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

package farm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

// Each bound is a fault of one line for the first value beyond it, and none at the bound.
func TestBounds(t *testing.T) {
	const backend = "[backends.b1]\naddress = '10.0.0.1'\n"
	for _, test := range []struct {
		rule string
		file func(n int) (name, text string)
		most int
		want string
	}{
		{"backends", func(n int) (string, string) {
			text := "listen = '192.0.2.1:80'\n"
			for i := range n {
				text += fmt.Sprintf("[backends.b%d]\naddress = '10.0.%d.%d'\n", i, i/256, i%256)
			}
			return "web.toml", text
		}, MaxBackends, "4097 backends, at most 4096"},
		{"listen", func(n int) (string, string) {
			var items strings.Builder
			for i := range n {
				fmt.Fprintf(&items, "'192.0.2.1:%d',\n", i+1)
			}
			return "web.toml", "listen = [" + items.String() + "]\n" + backend
		}, maxListens, "listen: more than 1024 items"},
		{"own-networks", func(n int) (string, string) {
			var items strings.Builder
			for i := range n {
				fmt.Fprintf(&items, "'10.%d.%d.1',\n", i/256, i%256)
			}
			return "web.toml", "listen = '192.0.2.1:80'\naccess.deny = [" + items.String() + "]\n" + backend
		}, maxOwnNetworks, "deny: the items up to here are more than 20000 networks"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			for more, want := range []string{"", test.want} {
				name, text := test.file(test.most + more)
				var faults diag.Diagnostics
				new(Cache).Read([]Dir{{Path: ".", FS: fstest.MapFS{name: {Data: []byte(text)}}}}, &faults)
				got := ""
				for _, d := range faults {
					got += d.Message
				}
				if got != want {
					t.Errorf("with %d: got %q, want %q", test.most+more, got, want)
				}
			}
		})
	}
}

// TestTotals: the farms that fit have no fault. Each other one has its own, also if a later one fits.
func TestTotals(t *testing.T) {
	const backend = "backends.b.address = '10.0.0.1'\n"
	numbered := func(n int, item string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, item, i/250, i%250)
		}
		return out.String()
	}
	ports := make([]string, 1000)
	for i := range ports {
		ports[i] = fmt.Sprint(1 + 2*i)
	}
	mostOutgoing := "'" + strings.Join(ports[:maxOutgoing], "', '") + "'"
	thousandPorts := "listen = '192.0.2.1:" + strings.Join(ports, ",") + "'\n"
	for _, test := range []struct {
		rule, text string // of each farm
		fit        int
		want       string
	}{
		{"backends", "listen = '192.0.2.1:80'\n" + numbered(4000, "backends.b%d-%d.address = '10.0.0.1'\n"), 32,
			"with this farm all farms together have 132000 backends, at most 131072"},
		{"frontends", thousandPorts + backend, 65,
			"with this farm all farms together have 66000 frontends: ports, ranges and addresses in listen, " +
				"at most 65536"},
		{"pairs", thousandPorts + numbered(100, "backends.b%d-%d.address = '10.0.0.1'\n"), 5,
			"with this farm all farms together have 600000 pairs of a frontend and a backend, at most 524288"},
		{"networks", "listen = '192.0.2.1:80'\naccess.deny = [" + numbered(20000, "'10.1.%d.%d',\n") + "]\n" + backend,
			50, "with this farm all farms together have 1020000 networks in allow and deny, at most 1000000"},
		{"ranges of backends", "listen = '192.0.2.1:80'\n" + numbered(250, "[backends.b%d-%d]\n"+
			"address = '10.0.0.1'\nsource-address = '10.9.0.1-10.9.1.0'\n"), 8, "with this farm all farms together " +
			"have 576000 source addresses: of backends with source-address, of sources, and ports of outgoing for " +
			"each backend, at most 524288"},
		{"ports of outgoing", "listen = '192.0.2.1:80'\noutgoing = [" + mostOutgoing + "]\n" +
			numbered(1000, "backends.b%d-%d.address = '10.0.0.1'\n"), 8, "with this farm all farms together have " +
			"576000 source addresses: of backends with source-address, of sources, and ports of outgoing for each " +
			"backend, at most 524288"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			files := fstest.MapFS{"z.toml": {Data: []byte("listen = '192.0.2.1:80'\n" + backend)}}
			for i := range test.fit + 2 {
				files[fmt.Sprintf("f%03d.toml", i)] = &fstest.MapFile{Data: []byte(test.text)}
			}
			var faults diag.Diagnostics
			farms := new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
			var at []string
			for _, d := range faults {
				if strings.HasPrefix(d.Message, "with this farm") {
					at = append(at, d.Farm+": "+d.Message)
				}
			}
			var want []string
			for i := range 2 {
				want = append(want, fmt.Sprintf("f%03d: %s", test.fit+i, test.want))
			}
			if !slices.Equal(at, want) || farms[len(farms)-1].Name != "z" {
				t.Errorf("got %q, want %q, and the last farm is %s", at, want, farms[len(farms)-1].Name)
			}
		})
	}
}

// TestTotalOfInterfaces: an interface that several farms name counts once.
func TestTotalOfInterfaces(t *testing.T) {
	files := fstest.MapFS{}
	for i := range maxAllInterfaces + 2 {
		files[fmt.Sprintf("f%04d.toml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"listen = '192.0.2.1:80'\ninterfaces = ['e%d']\nbackends.b.address = '10.0.0.1'\n",
			min(i, maxAllInterfaces))}
	}
	var faults diag.Diagnostics
	farms := new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
	want := "f1024: with this farm all farms together have 1025 interfaces, at most 1024; " +
		"f1025: with this farm all farms together have 1025 interfaces, at most 1024"
	var got []string
	for _, d := range faults {
		got = append(got, d.Farm+": "+d.Message)
	}
	if strings.Join(got, "; ") != want || len(farms) != maxAllInterfaces {
		t.Errorf("%d farms, %s", len(farms), strings.Join(got, "; "))
	}
}

// TestTotalOfExtras: limits, occasions of logs and tables count together.
func TestTotalOfExtras(t *testing.T) {
	const text = "listen = '192.0.2.1:80'\naccess.deny = '192.0.2.9'\npersistence = {}\n" +
		"log.on = ['input', 'forward', 'output', 'denied', 'limited']\nbackends.b.address = '10.0.0.1'\n" +
		"limits = { new = '5/s', new-per-client = '5/s', resets-per-client = '5/s', connections-per-client = 5, " +
		"connections = 5, ban = '1m', strict-tcp = true }\n" // 14
	const fit = maxAllExtras / 14
	files := fstest.MapFS{"z.toml": {Data: []byte("listen = '192.0.2.1:80'\nbackends.b.address = '10.0.0.1'\n")}}
	for i := range fit + 1 {
		files[fmt.Sprintf("f%04d.toml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	var faults diag.Diagnostics
	farms := new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
	var got []string
	for _, d := range faults {
		if strings.HasPrefix(d.Message, "with this farm") {
			got = append(got, d.Farm+": "+d.Message)
		}
	}
	want := fmt.Sprintf("f%04d: with this farm all farms together have 65548 limits, occasions of logs, and tables "+
		"[access], [timeouts] and [persistence], at most 65536", fit)
	if strings.Join(got, "; ") != want || len(farms) != fit+1 {
		t.Errorf("%d farms, %s", len(farms), strings.Join(got, "; "))
	}
}

// TestSizeOfFiles: a farm, a drop-in and a list have a bound on their bytes.
func TestSizeOfFiles(t *testing.T) {
	const web = "listen = '192.0.2.1:80'\naccess.deny = '@bad'\nbackends.b.address = '10.0.0.1'\n"
	for _, c := range []struct {
		name string
		most int
	}{{"web.toml", MaxFarmSize}, {"web.toml.d/x.toml", MaxFarmSize}, {"bad.list", maxListSize}} {
		for more, want := range []string{"", fmt.Sprintf("can't be read: %d bytes, at most %d", c.most+1, c.most)} {
			files := fstest.MapFS{"web.toml": {Data: []byte(web)}, "bad.list": {Data: []byte("192.0.2.9\n")}}
			text := ""
			if f := files[c.name]; f != nil {
				text = string(f.Data)
			}
			text += "#" + strings.Repeat("\n", c.most+more-len(text)-1)
			files[c.name] = &fstest.MapFile{Data: []byte(text)}
			var faults diag.Diagnostics
			new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
			if got := list(faults); (want == "") != (got == "") || !strings.Contains(got, want) {
				t.Errorf("%s with %d more bytes: got %.300q, want %q", c.name, more, got, want)
			}
		}
	}
}

// TestSizeOfAllLists: all lists together have a bound.
func TestSizeOfAllLists(t *testing.T) {
	text := []byte("192.0.2.9\n#" + strings.Repeat("\n", maxListSize/2-len("192.0.2.9\n#")))
	files := fstest.MapFS{"a.list": {Data: text}, "b.list": {Data: text},
		"web.toml": {Data: []byte("listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n")}}
	for _, want := range []string{"", "all lists together have 67108866 bytes, at most 67108864"} {
		var faults diag.Diagnostics
		new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
		if got := list(faults); (want == "") != !faults.Faulty() || !strings.Contains(got, want) {
			t.Errorf("got %.300q, want %q", got, want)
		}
		files["c.list"] = &fstest.MapFile{Data: []byte("#\n")}
	}
}

// TestNumberOfFarms: too many farms are one fault.
func TestNumberOfFarms(t *testing.T) {
	files := fstest.MapFS{}
	for i := range maxFarms + 1 {
		files[fmt.Sprintf("f%d.toml", i)] = &fstest.MapFile{Data: []byte("\n")}
	}
	var faults diag.Diagnostics
	new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
	if got := list(faults); !strings.Contains(got, "32769 farms, at most 32768") || len(faults) != 1 {
		t.Errorf("%d faults: %.200s", len(faults), got)
	}
}

// TestListBound: each of these ranges comes to 158 networks, which count.
func TestListBound(t *testing.T) {
	text := func(n int) []byte {
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, "2001:db8:%x::1-2001:db8:%[1]x:ffff:ffff:ffff:ffff:fffe\n", i)
		}
		return []byte(lines.String())
	}
	const most = maxListNetworks / 158
	for _, lenient := range []bool{false, true} {
		var none, faults diag.Diagnostics
		parseList(file{path: "l.list", text: text(most), lenient: lenient}, &none)
		parseList(file{path: "l.list", text: text(most + 1), lenient: lenient}, &faults)
		if len(none) > 0 || !faults.Faulty() ||
			!strings.Contains(list(faults), "the lines up to here are more than 1000000 networks") {
			t.Errorf("%s\nand beyond the bound %s", list(none), list(faults))
		}
	}
}

// TestSizeOfAllFarms: all farms and drop-ins together have a bound.
func TestSizeOfAllFarms(t *testing.T) {
	files := fstest.MapFS{"web.toml": {Data: []byte("listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n")}}
	for i := range maxFarmsSize / MaxFarmSize {
		comments := strings.Repeat("#\n", MaxFarmSize/2)
		files[fmt.Sprintf("web.toml.d/%d.toml", i)] = &fstest.MapFile{Data: []byte(comments)}
	}
	var faults diag.Diagnostics
	new(Cache).Read([]Dir{{Path: ".", FS: files}}, &faults)
	want := "all farms and drop-ins together have 16777273 bytes, at most 16777216"
	if got := list(faults); !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}

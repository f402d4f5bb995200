package farm

import (
	"fmt"
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

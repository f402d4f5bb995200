package farm

import (
	"fmt"
	"strings"
	"testing"
)

// TestAnnounced: a farm announces the addresses that it serves, of each family by itself.
func TestAnnounced(t *testing.T) {
	const dual = "mode = \"dsr\"\ninterfaces = \"eth0\"\nlisten = [\"192.0.2.10:80\", \"[2001:db8::10]:80\"]\n"
	const b1 = "[backends.b1]\naddress = [\"10.0.0.11\", \"fd00::11\"]\n"
	const b2 = "[backends.b2]\naddress = \"10.0.0.12\""
	const local = "mode = \"local\"\nannounce = true\n"
	const always = "announce = \"always\"\n"
	const mixed = "mode = \"dsr\"\ninterfaces = \"eth0\"\nlisten = [\"198.51.100.0/28:80\", \"192.0.2.10/esp\"]\n"
	for name, c := range map[string]struct{ farm, want string }{
		"not asked for":         {dual + b1, ""},
		"false":                 {dual + "announce = false\n" + b1, ""},
		"both families":         {dual + "announce = true\n" + b1, "192.0.2.10/32 2001:db8::10/128"},
		"backend down":          {dual + "announce = true\n" + b1 + "state = \"down\"", ""},
		"backend drains":        {dual + "announce = true\n" + b1 + "state = \"drain\"", ""},
		"backend of no weight":  {dual + "announce = true\n" + b1 + "weight-percent = 0", ""},
		"backend down, always":  {dual + always + b1 + "state = \"down\"", "192.0.2.10/32 2001:db8::10/128"},
		"farm down":             {dual + "announce = true\nstate = \"down\"\n" + b1, ""},
		"farm down, always":     {dual + always + "state = \"down\"\n" + b1, ""},
		"one family is served":  {dual + "announce = true\n" + b1 + "state = \"down\"\n" + b2, "192.0.2.10/32"},
		"network and protocol":  {mixed + "announce = true\n" + b1, "198.51.100.0/28"},
		"two ports, an address": {local + "listen = [\"192.0.2.10:80\", \"192.0.2.10:443\"]\n", "192.0.2.10/32"},
		"whole address":         {local + "listen = \"192.0.2.10/all\"\n", "192.0.2.10/32"},
	} {
		f, told := oneFarm(t, c.farm)
		if f == nil {
			t.Errorf("%s: %s", name, told)
			continue
		}
		if got := strings.Trim(fmt.Sprint(f.Announced()), "[]"); got != c.want {
			t.Errorf("%s: announced %q, want %q", name, got, c.want)
		}
	}
}

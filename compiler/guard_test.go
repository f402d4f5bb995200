package compiler_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestGuardsOfAbsentInterfaces: rules for the ingress of an absent interface compare its name in prerouting instead, so
// that no denied client gets in as it appears.
func TestGuardsOfAbsentInterfaces(t *testing.T) {
	for _, test := range []struct {
		mode, interfaces string
		ingress          string // the interfaces that have a gate at their ingress
		prerouting       string // where the door leads there
	}{
		{"dnat", `"eth0"`, `"eth0"`, ""},
		{"dnat", `"eth7"`, "", "goto farm/web/access-inside-ip4"},
		{"dnat", `"eth0", "eth7"`, `"eth0"`, "goto farm/web/access-inside-ip4"},
		{"dsr", `"eth0"`, `"eth0"`, ""},
		{"dsr", `"eth7"`, "", ""}, // takes nothing
	} {
		t.Run(test.mode+test.interfaces, func(t *testing.T) {
			text := fmt.Sprintf(
				"mode = %q\ninterfaces = [%s]\nlisten = \"192.0.2.10:80\"\naccess.deny = \"any\"\n[backends.b1]\n"+
					"address = \"10.0.0.11\"\n",
				test.mode,
				test.interfaces,
			)
			if test.mode == "dsr" {
				text += "interface = \"eth1\"\n"
			}
			script, told := compiler.CompileWithout(
				[]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}}}},
				func(device string) bool { return device == "eth7" },
			)
			if told.Faulty() {
				t.Fatal(compilertest.Printed(told))
			}
			r, err := compilertest.ReadScript(string(script.Text))
			if err != nil {
				t.Fatal(err)
			}
			ingress := ""
			for name, rules := range r.Chains {
				if strings.HasPrefix(name, "access-ingress/") {
					ingress += strings.TrimSuffix(
						strings.TrimPrefix(rules[0], "\t\ttype filter hook ingress devices = { "),
						" } priority filter - 10",
					)
				}
			}
			prerouting := ""
			if m := r.Maps["access-services-ip4"]; m != nil {
				prerouting = m.ByKey["tcp . 192.0.2.10 . 80"].Value
			}
			if ingress != test.ingress || prerouting != test.prerouting {
				t.Errorf(
					"gates at %s and in prerouting to %q, want %s and %q",
					ingress,
					prerouting,
					test.ingress,
					test.prerouting,
				)
			}
		})
	}
}

// TestGuardsOfPlainFarms: a farm that denies no client is in no gate of other farms, if these cannot catch its packets.
func TestGuardsOfPlainFarms(t *testing.T) {
	files := fstest.MapFS{
		"guarded.toml": {
			Data: []byte(
				"listen = \"192.0.2.250/all\"\naccess.deny = \"any\"\n" + "[backends.b1]\naddress = \"10.0.0.11\"\n",
			),
		},
	}
	for i := range 20 {
		files[fmt.Sprintf("plain%d.toml", i)] = &fstest.MapFile{
			Data: fmt.Appendf(nil, "listen = \"192.0.2.%d:80\"\n[backends.b1]\naddress = \"10.0.0.11\"\n", i+1),
		}
	}
	script, told := compiler.Compile([]farm.Dir{{FS: files}})
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	r, err := compilertest.ReadScript(string(script.Text))
	if err != nil {
		t.Fatal(err)
	}
	if m := r.Maps["access-services-ip4"]; m != nil {
		t.Errorf("%d plain farms are asked for", len(m.Elements))
	}
	if got := len(r.Maps["access-addresses-ip4"].Elements); got != 1 {
		t.Errorf("%d addresses are asked for, want one", got)
	}
}

package compiler_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestKernelTakesGoldens loads every golden script twice in a row, each in the state that the one before has left,
// and then all of them the other way round.
func TestKernelTakesGoldens(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	scripts := compilertest.GoldenScripts(t)
	for _, s := range scripts {
		if k.MustLoad(s.Name, s.Text) {
			k.MustLoad(s.Name+" over itself", s.Text)
			k.Must(s.Name+" is there", "nft -nn list table inet farmc")
		}
	}
	for i := len(scripts) - 2; i >= 0; i-- {
		k.MustLoad(scripts[i].Name+" over "+scripts[i+1].Name, scripts[i].Text)
	}
}

// foreign is a ruleset of other programs: tables named farmc in other families, a chain and a map with names of farmc's
// in another table, and a common firewall.
const foreign = `
table ip farmc {
	map services-ip4 {
		type inet_proto . ipv4_addr . inet_service : verdict
		elements = { tcp . 192.0.2.10 . 80 : accept }
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		meta l4proto . ip daddr . th dport vmap @services-ip4
	}
}
table ip6 farmc {
	chain keep-conntrack {
		ct state new comment "farmc sha256:0000000000000000000000000000000000000000000000000000000000000000"
	}
	chain masquerade-all {
		masquerade
	}
}
table bridge farmc {
}
table inet filter {
	set blocked {
		type ipv4_addr
		flags interval
		elements = { 198.51.100.0/24, 203.0.113.5-203.0.113.9 }
	}
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		ip saddr @blocked counter drop
		tcp dport 22 limit rate 10/second accept comment "ssh"
	}
}
table netdev farmc2 {
}
`

// TestKernelKeepsForeignTables loads all golden scripts beside a foreign ruleset, which must not change.
func TestKernelKeepsForeignTables(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	k.MustLoad("foreign ruleset", []byte(foreign))
	before := k.Must("list", "nft -nn -a list ruleset")
	for _, s := range compilertest.GoldenScripts(t) {
		if !k.MustLoad(s.Name, s.Text) {
			continue
		}
		k.Must("delete", "nft delete table inet farmc; nft delete table netdev farmc 2>/dev/null; true")
		if after := k.Must("list", "nft -nn -a list ruleset"); after != before {
			t.Fatalf("%s changed more than inet farmc:\n%s\nwas:\n%s", s.Name, after, before)
		}
	}
}

// TestKernelTakesHashes loads all combinations of hash keys, in both families, for all kinds of listen.
func TestKernelTakesHashes(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	all := fstest.MapFS{}
	for set := 1; set < 1<<len(farm.HashKeys); set++ {
		for name, text := range hashFarms(set) {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	script, told := compiler.Compile([]farm.Dir{{FS: all}})
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	if k.MustLoad(fmt.Sprint(len(all), " farms"), script.Text) {
		k.Must("list", "nft -nn list table inet farmc") // which is where 1.0.6 crashes on some maps
	}
}

// hashFarms are farms that hash on a combination of keys, each with its own addresses: single ports, ranges and "*",
// and the whole address where the keys aren't ports.
func hashFarms(set int) map[string]string {
	var on []string
	ports := false
	for i, key := range farm.HashKeys {
		if set>>i&1 == 1 {
			on = append(on, strconv.Quote(string(key)))
			ports = ports || key == farm.SourcePort || key == farm.DestinationPort
		}
	}
	form := `
scheduler = "hash"
hash-on = [` + strings.Join(on, ", ") + `]
listen = [%s]
[backends.b1]
address = ["10.0.0.11", "fd00::11"]
weight = 3
%s
[backends.b2]
address = ["10.0.0.12", "fd00::12"]
`
	listens := fmt.Sprintf(
		`"192.0.2.%[1]d:80,8000-8100/tcp,udp", "[2001:db8::%[1]d]:80,8000-8100/tcp,udp", "*:%[1]d,%[2]d-%[3]d"`,
		set,
		1000*set,
		1000*set+9,
	)
	farms := map[string]string{fmt.Sprintf("ports%d.toml", set): fmt.Sprintf(form, listens, "port = 8080")}
	if !ports {
		farms[fmt.Sprintf("whole%d.toml", set)] = fmt.Sprintf(
			form,
			fmt.Sprintf(`"192.0.2.%[1]d/all", "2001:db8::%[1]d/all"`, set),
			"",
		)
	}
	return farms
}

// TestKernelTakesPersistence loads persistence on all combinations of keys, in both families, with fixed sessions of
// single clients and of networks.
func TestKernelTakesPersistence(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	all := fstest.MapFS{}
	for set := 1; set < 1<<len(farm.HashKeys); set++ {
		text := persistentFarm(set)
		all[fmt.Sprintf("web%d.toml", set)] = &fstest.MapFile{Data: []byte(text)}
		frames := strings.NewReplacer("192.0.2.", "192.0.3.", "2001:db8::", "2001:db8:1::", "port = 8080", "").
			Replace(text)
		for net, keys := range map[int]string{4: "", 5: "interfaces = 'eth0'\n"} {
			rewritten := strings.NewReplacer("192.0.2.", fmt.Sprintf("192.0.%d.", net),
				"2001:db8::", fmt.Sprintf("2001:db8:%d::", net),
				"10.0.0.", fmt.Sprintf("10.%d.%d.", net, set), "fd00::", fmt.Sprintf("fd00:%d:%d::", net, set)).
				Replace(text)
			all[fmt.Sprintf("rewritten%d-%d.toml", net, set)] = &fstest.MapFile{
				Data: []byte("mode = \"stateless\"\n" + keys + "table-size = 7\n" + rewritten),
			}
		}
		all[fmt.Sprintf("frames%d.toml", set)] = &fstest.MapFile{
			Data: []byte("mode = \"dsr\"\ninterfaces = \"eth0\"\ntable-size = 7\n" + frames),
		}
	}
	script, told := compiler.Compile([]farm.Dir{{FS: all}})
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	if k.MustLoad(fmt.Sprint(len(all), " farms"), script.Text) {
		k.Must("list", "nft -nn list table inet farmc")
		k.Must("list of ingress", "nft -nn list table netdev farmc")
	}
}

func persistentFarm(set int) string {
	var on []string
	parts := map[int][]string{}
	prefix := ""
	for i, key := range farm.HashKeys {
		if set>>i&1 == 0 {
			continue
		}
		on = append(on, strconv.Quote(string(key)))
		if key == farm.SourceAddress {
			prefix = "prefix = [24, 64]"
		}
		for version, words := range map[int]map[farm.HashKey]string{
			4:  {farm.SourceAddress: "198.51.100.7", farm.DestinationAddress: fmt.Sprint("192.0.2.", set)},
			40: {farm.SourceAddress: "198.51.100.0/24", farm.DestinationAddress: fmt.Sprint("192.0.2.", set)},
			6:  {farm.SourceAddress: "2001:db8:c::7", farm.DestinationAddress: fmt.Sprint("2001:db8::", set)},
			60: {farm.SourceAddress: "2001:db8:c::/48", farm.DestinationAddress: fmt.Sprint("2001:db8::", set)},
		} {
			word := words[key]
			if word == "" {
				word = map[farm.HashKey]string{farm.SourcePort: "5060", farm.DestinationPort: "80"}[key]
			}
			if word == "" {
				word = "02:00:00:00:00:01"
			}
			parts[version] = append(parts[version], word)
		}
	}
	static := ""
	seen := map[string]bool{}
	for _, words := range parts {
		if client := strings.Join(words, " . "); !seen[client] {
			seen[client] = true
			static += fmt.Sprintf("%q = \"b1\"\n", client)
		}
	}
	return fmt.Sprintf(`
listen = ["192.0.2.%[1]d:80/tcp,udp", "[2001:db8::%[1]d]:80/tcp,udp"]
[persistence]
on = [%[2]s]
%[3]s
[persistence.static]
%[4]s
[backends.b1]
address = ["10.0.0.11", "fd00::11"]
port = 8080
[backends.b2]
address = ["10.0.0.12", "fd00::12"]
`, set, strings.Join(on, ", "), prefix, static)
}

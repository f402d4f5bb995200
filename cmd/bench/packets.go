package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packets measures the cost of packets through farms of each kind, and compares it with the expected ratios to rules by
// hand. Its unit is the nanosecond, which is an instruction in the virtual machine of make packets.
func packets(farmc string, o options) error {
	lab, err := newPacketLab(farmc)
	if err != nil {
		return err
	}
	defer lab.Close()
	p := &packetBench{packetLab: lab, alike: o.alike, byHand: map[string]cost4{}}
	if err := printMachine("instructions of a packet, without the sender and the links"); err != nil {
		return err
	}
	if err := lab.measureLinks(); err != nil {
		return err
	}
	fmt.Printf("\n%-28s %6s %-4s %12s %8s %8s\n", "rules", "farms", "", "established", "reply", "new")
	rounds := 1
	if o.update {
		rounds = mostRounds
	}
	for range rounds {
		for _, r := range references {
			if err := p.measureReference(r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		for _, k := range packetKinds {
			if !selected(k.name, o.only) {
				continue
			}
			for _, farms := range o.packets {
				if err := p.measureKind(k, farms); err != nil {
					return fmt.Errorf("%s among %d farms: %w", k.name, farms, err)
				}
			}
		}
	}
	return p.judge(o)
}

// mostRounds is the number of times that a packet is measured, if it seems dearer, or its cost is to be expected from
// now on. The lowest cost counts, because what the kernel does besides only adds.
const mostRounds = 3

// A packetBench measures packets through the rules of farms. costs are the ones through a single farm.
type packetBench struct {
	*packetLab
	alike  bool             // all farms are of the measured one's kind
	byHand map[string]cost4 // of natByHand, by the family
	costs  []kindCost
}

// note keeps the lower costs of packets through a single farm.
func (p *packetBench) note(k packetKind, family string, c cost4) {
	i := slices.IndexFunc(p.costs, func(o kindCost) bool { return o.kind.name == k.name && o.family == family })
	if i < 0 {
		p.costs = append(p.costs, kindCost{k, family, c})
		return
	}
	p.costs[i].cost4 = p.costs[i].lower(c)
}

// A kindCost is the cost of packets through a kind of farm.
type kindCost struct {
	kind   packetKind
	family string
	cost4
}

// measureReference loads rules by hand and measures packets through them. All ratios are to natByHand: a rule that
// forwards at ingress costs so little that five instructions are 1 %.
func (p *packetBench) measureReference(r handRules) error {
	path := p.path("reference.nft")
	if err := os.WriteFile(path, []byte(r.script), 0o600); err != nil {
		return err
	}
	return p.measureScript(path, r.destination(), false, func(family string, c cost4) {
		c.print(r.name, 0, family)
		if r.name != natByHand {
			return
		}
		if before, ok := p.byHand[family]; ok {
			c = c.lower(before)
		}
		p.byHand[family] = c
	})
}

// measureKind compiles a number of farms, one of them of the kind to measure, loads them, and measures packets through
// this one.
func (p *packetBench) measureKind(k packetKind, farms int) error {
	directory := p.path("farms.d")
	others := kindNamed(k.among).farm
	if p.alike {
		others = func(n int) string { return k.farm(n + 1) }
	}
	if err := writeFarms(directory, farms-1, others); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, "measured.toml"), []byte(k.farm(0)), 0o600); err != nil {
		return err
	}
	script, err := p.script(k, directory)
	if err != nil {
		return err
	}
	return p.measureScript(script, viaFarm, k.oneWay, func(family string, c cost4) {
		c.print(k.name, farms, family)
		if farms == 1 {
			p.note(k, family, c)
		}
	})
}

// script makes the script of farms, and returns its path. farmc apply makes it for the addresses of the balancer, if
// there are no rules of other farms.
func (p *packetBench) script(k packetKind, directory string) (path string, err error) {
	if !k.onMachine {
		path = p.path("script.nft")
		_, err = p.Balancer.Run(p.ctx, "", p.farmc, "compile", "--dir", directory, "-o", path)
		return path, err
	}
	state := p.path("state")
	if err := os.RemoveAll(state); err != nil {
		return "", err
	}
	if _, err := p.Balancer.Run(p.ctx, "flush ruleset\n", "nft", "-f", "-"); err != nil {
		return "", err
	}
	_, err = p.Balancer.Run(p.ctx, "", p.farmc, "apply", "--dir", directory, "--state-dir", state)
	return filepath.Join(state, "loaded.nft"), err
}

// measureScript loads a script instead of all other rules, and measures packets of both families.
func (p *packetBench) measureScript(script string, to destinations, oneWay bool, found func(string, cost4)) error {
	if err := p.load(script); err != nil {
		return err
	}
	for _, f := range families {
		c, err := p.measureFamily(f, to[f.name], oneWay)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		found(f.name, c)
	}
	return nil
}

// selected reports whether a name contains one of the parts, with commas between them. "" selects all.
func selected(name, parts string) bool {
	for part := range strings.SplitSeq(parts, ",") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// A packetKind is a farm through which packets are sent, among farms of another kind, or of the same.
type packetKind struct {
	name   string
	keys   string // lines of the farm
	tables string // last lines of the farm
	port   string // lines of each backend; "" for port 8080
	among  string // another kind, of all other farms
	oneWay bool   // backends answer clients directly
	table  bool   // farms of this kind have the same backends, as the slots of one each would be too many

	onMachine bool // replies are compared with the addresses of the machine, which farmc apply reads
}

// farm is the text of the nth farm of the kind. Number 0 is measured.
func (k packetKind) farm(n int) string {
	listen := `"192.0.2.1:80/tcp", "[2001:db8::1]:80/tcp"`
	if n > 0 {
		listen = fmt.Sprintf(`"100.64.%d.%d:80/tcp", "[2001:db8:1::%x]:80/tcp"`, n>>8, n&255, n)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\nlisten = [%s]\n%s\n", k.keys, listen, k.tables)
	for i := range 2 {
		fmt.Fprintf(&text, "[backends.b%d]\naddress = [%s]\n%s\n", i+1, k.backend(n, i), cmp.Or(k.port, "port = 8080"))
	}
	return text.String()
}

// backend is the addresses of the ith backend of the nth farm.
func (k packetKind) backend(n, i int) string {
	if n == 0 || k.table {
		return fmt.Sprintf(`"10.2.0.%[1]d", "fd00:2::%[1]d"`, 11+i)
	}
	return fmt.Sprintf(`"10.%d.%d.%d", "fd00:%[1]d::%[4]x"`, 3+i, n>>8, n&255, n)
}

const (
	atIngress     = "\ninterfaces = \"eth0\""
	behindEth1    = "interface = \"eth1\""
	perClient     = "[limits]\nnew-per-client = { rate = \"1000000/second\", burst = 1000000 }"
	deniedNetwork = "[access]\ndeny = [\"203.0.113.64/26\", \"2001:db8:dead::/48\"]"
	halfClosed    = "[timeouts]\nhalf-closed = \"1m\""
	gateway       = "\ngateway = [\"203.0.113.2\", \"2001:db8:f::2\"]"
	hashed        = "\nscheduler = \"hash\""
)

// packetKinds are the farms whose packets are measured, and gated by ratios.txt.
var packetKinds = []packetKind{
	{name: "dnat, random", keys: dnatPass + "\nscheduler = \"random\"", among: "plain"},
	{name: "dnat, round-robin", keys: dnatPass + "\nscheduler = \"round-robin\"", among: "plain"},
	{name: "dnat, invalid = \"drop\"", keys: `mode = "dnat"`, among: "plain"},
	{name: "dnat, persistence", keys: dnatPass, tables: "[persistence]", among: "plain"},
	{name: "dnat, new-per-client", keys: dnatPass, tables: perClient, among: "plain"},
	{name: "dnat, network denied", keys: dnatPass, tables: deniedNetwork, among: "plain"},
	{name: "dnat, half-closed", keys: dnatPass, tables: halfClosed, among: "plain"},
	{name: "dnat, flow-offload", keys: dnatPass + "\nflow-offload = [\"eth0\", \"eth1\"]", among: "plain"},
	{name: "dnat, flow-offload-all", keys: dnatPass + "\nflow-offload = [\"eth0\", \"eth1\"]\nflow-offload-all = true",
		among: "plain"},
	{name: "snat", keys: `mode = "snat"`, among: "snat"},
	{name: "snat, source-address", keys: "mode = \"snat\"\nsource-address = [\"10.2.0.1\", \"fd00:2::1\"]",
		among: "snat"},
	{name: "snat, source-address, ports kept", keys: "mode = \"snat\"\nscheduler = \"hash\"\n" +
		"source-address = [\"10.2.0.1\", \"fd00:2::1\"]", among: "snat"},
	{name: "dsr, hash", keys: `mode = "dsr"` + hashed + atIngress, port: behindEth1, among: "dsr hash", oneWay: true},
	{name: "dsr, maglev", keys: `mode = "dsr"` + atIngress, port: behindEth1, among: "dsr hash", oneWay: true,
		table: true},
	{name: "dsr, persistence", keys: `mode = "dsr"` + hashed + atIngress, tables: "[persistence]", port: behindEth1,
		among: "dsr hash", oneWay: true},
	{name: "stateless, gateway", keys: `mode = "stateless"` + hashed + atIngress + gateway,
		port: "port = 8080\n" + behindEth1, among: "stateless at ingress", onMachine: true},
	{name: "stateless, interfaces", keys: `mode = "stateless"` + hashed + atIngress,
		port: "port = 8080\n" + behindEth1, among: "stateless at ingress", onMachine: true},
	{name: "stateless, interfaces, persistence", keys: `mode = "stateless"` + hashed + atIngress,
		tables: "[persistence]", port: "port = 8080\n" + behindEth1, among: "stateless at ingress", onMachine: true},
	{name: "stateless", keys: `mode = "stateless"` + hashed, among: "stateless hash", onMachine: true},
	{name: "stateless, persistence", keys: `mode = "stateless"` + hashed, tables: "[persistence]",
		among: "stateless hash", onMachine: true},
}

// dnatPass is a farm in mode dnat without the rule against invalid segments.
const dnatPass = "mode = \"dnat\"\ninvalid = \"pass\""

func kindNamed(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic(name)
}

// Names of rules by hand.
const (
	natByHand     = "by hand: dnat"
	forwardByHand = "by hand: forward at ingress"
	routed        = "no rules: routing"
)

// handRules are rules by hand, for one service with one backend.
type handRules struct{ name, script string }

// destination is the service, or the backend itself for packets without rules.
func (r handRules) destination() destinations {
	if r.name == routed {
		return viaRoute
	}
	return viaFarm
}

var references = []handRules{
	{routed, ""},
	{natByHand, `table inet reference {
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip protocol tcp ip daddr 192.0.2.1 tcp dport 80 dnat ip to 10.2.0.11:8080
		ip6 nexthdr tcp ip6 daddr 2001:db8::1 tcp dport 80 dnat ip6 to [fd00:2::11]:8080
	}
}
`},
	{forwardByHand, `table netdev reference {
	chain requests {
		type filter hook ingress device "eth0" priority filter
		ip protocol tcp fwd ip to 10.2.0.11 device "eth1"
		ip6 nexthdr tcp fwd ip6 to fd00:2::11 device "eth1"
	}
	chain replies {
		type filter hook ingress device "eth1" priority filter
		ip protocol tcp fwd ip to 203.0.113.2 device "eth0"
		ip6 nexthdr tcp fwd ip6 to 2001:db8:f::2 device "eth0"
	}
}
`},
}

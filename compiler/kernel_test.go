package compiler

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

// TestKernelTakesGoldens loads every golden script twice in a row, each in the state that the one before has left,
// and then all of them the other way round.
func TestKernelTakesGoldens(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	scripts := goldenScripts(t)
	for _, s := range scripts {
		if k.mustLoad(s.name, s.text) {
			k.mustLoad(s.name+" over itself", s.text)
			k.must(s.name+" is there", "nft -nn list table inet farmc")
		}
	}
	for i := len(scripts) - 2; i >= 0; i-- {
		k.mustLoad(scripts[i].name+" over "+scripts[i+1].name, scripts[i].text)
	}
}

// foreign is what others may have loaded: tables of our name in other families, a chain and a map of our names in
// another table, and what the usual firewall has.
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

// TestKernelKeepsForeignTables loads all golden scripts beside what others have loaded, of which nothing may change.
func TestKernelKeepsForeignTables(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	k.mustLoad("foreign ruleset", []byte(foreign))
	before := k.must("list", "nft -nn -a list ruleset")
	for _, s := range goldenScripts(t) {
		if !k.mustLoad(s.name, s.text) {
			continue
		}
		k.must("delete", "nft delete table inet farmc; nft delete table netdev farmc 2>/dev/null; true")
		if after := k.must("list", "nft -nn -a list ruleset"); after != before {
			t.Fatalf("%s changed more than inet farmc:\n%s\nwas:\n%s", s.name, after, before)
		}
	}
}

// TestKernelTakesHashes loads all combinations of what can be hashed, in both families, for all kinds of listens.
func TestKernelTakesHashes(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	all := fstest.MapFS{}
	for set := 1; set < 1<<len(HashKeys); set++ {
		for name, text := range hashFarms(set) {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	script, told := Compile([]Dir{{FS: all}})
	if told.Faulty() {
		t.Fatal(printed(told))
	}
	if k.mustLoad(fmt.Sprint(len(all), " farms"), script.Text) {
		k.must("list", "nft -nn list table inet farmc") // which is where 1.0.6 crashes on some maps
	}
}

// hashFarms are farms that hash on a combination of keys, each with its own addresses: single ports, ranges and "*",
// and the whole address where the keys aren't ports.
func hashFarms(set int) map[string]string {
	var on []string
	ports := false
	for i, key := range HashKeys {
		if set>>i&1 == 1 {
			on = append(on, strconv.Quote(string(key)))
			ports = ports || key == SourcePort || key == DestinationPort
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
	listens := fmt.Sprintf(`"192.0.2.%[1]d:80,8000-8100/tcp,udp", "[2001:db8::%[1]d]:80,8000-8100/tcp,udp", "*:%[1]d,%[2]d-%[3]d"`, set, 1000*set, 1000*set+9)
	farms := map[string]string{fmt.Sprintf("ports%d.toml", set): fmt.Sprintf(form, listens, "port = 8080")}
	if !ports {
		farms[fmt.Sprintf("whole%d.toml", set)] = fmt.Sprintf(form, fmt.Sprintf(`"192.0.2.%[1]d", "2001:db8::%[1]d"`, set), "")
	}
	return farms
}

// TestKernelTakesPersistence loads persistence on all combinations of keys, in both families, with fixed sessions of single
// clients and of networks.
func TestKernelTakesPersistence(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	all := fstest.MapFS{}
	for set := 1; set < 1<<len(HashKeys); set++ {
		text := persistentFarm(set)
		all[fmt.Sprintf("web%d.toml", set)] = &fstest.MapFile{Data: []byte(text)}
		frames := strings.NewReplacer("192.0.2.", "192.0.3.", "2001:db8::", "2001:db8:1::", "port = 8080", "").Replace(text)
		for net, keys := range map[int]string{4: "", 5: "interfaces = 'eth0'\n"} {
			rewritten := strings.NewReplacer("192.0.2.", fmt.Sprintf("192.0.%d.", net), "2001:db8::", fmt.Sprintf("2001:db8:%d::", net),
				"10.0.0.", fmt.Sprintf("10.%d.%d.", net, set), "fd00::", fmt.Sprintf("fd00:%d:%d::", net, set)).Replace(text)
			all[fmt.Sprintf("rewritten%d-%d.toml", net, set)] = &fstest.MapFile{Data: []byte("mode = \"stateless\"\n" + keys + "table-size = 7\n" + rewritten)}
		}
		all[fmt.Sprintf("frames%d.toml", set)] = &fstest.MapFile{Data: []byte("mode = \"dsr\"\ninterfaces = \"eth0\"\ntable-size = 7\n" + frames)}
	}
	script, told := Compile([]Dir{{FS: all}})
	if told.Faulty() {
		t.Fatal(printed(told))
	}
	if k.mustLoad(fmt.Sprint(len(all), " farms"), script.Text) {
		k.must("list", "nft -nn list table inet farmc")
		k.must("list of ingress", "nft -nn list table netdev farmc")
	}
}

func persistentFarm(set int) string {
	var on []string
	parts := map[int][]string{}
	prefix := ""
	for i, key := range HashKeys {
		if set>>i&1 == 0 {
			continue
		}
		on = append(on, strconv.Quote(string(key)))
		if key == SourceAddress {
			prefix = "prefix = [24, 64]"
		}
		for version, words := range map[int]map[HashKey]string{
			4:  {SourceAddress: "198.51.100.7", DestinationAddress: fmt.Sprint("192.0.2.", set)},
			40: {SourceAddress: "198.51.100.0/24", DestinationAddress: fmt.Sprint("192.0.2.", set)},
			6:  {SourceAddress: "2001:db8:c::7", DestinationAddress: fmt.Sprint("2001:db8::", set)},
			60: {SourceAddress: "2001:db8:c::/48", DestinationAddress: fmt.Sprint("2001:db8::", set)},
		} {
			word := words[key]
			if word == "" {
				word = map[HashKey]string{SourcePort: "5060", DestinationPort: "80"}[key]
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

type goldenScript struct {
	name string
	text []byte
}

// goldenScripts are the scripts of all cases that have one, in the order of their names.
func goldenScripts(t *testing.T) []goldenScript {
	t.Helper()
	var all []goldenScript
	for _, name := range cases(t) {
		text, err := os.ReadFile(goldenFile(t, name, "script.nft"))
		if err == nil {
			all = append(all, goldenScript{name, text})
		}
	}
	if len(all) == 0 {
		t.Fatal("no scripts")
	}
	return all
}

// A kernel is a shell in a network namespace of its own, where nft can load what it likes.
type kernel struct {
	t      testing.TB
	file   string // for scripts
	input  io.Writer
	output *bufio.Reader
	lacks  []string // words of scripts that this kernel was built without

	devices map[string]bool // the network interfaces that were made
}

// newKernel makes a namespace that lasts as long as the test. Where none can be had the test is skipped, or fails if
// the environment says CI. With -short the test is skipped.
func newKernel(t testing.TB) *kernel {
	t.Helper()
	if testing.Short() {
		t.Skip("loads into the kernel take too long for -short; make test-slow runs them")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		unavailable(t, err)
	}
	shell := exec.Command("sh")
	shell.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Getuid(); uid != 0 {
		shell.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		shell.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		shell.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	input, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		unavailable(t, fmt.Errorf("no network namespace: %w", err))
	}
	t.Cleanup(func() {
		input.Close()
		shell.Wait()
	})
	k := &kernel{t: t, devices: map[string]bool{}, file: filepath.Join(t.TempDir(), "script.nft"), input: input, output: bufio.NewReader(output)}
	if said, ok := k.run("nft list tables"); !ok || said != "" {
		unavailable(t, fmt.Errorf("nft in a new network namespace says: %s", said))
	}
	for word, probe := range map[string]string{
		"flowtable": "flowtable probe {\n\t\thook ingress priority filter\n\t}",
		"queue":     "chain probe {\n\t\tqueue to 0\n\t}",
	} {
		if _, ok := k.load([]byte("table inet probe {\n\t" + probe + "\n}\ndelete table inet probe\n")); !ok {
			k.lacks = append(k.lacks, word)
		}
	}
	return k
}

func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// end stands after what a command says, with its exit status.
const end = "-- end "

// run gives what a command says, and whether it succeeded.
func (k *kernel) run(command string) (string, bool) {
	k.t.Helper()
	fmt.Fprintf(k.input, "{ %s; } 2>&1 </dev/null; printf '\\n%s%%s\\n' $?\n", command, end)
	var said strings.Builder
	for {
		line, err := k.output.ReadString('\n')
		if err != nil {
			k.t.Fatal(err, said.String())
		}
		if status, ended := strings.CutPrefix(line, end); ended {
			return strings.TrimSuffix(said.String(), "\n"), status == "0\n"
		}
		said.WriteString(line)
	}
}

// must runs a command that has to succeed.
func (k *kernel) must(what, command string) string {
	k.t.Helper()
	said, ok := k.run(command)
	if !ok {
		k.t.Fatalf("%s: %s", what, said)
	}
	return said
}

// load gives nft a script, and what nft has to say against it.
func (k *kernel) load(script []byte) (string, bool) {
	k.t.Helper()
	if err := os.WriteFile(k.file, script, 0o600); err != nil {
		k.t.Fatal(err)
	}
	return k.run("nft -f " + k.file)
}

// mustLoad gives nft a script that it has to take without a word. To a plain user the kernel lends no buffer that is
// large enough for a long one: it says so, and the script stays untried.
func (k *kernel) mustLoad(what string, script []byte) bool {
	k.t.Helper()
	for _, word := range k.lacks {
		if strings.Contains(string(script), "\t"+word+" ") {
			k.t.Logf("%s: this kernel has no %s", what, word)
			return false
		}
	}
	k.makeDevices(script)
	said, ok := k.load(script)
	if !ok && os.Getuid() != 0 && strings.Contains(said, "Message too long") {
		k.t.Logf("%s: %d bytes are too long for a plain user", what, len(script))
		return false
	}
	if !ok || said != "" {
		k.t.Fatalf("%s: nft says:\n%s\nof:\n%s", what, firstLines(said, 20), firstLines(string(script), 200))
	}
	return true
}

// namesDevices are the lines that name network interfaces, which have to be there when nft loads them.
var namesDevices = regexp.MustCompile(`\bdevices? (?:= { )?("[^"]+"(?:, "[^"]+")*)|fwd to ("[^"]+")`)

func (k *kernel) makeDevices(script []byte) {
	k.t.Helper()
	for _, line := range namesDevices.FindAllSubmatch(script, -1) {
		for _, quoted := range strings.Split(string(line[1])+string(line[2]), ", ") {
			name := strings.Trim(quoted, `"`)
			if !k.devices[name] {
				k.must("interface "+name, "ip link add "+name+" type veth")
				k.devices[name] = true
			}
		}
	}
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	if len(lines) > n {
		lines[n] = "...\n"
	}
	return strings.Join(lines, "")
}

func printed(told diag.Diagnostics) string {
	var said strings.Builder
	told.Print(&said, diag.Palette{})
	return said.String()
}

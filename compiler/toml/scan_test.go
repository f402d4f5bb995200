package toml

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	burntsushi "github.com/BurntSushi/toml"
)

func TestScanKeys(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want []string // a line for each key: its path, and the text at the key, at the value, at its items
	}{
		{"bare", "a-1_B = 10", []string{"a-1_B|a-1_B = 10|10"}},
		{"no-space", "a=1", []string{"a|a=1|1"}},
		{"last-line-without-end", "a=1\nb=2", []string{"a|a=1|1", "b|b=2|2"}},
		{"comments", "# a=1\na = 1 # b=2\n#", []string{"a|a = 1 # b=2|1 # b=2"}},
		{"crlf", "a = 1\r\nb = 2\r\n", []string{"a|a = 1|1", "b|b = 2|2"}},
		{"quoted-key", `"a b" = 1`, []string{`"a b"|"a b" = 1|1`}},
		{"literal-key", `'a\b' = 1`, []string{`"a\\b"|'a\b' = 1|1`}},
		{"escaped-key", `"\"\u00e9\x41\e" = 1`, []string{`"\"éA\u001b"|"\"\u00e9\x41\e" = 1|1`}},
		{"empty-key", `"" = 1`, []string{`""|"" = 1|1`}},
		{"dotted", `a . "b.c" .d = 1`, []string{`a."b.c".d|d = 1|1`}},
		{"key-with-a-number", "1.2 = 3", []string{"1.2|2 = 3|3"}},
		{"heading", "[a . b] # c\nd = 1", []string{"a.b|b] # c", "a.b.d|d = 1|1"}},
		{"element", "[[a]]\nb = 1\n[[a]]\nb = 2", []string{"a|a]]", "a.b|b = 1|1", "a|a]]", "a.b|b = 2|2"}},
		{"below-an-element", "[[a]]\n[a.b]\nc = 1", []string{"a|a]]", "a.b|b]", "a.b.c|c = 1|1"}},
		{"string", `a = "b = 1" # "`, []string{`a|a = "b = 1" # "|"b = 1" # "`}},
		{"escaped-quote", `a = "\"b\\" # "`, []string{`a|a = "\"b\\" # "|"\"b\\" # "`}},
		{"literal", `a = '\' # '`, []string{`a|a = '\' # '|'\' # '`}},
		{"empty-string", "a = \"\"\nb = ''", []string{`a|a = ""|""`, "b|b = ''|''"}},
		{"long-string", "a = \"\"\"\nb = 1\"\" \\\"\"\"\"\"\"\nc = 2", []string{`a|a = """|"""`, "c|c = 2|2"}},
		{"escape-after-a-quote", `a = """ "\\""" # """`, []string{`a|a = """ "\\""" # """|""" "\\""" # """`}},
		{"long-literal", "a = '''\nb = 1'' \\'''''\nc = 2", []string{"a|a = '''|'''", "c|c = 2|2"}},
		{"backslash-in-literal", "a = 'b\\'\nc = '''d\\'''\ne = 2",
			[]string{`a|a = 'b\'|'b\'`, `c|c = '''d\'''|'''d\'''`, "e|e = 2|2"}},
		{"date-with-a-blank", "a = 2026-01-02 03:04:05\nb=1",
			[]string{"a|a = 2026-01-02 03:04:05|2026-01-02 03:04:05", "b|b=1|1"}},
		{"array", "a = [1, 'b',\n # c\n true,]\nd=1",
			[]string{"a|a = [1, 'b',|[1, 'b',|1, 'b',|'b',|true,]", "d|d=1|1"}},
		{"array-of-lines", "a = [\n1,\n2\n]\nb=1", []string{"a|a = [|[|1,|2", "b|b=1|1"}},
		{"array-in-array", "a = [[1], [2, 3]]", []string{"a|a = [[1], [2, 3]]|[[1], [2, 3]]|[1], [2, 3]]|1], [2, " +
			"3]]|[2, 3]]|2, 3]]|3]]"}},
		{"brackets-in-a-string", `a = ["[::1]:80", "}"]`,
			[]string{`a|a = ["[::1]:80", "}"]|["[::1]:80", "}"]|"[::1]:80", "}"]|"}"]`}},
		{"inline-table", `a = { b = 1, "c" = 2 }`,
			[]string{`a|a = { b = 1, "c" = 2 }|{ b = 1, "c" = 2 }`, `a.b|b = 1, "c" = 2 }|1, "c" = 2 }`,
				`a.c|"c" = 2 }|2 }`}},
		{"inline-table-of-many-lines", "a = {\n b = 1, # c\n}\nd=1",
			[]string{"a|a = {|{", "a.b|b = 1, # c|1, # c", "d|d=1|1"}},
		{"inline-table-in-inline-table", "a = {b={c=1}}",
			[]string{"a|a = {b={c=1}}|{b={c=1}}", "a.b|b={c=1}}|{c=1}}", "a.b.c|c=1}}|1}}"}},
		{"inline-table-with-dots", "a = {b.c=1}", []string{"a|a = {b.c=1}|{b.c=1}", "a.b.c|c=1}|1}"}},
		{"inline-tables-in-array", "a = [{b=1},{b=2}]",
			[]string{"a|a = [{b=1},{b=2}]|[{b=1},{b=2}]|{b=1},{b=2}]|{b=2}]", "a.b|b=1},{b=2}]|1},{b=2}]",
				"a.b|b=2}]|2}]"}},
		{"multi-byte", "a = 'é'\nb = 1", []string{"a|a = 'é'|'é'", "b|b = 1|1"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			marks, _ := scanKeys(test.text)
			got := shown(test.text, marks)
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// A text that toml refuses is scanned all the same, because a fault needs the places of the keys before it.
func TestScanKeysOfBrokenText(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want string // the paths
	}{
		{"keys-before-count", "a = 1\n[b]\nc = 1\n", "a b b.c"},
		{"no-value", "a =", "a"},
		{"no-key", "é = 1\nb = 2", `""`},
		{"open-string", "a = \"b\nc = 1", "a"},
		{"open-escape", `a = "\`, "a"},
		{"open-array", "a = [1,", "a"},
		{"open-inline-table", "a = { b = 1, ", "a a.b"},
		{"open-heading", "[a", "a"},
		{"bad-escape-in-key", `"\q" = 1`, `"\\q"`},
	} {
		t.Run(test.rule, func(t *testing.T) {
			marks, deep := scanKeys(test.text)
			if got := paths(marks); got != test.want || deep != -1 {
				t.Errorf("got %s, deep %d, want %s", got, deep, test.want)
			}
		})
	}
}

func TestScanKeysStopsBeforeTheStackIsFull(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want int
	}{
		{"array-just-fits", "a=" + strings.Repeat("[", maxDepth-1) + "1" + strings.Repeat("]", maxDepth-1), -1},
		{"array", "a=" + strings.Repeat("[", 1e6), 2 + maxDepth},
		{"many-beside-each-other", strings.Repeat("a=[1]\n", 99), -1},
		{"inline-table", strings.Repeat("a={", 1e6), 2 + 3*maxDepth},
		{"dots-just-fit", strings.Repeat("a.", maxDepth-1) + "a=1", -1},
		{"dots", strings.Repeat("a.", 1e6), 2 * maxDepth},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if _, deep := scanKeys(test.text); deep != test.want {
				t.Errorf("deep is %d, want %d", deep, test.want)
			}
		})
	}
}

// FuzzKeys holds the scanner against toml: of every text that toml accepts it finds the same keys in the same
// order, and at their offsets there are the keys and their values.
func FuzzKeys(f *testing.F) {
	for _, text := range seeds {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimLeft(text, "\ufeff") // as Parse does; toml takes off one, and UTF-16's
		marks, deep := scanKeys(text)
		if deep >= 0 || !utf8.ValidString(text) {
			return
		}
		md, err := burntsushi.Decode(text, new(map[string]any))
		if err != nil {
			return
		}
		if !agree(marks, md.Keys()) {
			t.Fatalf("got  %v\nwant %v", paths(marks), md.Keys())
		}
		visit(marks, func(m Statement) {
			value := "k=" + text[m.Value.Start:m.Value.End]
			if _, err := burntsushi.Decode(value, new(map[string]any)); m.Kind == Assignment && err != nil {
				t.Errorf("no value from %d to %d: %q", m.Value.Start, m.Value.End, value)
			}
			for _, p := range m.Parts {
				if !standsAt(text, p) {
					t.Errorf("no %q at %d: %q", p.Name, p.Start, text[p.Start:])
				}
			}
		})
	})
}

// standsAt says whether a part of a key begins where it is said to.
func standsAt(text string, p KeyPart) bool {
	rest := text[p.Start:]
	if rest[0] != '"' && rest[0] != '\'' {
		after, ok := strings.CutPrefix(rest, p.Name)
		return ok && p.Name != "" && strings.ContainsAny(after[:1], " \t.=]")
	}
	for i := 1; i < len(rest); i++ {
		read := make(map[string]any)
		if _, err := burntsushi.Decode(rest[:i+1]+"=1", &read); rest[i] == rest[0] && err == nil {
			return read[p.Name] != nil
		}
	}
	return false
}

func BenchmarkScanKeys(b *testing.B) {
	b.SetBytes(int64(len(referenceFarm)))
	for b.Loop() {
		scanKeys(referenceFarm)
	}
}

// shown gives for each key its path, and the text at the key, at its value and at the items of its value.
func shown(text string, marks []Statement) []string {
	line := func(at int) string { return strings.TrimRight(strings.SplitAfter(text[at:], "\n")[0], "\r\n") }
	all := flatten(marks)
	var lines []string
	visit(marks, func(m Statement) {
		say := fmt.Sprintf("%s|%s", all[len(lines)].path, line(all[len(lines)].at))
		if m.Kind == Assignment {
			say += "|" + line(m.Value.Start)
		}
		for _, s := range everyItem(m.Value) {
			say += "|" + line(s.Start)
		}
		lines = append(lines, say)
	})
	return lines
}

// visit calls do for each key, in the order of the document.
func visit(marks []Statement, do func(Statement)) {
	for _, m := range marks {
		do(m)
		visit(m.Value.Keys, do)
		for _, item := range everyItem(m.Value) {
			visit(item.Keys, do)
		}
	}
}

// everyItem gives the items of an array, and theirs.
func everyItem(s Node) []Node {
	var all []Node
	for _, item := range s.Items {
		all = append(append(all, item), everyItem(item)...)
	}
	return all
}

func paths(marks []Statement) string {
	var all []string
	for _, f := range flatten(marks) {
		all = append(all, f.path.String())
	}
	return strings.Join(all, " ")
}

// seeds are the texts to begin fuzzing with, the mistakes that it found among them.
var seeds = []string{
	referenceFarm,
	"", "\ufeff", "\ufeff\ufeffa=1", "\xff\xfea=1", "\n\n", "#", "a=1", "a=1\r\nb=2\r\n", "a = 1 # é\n\tb = 'é'\n",
	"a . b.\"c d\".'e' = 1", "\"\" = 1\n'' .a = 2", `"\"\u00e9\U0001F600\x41\e\\" = 1`, "1.2 = 3", "true = true",
	"[a]\n[a.b]\nc=1\n[ d . \"e]\" ]\nf=2", "[[a]]\nb=1\n[[a]]\n[a.c]\nd=1\n[[a.e]]\n", "[a.b]\n[a]\nb2=1",
	"a.b=1\na.c=2\n[d]\ne.f=1\ne.g=2",
	"a = {}", "a = { b = 1, c.d = 2, e = { f = [ { g = 1 }, ], }, }", "a = {\n b = 1, # }\n\n c = 2\n,}\nd=1",
	"a = []", "a = [ 1, [2, [3]], {b=4}, \"]\", # ]\n '''x]''' ]\nb=1", "a = [{b=1},{b=2,c={d=3}}]",
	`a = "\"\\"` + "\nb='\\'\n", "a = \"\"\"\n\\\n  b \\\"\"\"\"\"\"\nc=1", "a = '''b'''''\nc = \"\"\"d\"\"\"\"\"\n",
	`a = """\\""""""` + "\nb=1", `a=""` + "\n" + `b=""""""`, `a = """ "\\"""` + "\nb=1",
	"a = 2026-01-02 03:04:05\nb = 2026-01-02 # c\nc=03:04\nd=2026-01-02T03:04:05.5+01:00",
	"a = [2026-01-02 , 2026-01-02 03:04]",
	"a = +1_000\nb = 0xff\nc=-inf\nd=nan\ne=1.5e-3\nf=true\ng=[inf,nan]",
	"a.b=1\na=2", "[x.a.b]\n[x]\na=5", "[[t]]\na.b=1\n[[t]]\na=1\n[t.a]", "[[t]]\na.b=1\n[[t]]\na=[{}]\n[t.a]",
	"[[t]]\na.b=1\n[[t]]\na=1\na=[2]", "a={b=1}\n[a.c]",
	"[[t]]\na.b=1\n[[t]]\n[[t.a]]\n[t.a]\nc=1", "[[a]]\nb=[]\n[[a]]\n[[a.b.c]]\n[a.b]",
	"[[a]]\nb=[]\n[[a]]\n[a.b.c]\nd=1\n[a.b]",
	"a = 1\na = 2", "[a]\n[a]", "[[a]]\n[a]", "a = [1,,2]", "a = \"b", "a = '''b", "[a", "a", "=", "a.=1", "\x00",
	"a=\"\xc3\"", "a = \r1",
}

// referenceFarm is the one of the format's description.
const referenceFarm = `description = "public web site"

mode   = "snat"                                   # snat (default) | dnat | dsr | stateless | local
listen = ["192.0.2.10:80,443,8000-8100/tcp", "[2001:db8::10]:443/tcp,udp"]
state  = "up"                                     # up (default) | down

scheduler  = "random"                             # random (default) | round-robin | hash | symmetric-hash | maglev
hash-on    = ["source-address"]                   # for hash and maglev; the default
table-size = 4093                                 # maglev: a prime; chosen from the number of backends by default

interfaces     = ["eth0"]                         # only packets that come in here are the farm's; dsr needs it
source-address = ["10.0.0.1", "fd00::1"]          # snat: instead of masquerading; at most one of each family
local-clients  = false                            # also serve connections that this machine itself opens
flow-offload   = ["eth0", "eth1"]                 # hand established flows to a flowtable over these devices
helper         = "ftp"                            # ftp | sip | tftp | pptp | snmp: conntrack helper
mark           = "0x10/0xff"                      # set on the connection (ct mark), only these bits
queue          = "0-3"                            # hand new connections to a user-space filter (NFQUEUE)

[persistence]                                     # the same client stays with the same backend
on      = ["source-address"]                      # source-address, source-port, destination-address
timeout = "1m"                                    # since the client's last new connection
prefix  = [24, 64]                                # clients of one network count as one: IPv4 and IPv6 prefix length
static  = { "198.51.100.7" = "b1" }               # fixed sessions; several keys in on are written "198.51.100.7 . 5060"

[access]                                          # before connection tracking
allow = ["@office", "203.0.113.7"]                # passes at once: no deny, no limit applies
deny  = ["@spamhaus", "198.51.100.0/24"]          # dropped; "any" denies everybody not allowed

[limits]
new-per-client         = { rate = "10/second", burst = 20 }
resets-per-client      = { rate = "2/second", burst = 10 }
connections-per-client = 100
new                    = { rate = "2000/second", burst = 500 }   # the farm as a whole
connections            = 50000
clients                = 65535                    # how many clients the limits remember
ban                    = "2m"                     # an offender is shut out this long; without it only the excess is
strict-tcp             = true                     # bogus flag combinations, tiny MSS, packets of no known connection
verdict                = "drop"                   # drop (default) | reject | log: only log

[log]
on     = ["input", "forward", "output", "denied", "limited"]
prefix = "{farm}"                                 # {farm} {backend} {list} {reason} are replaced
rate   = "10/second"

[backends.b1]
address  = ["10.0.0.11", "fd00::11"]              # one, or one of each family
port     = 8080                                   # the port that was asked for, if absent
weight   = 5                                      # 1 (default) to 1000
priority = 1                                      # 1 (default) is the best; see below
state    = "up"                                   # up (default) | drain | down
source-address = "10.0.0.1"                       # snat for this backend alone
connections    = 100                              # at most so many at once; a full backend is passed over
mark           = "0x11/0xff"

[backends.b2]                                     # in a dsr farm
address   = "10.0.0.12"
interface = "eth1"                                # where the backend is; the farm's interfaces by default
mac       = "02:00:00:00:00:01"                   # only where the kernel can't find it itself
`

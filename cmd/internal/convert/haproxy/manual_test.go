package haproxy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
)

// checkedBy is a section with a check, and the line of a server.
func checkedBy(server, check string) string {
	return "listen x\nmode tcp\nbind :80\noption tcp-check\n" + check + "\nserver " + server + " check"
}

// whitelist is a file that examples of the manual read.
type whitelist struct{}

func (whitelist) Glob(string) ([]string, error) { return nil, nil }
func (whitelist) Read(string) ([]byte, error) {
	return []byte("# friends\n198.51.100.0/24\n\n2001:db8::7\n"), nil
}

// TestExamplesOfTheManual has the directives of the examples with mode tcp in HAProxy's configuration manual: the keys
// that each example becomes, and its losses. A loss that is not named here fails.
func TestExamplesOfTheManual(t *testing.T) {
	for _, test := range []struct {
		section, conf string
		keys, losses  []string
	}{
		{"peers", "peers a\npeer h1 192.168.0.1:1024\nlisten b\nbind :80\nmode tcp\nbalance roundrobin\n" +
			"stick-table type ip size 20k peers a\nstick on src\nserver s1 192.168.0.30:80\nserver s2 192.168.0.31:80",
			[]string{`scheduler = "round-robin"`, `on = ["source-address"]`, `timeout = "24h"`},
			[]string{"1: section peers", "7: farmc has no peers", "8: a table without expire"}},
		{"mailers", "mailers a\nmailer m 192.168.0.1:587\nlisten b\nbind :80\nmode tcp\nbalance roundrobin\n" +
			"email-alert mailers a\nemail-alert from a@b.example\nserver s1 192.168.0.30:80",
			[]string{`[backends.s1]`}, []string{"1: section mailers",
				"7: farmc sends no mail", "8: farmc sends no mail"}},
		{"option httpchk", "listen a\nmode tcp\nbind :443\noption httpchk OPTIONS * HTTP/1.1\n" +
			"http-check send hdr Host www\nserver a1 192.168.1.1:443 check port 80",
			[]string{"type = \"http\"\nport = 80\npath = \"/\"\nhost = \"www\"\nmethod = \"OPTIONS\"\n"},
			[]string{"4: checks of farmc ask for a path"}},
		{"option tcp-check, POP", checkedBy("a 10.0.0.1:110",
			`tcp-check expect string +OK\ POP3\ ready comment POP\ protocol`),
			[]string{`expect = "+OK POP3 ready"`}, nil},
		{"option tcp-check, IMAP", checkedBy("a 10.0.0.1:143", `tcp-check expect string *\ OK\ IMAP4\ ready`),
			[]string{`expect = "* OK IMAP4 ready"`}, nil},
		{"option tcp-check, redis", checkedBy("a 10.0.0.1:6379", "tcp-check comment PING\\ phase\n"+
			"tcp-check send PING\\r\\n\ntcp-check expect string +PONG\ntcp-check comment role\\ check\n"+
			"tcp-check send info\\ replication\\r\\n\ntcp-check expect string role:master\ntcp-check send QUIT\\r\\n\n"+
			"tcp-check expect string +OK"),
			[]string{`send = "PING\u000d\n"`, `expect = "+PONG"`}, []string{"9: a check of farmc sends one text"}},
		{"option tcp-check, HTTP", checkedBy("a 10.0.0.1:80", "tcp-check send HEAD\\ /\\ HTTP/1.1\\r\\n\n"+
			"tcp-check send Host:\\ www.example.org\\r\\n\ntcp-check send \\r\\n\n"+
			`tcp-check expect rstring HTTP/1\..\ (2..|3..) comment check\ HTTP\ response`),
			[]string{`send = "HEAD / HTTP/1.1\u000d\nHost: www.example.org\u000d\n\u000d\n"`},
			[]string{"8: a check of farmc sends one text"}},
		{"tcp-check connect, two ports", checkedBy("www 10.0.0.1:80", "tcp-check connect\n"+
			"tcp-check send GET\\ /\\ HTTP/1.0\\r\\n\ntcp-check send \\r\\n\ntcp-check expect rstring (2..|3..)\n"+
			"tcp-check connect port 443 ssl\ntcp-check expect rstring (2..|3..)"),
			[]string{`send = "GET / HTTP/1.0\u000d\n\u000d\n"`}, []string{"8: a check of farmc sends one text"}},
		{"tcp-check connect, mail", checkedBy("mail 10.0.0.1", "tcp-check connect port 110 linger\n"+
			"tcp-check expect string +OK\\ POP3\\ ready\ntcp-check connect port 143\n"+
			"tcp-check expect string *\\ OK\\ IMAP4\\ ready"),
			[]string{"port = 110", `expect = "+OK POP3 ready"`}, []string{"7: a check of farmc sends one text"}},
		{"tcp-check send-binary", checkedBy("a 10.0.0.1:6379", "tcp-check send-binary 50494e470d0a\n"+
			"tcp-check expect binary 2b504F4e47"),
			[]string{`send = "hex:50494e470d0a"`, `expect = "hex:2b504f4e47"`}, nil},
		{"persist rdp-cookie", "listen t\nbind :3389\ntcp-request inspect-delay 5s\n" +
			"tcp-request content accept if RDP_COOKIE\npersist rdp-cookie\nbalance rdp-cookie\n" +
			"server srv1 1.1.1.1:3389\nserver srv2 1.1.1.2:3389",
			[]string{`scheduler = "round-robin"`}, []string{"3: tcp-request inspect-delay", "4: the rule is not about",
				"5: persist is layer 7", "6: balance rdp-cookie is layer 7"}},
		{"rate-limit", "listen smtp\nmode tcp\nbind :25\nrate-limit sessions 10\nserver smtp1 127.0.0.1:1025",
			[]string{`new = "10/second"`, "[backends]"}, []string{"4: connections above rate-limit wait",
				"5: a loopback address"}},
		{"server", "listen a\nbind :1080\nserver first 10.1.1.1:1080 cookie first check inter 1000\n" +
			"server transp ipv4@\nserver backup \"${SRV_BACKUP}:1080\" backup",
			[]string{"[backends.first]", `interval = "1s"`}, []string{"3: farmc changes no bytes",
				"4: the server has no address", "5: the server has no address"}},
		{"source", "listen a\nmode tcp\nbind :443\nsource 0.0.0.0 usesrc clientip\nserver s 10.0.0.1:443",
			[]string{`mode = "dnat"`}, []string{"4: usesrc shows"}},
		{"source of the machine", "listen a\nmode tcp\nbind :443\n" +
			"source 192.168.1.200 usesrc client\nserver s 10.0.0.1:443",
			[]string{`mode = "dnat"`}, []string{"4: usesrc shows"}},
		{"stick match and store-request", "frontend p\nbind :110\ndefault_backend pop\nfrontend s\nbind :25\n" +
			"default_backend smtp\nbackend pop\nmode tcp\nbalance roundrobin\nstick store-request src\n" +
			"stick-table type ip size 200k expire 30m\nserver s1 192.168.1.1:110\nserver s2 192.168.1.2:110\n" +
			"backend smtp\nmode tcp\nbalance roundrobin\nstick match src table pop\nserver s1 192.168.1.1:25\n" +
			"server s2 192.168.1.2:25",
			[]string{"== p.toml", "== s.toml", "timeout = \"1800s\"\n" +
				"# haproxy.cfg:10: stick store-request src\ngroup = \"pop\"",
				"timeout = \"1800s\"\n# haproxy.cfg:17: stick match src table pop\ngroup = \"pop\""},
			[]string{"10: the rules do not both", "17: the rules do not both"}},
		{"stick on with a condition", "listen a\nbind :25\nstick on src table pop if !localhost\n" +
			"server s1 192.168.1.1:25\nbackend pop\nstick-table type ip size 200k expire 30m",
			[]string{`timeout = "1800s"`}, []string{"3: farmc remembers all clients", "5: no frontend in mode tcp"}},
		{"stick on with a backend of layer 7", "backend http\nmode http\nstick on src table https\n" +
			"cookie SRV insert\nserver s1 192.168.1.1:80 cookie s1\nfrontend f\n" +
			"mode tcp\nbind :443\ndefault_backend https\nbackend https\n" +
			"mode tcp\nbalance roundrobin\nstick-table type ip size 200k expire 30m\nstick on src\n" +
			"server s1 192.168.1.1:443\nserver s2 192.168.1.2:443",
			[]string{`on = ["source-address"]`, `timeout = "1800s"`, "[backends.s2]"},
			[]string{"1: no frontend in mode tcp"}},
		{"stick store-response", "listen https\nmode tcp\nbind :443\nbalance roundrobin\n" +
			"stick-table type binary len 32 size 30k expire 30m\nacl clienthello req.ssl_hello_type 1\n" +
			"tcp-request inspect-delay 5s\ntcp-request content accept if clienthello\n" +
			"tcp-response content accept if serverhello\nstick on req.payload_lv(43,1) if clienthello\n" +
			"stick store-response resp.payload_lv(43,1) if serverhello\nserver s1 192.168.1.1:443",
			[]string{"[backends.s1]"}, []string{"7: tcp-request inspect-delay", "8: the rule is not about",
				"9: tcp-response inspects", "10: farmc remembers clients", "11: farmc remembers clients"}},
		{"fe_sess_rate", "listen mail\nbind :25\nmode tcp\nmaxconn 100\nacl too_fast fe_sess_rate ge 10\n" +
			"tcp-request inspect-delay 100ms\ntcp-request content accept if ! too_fast\n" +
			"tcp-request content accept if WAIT_END\nserver s 10.0.0.1",
			[]string{"connections = 100"}, []string{"4: connections above maxconn wait", "6: tcp-request inspect-delay",
				"7: the rule is not about", "8: the rule is not about"}},
		{"src_updt_conn_cnt", "listen ssh\nbind :22\nmode tcp\nmaxconn 100\n" +
			"stick-table type ip size 20 expire 10s store conn_cnt\n" +
			"tcp-request content reject if { src_updt_conn_cnt gt 3 }\nserver s 10.0.0.1:22",
			[]string{"connections = 100"}, []string{"4: connections above maxconn wait", "6: the rule is not about"}},
		{"tcp-request connection, rate", "listen a\nbind :80\n" +
			"stick-table type ip size 1m expire 1m store conn_rate(10s)\n" +
			"tcp-request connection accept if { src -f /etc/haproxy/whitelist.lst }\n" +
			"tcp-request connection reject if { src_conn_rate gt 10 }\ntcp-request connection track-sc0 src\n" +
			"server s 10.0.0.1",
			[]string{`exempt = ["@whitelist"]`, `new-per-client = { rate = "1/second", burst = 10 }`,
				"== whitelist.list\n# friends\n198.51.100.0/24\n"}, nil},
		{"optional files and files at run time", "listen a\nbind :80\n" +
			"tcp-request connection reject if { src -u 7 -f opt@/etc/haproxy/whitelist.lst }\n" +
			"tcp-request connection reject if { src -f virt@bad }\nserver s 10.0.0.1",
			[]string{`deny = ["@whitelist"]`}, []string{"4: the rule is not about"}},
		{"tcp-request connection, PROXY", "listen a\nbind :80\n" +
			"tcp-request connection expect-proxy layer4 if { src -f proxies.lst }\nserver s 10.0.0.1",
			[]string{"[backends.s]"}, []string{"3: the rule is not about"}},
		{"log-format", "frontend fnt\nbind :80\nmode tcp\noption tcplog\nlog global\ndefault_backend bck\n" +
			"backend bck\nserver srv1 127.0.0.1:8000", []string{"[backends]"}, []string{"8: a loopback address"}},
	} {
		t.Run(test.section, func(t *testing.T) {
			r := Import(convert.Input{Name: "haproxy.cfg", Text: []byte(test.conf), Files: whitelist{}})
			var written strings.Builder
			for _, f := range r.Finish() {
				written.WriteString("== " + f.Name + "\n" + string(f.Text))
			}
			for _, key := range test.keys {
				if !strings.Contains(written.String(), key) {
					t.Errorf("no %q in\n%s", key, written.String())
				}
			}
			sameLosses(t, r.Losses, test.losses)
		})
	}
}

// sameLosses compares losses with the beginnings of their lines.
func sameLosses(t *testing.T, got []convert.Loss, want []string) {
	t.Helper()
	same := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		same = same && strings.HasPrefix(got[i].String(), "haproxy.cfg:"+want[i])
	}
	if !same {
		t.Errorf("losses are\n%v\nwant\n%v", got, strings.Join(want, "\n"))
	}
}

// exampleLine is a line of an example, which is indented, in the manual.
var exampleLine = regexp.MustCompile(`^\s{4,}\S`)

// TestInstalledManual imports each block of the installed manual that has a line with mode tcp. No line has an unknown
// directive, and the compiler refuses no farm.
func TestInstalledManual(t *testing.T) {
	text := installedManual(t)
	var block []string
	read := 0
	for line := range strings.Lines(text + "\n\n") {
		if exampleLine.MatchString(line) || len(block) > 0 && strings.TrimSpace(line) == "" {
			block = append(block, line)
			continue
		}
		conf, _, _ := strings.Cut(strings.Join(block, ""), ">>>") // a line of the log follows
		if block = nil; !strings.Contains(conf, "mode tcp\n") {
			continue
		}
		read++
		r := Import(convert.Input{Name: "example", Text: []byte(conf), Files: whitelist{}})
		r.Finish()
		for _, l := range r.Losses {
			if strings.Contains(l.What, "unknown") || strings.Contains(l.What, "farmc refuses") {
				t.Errorf("%s\n%s", l, conf)
			}
		}
	}
	if t.Logf("%d examples", read); read < 8 {
		t.Errorf("the manual has %d examples", read)
	}
}

// installedManual is the text of the manual of the package haproxy.
func installedManual(t *testing.T) string {
	packed, err := os.ReadFile("/usr/share/doc/haproxy/configuration.txt.gz")
	if err != nil {
		t.Skip(fmt.Sprint("the package haproxy is not installed: ", err))
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

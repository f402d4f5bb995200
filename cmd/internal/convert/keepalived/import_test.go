package keepalived

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/cmd/internal/convert"
)

// files are the files that a test includes.
type files struct{ fstest.MapFS }

func (f files) Glob(pattern string) ([]string, error) { return fs.Glob(f.MapFS, pattern) }
func (f files) Read(path string) ([]byte, error)      { return fs.ReadFile(f.MapFS, path) }
func text(s string) *fstest.MapFile                   { return &fstest.MapFile{Data: []byte(s)} }
func imported(conf string) (written, losses string)   { return importedWith(conf, nil) }
func server(body string) string                       { return virtual("", "real_server 10.0.0.1 80 {\n"+body+"\n}") }
func checked(name, body string) string                { return server(name + " {\n" + body + "\n}") }
func virtual(body string, servers string) (conf string) {
	return virtualAt("192.0.2.10 80", body, servers)
}
func virtualAt(at, body, servers string) (conf string) {
	return "virtual_server " + at + " { protocol TCP\nlb_algo wrr\n" + body + "\n" + servers + "\n}\n"
}

func importedWith(conf string, included fstest.MapFS) (written, losses string) {
	r := Import(convert.Input{Name: "keepalived.conf", Text: []byte(conf), ConfigID: "main", Files: files{included}})
	var out, lost strings.Builder
	for _, f := range r.Finish() {
		out.WriteString("== " + f.Name + "\n" + string(f.Text))
	}
	for _, l := range r.Losses {
		lost.WriteString(l.String() + "\n")
	}
	return out.String(), lost.String()
}

const real1 = "real_server 10.0.0.1 80 {\n}"

// TestDirectives has the directives of keepalived.conf(5): the keys that each becomes, or its loss.
func TestDirectives(t *testing.T) {
	for _, test := range []struct{ rule, conf, key, loss string }{
		{"virtual-server", virtual("", real1), `listen = ["192.0.2.10:80"]`, ""},
		{"brace-below", "virtual_server 192.0.2.10 80\n{\nlb_algo rr\n}", `scheduler = "round-robin"`, ""},
		{"one-line", "virtual_server 192.0.2.10 80 { lb_algo rr }", `scheduler = "round-robin"`, ""},
		{"comments", "! a\n# b { \nvirtual_server 192.0.2.10 80 { # {\nlb_algo rr ! x\n}",
			`scheduler = "round-robin"`, ""},
		{"ipv6", virtualAt("2001:db8::1 80", "", ""), `listen = ["[2001:db8::1]:80"]`, ""},
		{"every-port", virtualAt("192.0.2.10", "persistence_timeout 50", ""), `listen = ["192.0.2.10:1-65535"]`, ""},
		{"mark", virtualAt("fwmark 5", "", ""), "fwmark-5.toml.incomplete",
			"keepalived.conf:1: farmc has no services by firewall"},
		{"group",
			"virtual_server_group G {\n192.0.2.1 80\n192.0.2.8-9 81\n192.0.3.254-192.0.4.0 82\n192.0.5.0/31 83\n}\n" +
				virtualAt("group G", "", ""), `listen = [
    "192.0.2.1:80",
    "192.0.2.8:81",
    "192.0.2.9:81",
    "192.0.3.254:82",
    "192.0.3.255:82",
    "192.0.4.0:82",
    "192.0.5.0/31:83",
]`, ""},
		{"group-6", "virtual_server_group G {\n2001:db8::1-3 80\n}\n" + virtualAt("group G", "", ""),
			`"[2001:db8::3]:80"`, ""},
		{"group-mark", "virtual_server_group G {\n192.0.2.1 80\nfwmark 3\n}\n" + virtualAt("group G", "", ""), "G.toml",
			"keepalived.conf:3: farmc has no services by firewall mark"},
		{"group-network", "virtual_server_group G {\n10.0.0.0/8 80\n2001:db8::/32 80\n192.0.2.77/32 80\n}\n" +
			virtualAt("group G", "", ""),
			`listen = ["10.0.0.0/8:80", "[2001:db8::/32]:80", "192.0.2.77:80"]`, ""},
		{"group-long-range", "virtual_server_group G {\n10.0.0.0-10.0.1.1 80\n}\n" + virtualAt("group G", "", ""),
			`listen = ["10.0.0.0/24:80", "10.0.1.0/31:80"]`, ""},
		{"group-range-backwards",
			"virtual_server_group G {\n10.0.0.9-8 80\n10.0.0.9-fd00::9 80\n10.0.0.9-x 80\n}\n" +
				virtualAt("group G", "", ""), "G.toml.incomplete",
			"keepalived.conf:4: the address is no IP address, range"},
		{"group-absent", virtualAt("group G", "", ""), "", "no virtual_server_group of this name"},
		{"kind", virtual("lb_kind DR", real1), `mode = "dsr"`, "mode dsr needs it"},
		{"kind-with-vrrp", "vrrp_instance V {\ninterface eth0\nvirtual_ipaddress {\n192.0.2.10/24 dev eth7\n}\n}\n" +
			virtual("lvs_method DR", real1), `interfaces = ["eth7"]`, "farmc has no VRRP"},
		{"tunnel", virtual("lb_kind TUN", real1), `mode = "dsr"`, "farmc has no tunnels"},
		{"kind-unknown", virtual("lb_kind X", real1), "", "not NAT, DR or TUN"},
		{"flags", virtualAt("192.0.2.10 80", "lb_algo sh\nsh-port\nsh-fallback", ""),
			`hash-on = ["source-address", "source-port"]`, ""},
		{"mh", virtual("lb_algo mh\nmh-port\nmh-fallback", ""), `scheduler = "maglev"`, ""},
		{"ops", virtual("ops\nprotocol UDP", ""), "/udp", "one-packet scheduling"},
		{"ops-direct", virtual("ops\nprotocol UDP\nlvs_sched rr\nlvs_method DR", real1), "per-packet = true", ""},
		{"persistence", virtual("persistence_timeout 50\npersistence_granularity 255.255.255.0", ""),
			"timeout = \"50s\"\nrenew = \"packet\"\n" +
				"# keepalived.conf:4: persistence_granularity 255.255.255.0\nprefix = [24, 128]", ""},
		{"persistence-default", virtual("persistence_timeout", ""), `timeout = "360s"`, ""},
		{"persistence-of-nothing", virtual("persistence_timeout 0", ""), "scheduler = \"round-robin\"\n\n[backends]",
			"keepalived.conf:3: persistence_timeout is no number from 1 to 2678400, so keepalived ignores it"},
		{"persistence-too-long", virtual("persistence_timeout 99999999", ""), "\n\n[backends]",
			"persistence_timeout is no number"},
		{"persistence-of-every-port", virtualAt("192.0.2.10", "", real1), `timeout = "360s"`,
			"keepalived.conf:1: a service of every port is persistent in keepalived"},
		{"engine", virtual("persistence_engine sip", ""), "", "no persistence engines"},
		{"protocol", virtual("protocol SCTP", ""), "/sctp", ""},
		{"protocol-absent", "virtual_server 192.0.2.10 80 {\nlb_algo rr\n}\n", `listen = ["192.0.2.10:80/udp"]`,
			"keepalived.conf:1: the virtual server has no protocol"},
		{"protocol-unknown", "virtual_server 192.0.2.10 80 {\nprotocol X\nlb_algo rr\n}\n", "/udp",
			"keepalived.conf:2: the protocol is not TCP, UDP or SCTP: write one of them; the farm has udp"},
		{"sorry-of-one", virtual("sorry_server 10.0.0.9 80", real1), "priority = 2", ""},
		{"sorry-of-two", virtual("sorry_server 10.0.0.9 80", real1+"\nreal_server 10.0.0.2 80 {\n}"), `state = "down"`,
			"a backend of last resort for several"},
		{"sorry-by-another-method", "vrrp_instance V {\ninterface eth0\nvirtual_ipaddress {\n192.0.2.10\n}\n}\n" +
			virtual("lvs_method DR\nsorry_server 10.0.0.9 80\nsorry_server_lvs_method NAT", real1),
			"[backends.\"10.0.0.9-80\"]\naddress = \"10.0.0.9\"\npriority = 2\nstate = \"down\"\n",
			"keepalived.conf:10: the server has masquerading, and others of the service direct routing"},
		{"quorum", virtual("quorum 2\nhysteresis 1", ""), "", "farmc has no quorum"},
		{"scripts", virtual("quorum_up /x\nquorum_down /y", server("notify_up /z")), "",
			"farmc runs no program by quorum_up"},
		{"weight", server("weight 7"), "weight = 7", ""},
		{"weight-0", server("weight 0"), `state = "drain"`, ""},
		{"thresholds", server("uthreshold 9\nlthreshold 3"), "connections = 9", "no lower threshold"},
		{"hostname", virtual("", "real_server www 80 {\n}"), "", "no numeric address"},
		{"unknown", virtual("frob 5", ""), "", "keepalived.conf:3: unknown directive frob in a virtual server"},
		{"unknown-of-a-server", server("frob 5"), "", "unknown directive frob"},
		{"unknown-section", "frob {\na\n}", "", "unknown directive frob at the top level"},
		{"tcp", virtual("delay_loop 6", "real_server 10.0.0.1 80 {\nTCP_CHECK {\nconnect_port 81\nconnect_timeout 3\n"+
			"retry 2\ndelay_before_retry 1\nbindto 10.0.0.9\n}\n}"),
			"[health]\ntype = \"tcp\"\nport = 81\ninterval = \"6s\"\nfast-interval = \"1s\"\ntimeout = \"3s\"\n" +
				"rise = 1\nfall = 3\nsource-address = \"10.0.0.9\"\n", ""},
		{"interval-of-nothing", checked("TCP_CHECK", "delay_loop 0\nconnect_timeout 0\ndelay_before_retry 0"),
			"interval = \"60s\"\nfast-interval = \"100ms\"\ntimeout = \"5s\"\n",
			"keepalived.conf:6: delay_loop is not a number of seconds"},
		{"many-retries", checked("TCP_CHECK", "retry 500"), "fall = 100\n",
			"keepalived.conf:5: fall is 501, and 100 at most in farmc"},
		{"decimals", checked("TCP_CHECK", "delay_loop 0.5"), `interval = "500ms"`, ""},
		{"defaults", checked("TCP_CHECK", ""),
			"interval = \"60s\"\nfast-interval = \"1s\"\ntimeout = \"5s\"\nrise = 1\nfall = 2\n", ""},
		{"alpha", virtual("alpha", "real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\n}"), `start = "down"`, ""},
		{"inhibit", server("inhibit_on_failure\nTCP_CHECK {\n}"), `on-fail = "drain"`, ""},
		{"connect-port", checked("TCP_CHECK", "connect_port 70000"), "", "connect_port has no number from 1 to 65535"},
		{"connect-ip", checked("TCP_CHECK", "connect_ip 10.9.9.9"), "", "checks the address of the backend alone"},
		{"check-mark", checked("TCP_CHECK", "fwmark 3"), "", "checks of farmc have no fwmark"},
		{"http", checked("HTTP_GET", "url {\npath /a?b\nstatus_code 200 300-310\nvirtualhost www.example.org\n}"),
			"type = \"http\"\npath = \"/a?b\"\nhost = \"www.example.org\"\nstatus = [\"200\", \"300-310\"]\n", ""},
		{"http-status", checked("HTTP_GET", "url {\npath /\n}"), `status = ["200-299"]`, ""},
		{"https", checked("SSL_GET", "enable_sni\nvirtualhost www.example.org\nurl {\npath /\n}"),
			"tls-name = \"www.example.org\"\ntls-verify = false\n", ""},
		{"https-without-a-name", checked("SSL_GET", "virtualhost www.example.org\nurl {\npath /\n}"),
			"host = \"www.example.org\"\n",
			"keepalived.conf:5: without enable_sni keepalived asks for no name in TLS, and farmc for the host"},
		{"digest", checked("HTTP_GET", "url {\npath /\ndigest abc\n}"), "",
			"keepalived.conf:8: checks of farmc compare no digest"},
		{"regex", checked("HTTP_GET", "url {\npath /\nregex \"^ready [0-9]\"\n}"), `body-regexp = "^ready [0-9]"`, ""},
		{"regex-of-pcre", checked("HTTP_GET", "url {\npath /\nregex (?=x)\n}"), "", "not one of RE2"},
		{"regex-in-single-quotes", checked("HTTP_GET", "url {\npath /\nregex '\"a\" b'\n}"),
			`body-regexp = "\"a\" b"`, ""},
		{"regex-with-escapes", checked("HTTP_GET", "url {\npath /\nregex v\\\\d\\.\\x41\\101\\tx\n}"),
			`body-regexp = "v\\d.AA\tx"`, ""},
		{"regex-in-parts", checked("HTTP_GET", "url {\npath /\nregex a' b'\" c\"\n}"), `body-regexp = "a b c"`, ""},
		{"regex-of-words", checked("HTTP_GET", "url {\npath /\nregex a b\n}"), "",
			"keepalived.conf:8: the regular expression is not one word"},
		{"quote-without-end", checked("HTTP_GET", "url {\npath /\nregex 'a\n}"), "",
			"keepalived.conf:8: a quote has no end"},
		{"double-quote-without-end", virtual("lb_algo \"rr", ""), "", "keepalived.conf:3: a quote has no end"},
		{"single-quotes-that-stay", virtual("protocol 'UDP'", ""), `"192.0.2.10:80"`,
			"keepalived.conf:3: the protocol is not TCP"},
		{"two-urls", checked("HTTP_GET", "url {\npath /\n}\nurl {\npath /b\n}"), "", "asks for one URL"},
		{"smtp", checked("SMTP_CHECK", "helo_name x"), `expect = "220"`, "say no HELO"},
		{"dns", checked("DNS_CHECK", "type A\nname example.org."), "dns-name = \"example.org\"\ndns-type = \"A\"\n",
			""},
		{"dns-root", checked("DNS_CHECK", ""), "", "farmc needs a name"},
		{"udp", checked("UDP_CHECK", "payload 0a 1\nrequire_reply ff"), "send = \"hex:0a01\"\nexpect = \"hex:ff\"\n",
			""},
		{"udp-any-reply", checked("UDP_CHECK", "require_reply"), `type = "udp"`, "needs a text to wait for"},
		{"ping", checked("PING_CHECK", "retry 0"), "type = \"icmp\"\n", ""},
		{"misc", checked("MISC_CHECK", "misc_path \"/usr/bin/check-it a b\"\nmisc_timeout 7"), `program = "check-it"`,
			"programs of checks get no arguments"},
		{"misc-in-single-quotes", checked("MISC_CHECK", "misc_path '/usr/bin/check-it'\nmisc_dynamic"),
			"program = \"check-it\"\ninterval = \"60s\"\ntimeout = \"60s\"\n", "alone: copy or link"},
		{"misc-with-a-time", checked("MISC_CHECK", "misc_path /usr/bin/check-it\nmisc_timeout 7"), `timeout = "7s"`,
			"keepalived.conf:5: a status of 2 to 102 is a failure in keepalived"},
		{"file", "track_file F {\nfile /run/f\n}\n" + checked("FILE_CHECK", "track_file F"), `file = "/run/f"`,
			"keepalived reads a number"},
		{"file-at-once", "track_file F {\nfile /run/f\n}\n" + checked("FILE_CHECK", "track_file F"),
			"file = \"/run/f\"\nrise = 1\nfall = 1\n", "keepalived reads a number"},
		{"bfd", checked("BFD_CHECK", "name x"), "", "farmc has no check BFD_CHECK"},
		{"two-checks", server("TCP_CHECK {\n}\nPING_CHECK {\n}"), `type = "tcp"`, "PING_CHECK is left out"},
		{"different-checks", virtual("",
			"real_server 10.0.0.1 80 {\nTCP_CHECK {\n}\n}\nreal_server 10.0.0.2 80 {\nPING_CHECK {\n}\n}"),
			"[backends.\"10.0.0.2-80\".health]\ntype = \"icmp\"\n", ""},
		{"unknown-in-a-check", checked("TCP_CHECK", "frob"), "", "unknown directive frob in TCP_CHECK"},
		{"timeouts", "global_defs {\nlvs_timeouts tcp 900 udp 60\n}\n" + virtual("", real1), `established = "900s"`,
			""},
		{"syncd", "global_defs {\nlvs_sync_daemon eth0 V\n}\n", "", "no connection synchronization daemon"},
		{"parameter", "$IP=192.0.2.77\n" + virtualAt("${IP} 80", "", ""), `listen = ["192.0.2.77:80"]`, ""},
		{"parameter-with-a-blank", "$IP =192.0.2.77\n" + virtualAt("${IP} 80", "", ""), "",
			"keepalived.conf:1: parameter $IP is not defined"},
		{"parameter-of-lines", "$V=virtual_server 192.0.2.77 80 { \\\nprotocol TCP \\\nlb_algo rr \\\n}\n$V\n",
			`listen = ["192.0.2.77:80"]`, ""},
		{"parameter-defined-in-lines", "$RS= \\\nreal_server 10.0.0.${N} 80 { \\\nweight $W \\\n}\n" +
			"$VS= \\\nvirtual_server 192.0.2.7${V} 80 { \\\n    $N=1 \\\n    $RS\\\n    $N=2  \\\n    $RS \\\n" +
			"~SEQ(N, 3, 4) $RS \\ \n}\n$W=7\n$V=7\n$VS\n$V=8\n$VS\n",
			"[backends.\"10.0.0.4-80\"]\naddress = \"10.0.0.4\"\nweight = 7\n== 192.0.2.78-80-udp.toml\n",
			"keepalived.conf:15: the virtual server has no protocol"},
		{"random-parameter", server("weight ${_RANDOM}"), "",
			"keepalived.conf:5: ${_RANDOM} is another number at each start of keepalived: write a number"},
		{"random-parameter-in-bounds", server("weight ${_RANDOM 1 5}"), "", "${_RANDOM 1 5} is another number"},
		{"parameter-of-itself-in-lines", "$A= \\\nx \\\n$A\n$A\n", "",
			"keepalived.conf:4: the values of parameters name"},
		{"parameter-without-a-blank", "$A=192.0.2.77\n" + virtualAt("$A.x 80", "", ""), "",
			"keepalived.conf:2: parameter $A is not defined, or has no blank after it"},
		{"parameter-of-a-comment", "# $B\n$A=192.0.2.77 # z\n" + virtualAt("${A} 80", "", "") + "! ${C}\n",
			`listen = ["192.0.2.77:80"]`, ""},
		{"parameter-of-the-shell", server("notify_up \"/x $FOO\"\nnotify_down \"/x ${FOO}\""), "",
			"keepalived.conf:5: farmc runs no program by notify_up"},
		{"parameter-of-the-shell-without-quotes", server("notify_up /x${FOO}/y\nweight 7"), "weight = 7",
			"keepalived.conf:5: farmc runs no program by notify_up"},
		{"parameters-known-before", virtual("", "real_server 10.0.0.1 80 {\nHTTP_GET {\nurl {\n"+
			"path /\nregex \"${_INSTANCE}${_BANG}${_HASH}\"\n}\n}\n}"), `body-regexp = "main!#"`, ""},
		{"parameter-unknown", virtualAt("$IP 80", "", ""), "", "parameter $IP is not defined"},
		{"condition", "@main virtual_server 192.0.2.10 80 {\n@^main virtual_server 192.0.2.11 80 {\nprotocol TCP\n}\n",
			`listen = ["192.0.2.10:80"]`, `keepalived.conf:1: conditions hold for the config-id "main"`},
		{"condition-of-another", "@other frob\n@^main frob\n" + virtual("", real1), "192.0.2.10", "config-id"},
		{"conditional-parameter", "@main $IP=192.0.2.77\n@other $IP=192.0.2.78\n" + virtualAt("$IP 80", "", ""),
			`listen = ["192.0.2.77:80"]`, "config-id"},
		{"parameter-with-condition", "$M=@main\n$N=@other\n$N frob\n$M " + virtual("", real1),
			"192.0.2.10", "config-id"},
		{"nested-parameter", "$IP=192.0.2.${LAST}\n$LAST=5\n" + virtualAt("$IP 80", "", "") + "$LAST=6\n" +
			virtualAt("$IP 80", "", ""), `listen = ["192.0.2.6:80"]`, ""},
		{"endless-parameter", "$A=${A}x\n$A\n", "", "keepalived.conf:2: the values of parameters name one another"},
		{"growing-parameter", "$A=${A}${A}${A}${A}${A}${A}${A}${A}\n$A\n", "", "too long with its parameters"},
		{"directory-parameter", "include ${_PWD}/nosuch\n", "", "no file matches"},
		{"sequence", "virtual_server_group G {\n~SEQ(A, 8, 9) ~SEQx(B,14,2,16) 2001:db8::${A}:${B} 80\n}\n" +
			virtualAt("group G", "", ""),
			`listen = ["[2001:db8::8:e]:80", "[2001:db8::8:10]:80", "[2001:db8::9:e]:80", "[2001:db8::9:10]:80"]`, ""},
		{"sequence-downwards", "virtual_server_group G {\n~SEQ(A, 9, 8) 192.0.2.$A 80\n~SEQ(A, 2) 192.0.3.$A 80\n}\n" +
			virtualAt("group G", "", ""),
			`listen = ["192.0.2.9:80", "192.0.2.8:80", "192.0.3.1:80", "192.0.3.2:80"]`, ""},
		{"sequence-without-end", "~SEQ(A, 1, -1, 9) frob\n~SEQ(A, 1, 0, 9) frob\n~SEQ(A, x) frob\n", "",
			"keepalived.conf:3: the numbers of a sequence"},
		{"sequence-too-long", "~SEQ(A, 1, 2000000000) x$A\n", "", "the configuration has too many lines"},
		{"list", "~LST(A, 1, 2) frob\n", "", "a list that generates lines"},
		{"include-absent", "include nosuch*.conf\n", "", "no file matches the pattern"},
		{"unclosed", "virtual_server 192.0.2.10 80 {\n", "", "the block has no end"},
		{"stray-brace", "}\n", "", "a closing brace without its block"},
		{"deep", strings.Repeat("a {\n", 100), "", "blocks nest too deeply"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			written, losses := imported(test.conf)
			if !strings.Contains(written, test.key) {
				t.Errorf("no %q in\n%s", test.key, written)
			}
			if strings.Contains(losses, "parameter") && !strings.Contains(test.loss, "parameter") {
				t.Errorf("losses:\n%s", losses)
			}
			if !strings.Contains(losses, test.loss) || test.loss == "" && strings.Contains(losses, "farmc refuses") {
				t.Errorf("losses:\n%s\nwant %q", losses, test.loss)
			}
		})
	}
}

// TestIncludedFiles: a pattern is relative to the file that has it; lines of included files have their own places.
func TestIncludedFiles(t *testing.T) {
	written, losses := importedWith("include d/*.conf\n", fstest.MapFS{
		"d/a.conf": text(virtual("", "include ../e.conf")), "e.conf": text(real1 + "\nfrob\n"),
		"d/loop.conf": text("include loop.conf\n")})
	if !strings.Contains(written, "# e.conf:1: real_server 10.0.0.1 80 {\n") {
		t.Errorf("got\n%s", written)
	}
	if !strings.Contains(losses, "e.conf:3: unknown directive frob") || !strings.Contains(losses, "too deeply") {
		t.Errorf("losses:\n%s", losses)
	}
}

// TestSamples: each sample of Debian's package becomes farms, or each of its parts a loss or a note.
func TestSamples(t *testing.T) {
	paths, _ := filepath.Glob("/usr/share/doc/keepalived/samples/keepalived.conf.*")
	if len(paths) == 0 {
		t.Skip("the package keepalived is not installed")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			in, err := convert.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			in.Interface = "eth0"
			r := Import(in)
			files := r.Finish()
			if len(files) == 0 && len(r.Losses) == 0 {
				t.Error("nothing is imported, and nothing is lost")
			}
			for _, l := range r.Losses {
				if strings.Contains(l.What, "unknown directive") || strings.Contains(l.What, "farmc refuses") {
					t.Errorf("%s", l)
				}
			}
			text, _ := os.ReadFile(path)
			if n := strings.Count(string(text), "\nvirtual_server "); n != len(files) {
				t.Errorf("%d files of %d virtual servers", len(files), n)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add("$A=1\n" + virtual("sorry_server 10.0.0.9 80\nlb_kind DR\npersistence_timeout 50", real1))
	f.Add("$A= \\\n$B=1 \\\n${A}$C ${_HASH}\n$C= \\\nx\n$A\n~SEQ(N, 1, 3) $C\n")
	f.Add(checked("HTTP_GET", "url {\npath /\nregex x\nstatus_code 200\n}"))
	f.Fuzz(func(t *testing.T, conf string) {
		r := Import(convert.Input{Name: "k", Text: []byte(conf), Files: files{}})
		for _, file := range r.Finish() {
			if strings.Contains(file.Name, "/") {
				t.Errorf("a file %q", file.Name)
			}
		}
	})
}

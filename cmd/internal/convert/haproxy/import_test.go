package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
)

func imported(conf string) (written, losses string) {
	r := Import(convert.Input{Name: "haproxy.cfg", Text: []byte(conf)})
	var out, lost strings.Builder
	for _, f := range r.Finish() {
		out.WriteString("== " + f.Name + "\n" + string(f.Text))
	}
	for _, l := range r.Losses {
		lost.WriteString(l.String() + "\n")
	}
	return out.String(), lost.String()
}

// listen is a section that listens, with a server.
func listen(body string) string {
	return "listen web\n mode tcp\n bind 192.0.2.10:80\n " + strings.ReplaceAll(body, "\n", "\n ") +
		"\n server b1 10.0.0.1:80\n"
}

func served(options string) string { return listen("server b2 10.0.0.2:80 " + options) }

// heirs are defaults that inherit from one another, each from the one before.
func heirs(n int) (text string) {
	for i := 1; i <= n; i++ {
		text += fmt.Sprintf("defaults d%d from d%d\n", i, i-1)
	}
	return text
}

// sides is a frontend and a backend, with the settings of either in the defaults of both. Settings of the other side
// have no effect.
const sides = "defaults a\n timeout client 2h\n timeout server 1s\n maxconn 5000\n balance source\n" +
	" timeout client-fin 9s\nfrontend f from a\n bind :80\n default_backend b\n" +
	"defaults b\n timeout client 1s\n timeout server 3h\n maxconn 20\n balance roundrobin\n" +
	" timeout server-fin 10s\nbackend b from b\n server s 10.0.0.1:80\n"

// TestDirectives has the directives of proxies in mode tcp: the keys that each becomes, or its loss.
func TestDirectives(t *testing.T) {
	for _, test := range []struct{ rule, conf, key, loss string }{
		{"listen", listen(""), "== web.toml\n# written by farmc\n# from haproxy.cfg:1: listen web\nmode = \"snat\"\n" +
			"# haproxy.cfg:3: bind 192.0.2.10:80\nlisten = [\"192.0.2.10:80\"]\n", ""},
		{"frontend", "frontend f\n bind :80\n default_backend b\nbackend b\n server s 10.0.0.1:8080\n",
			"[backends.s]\naddress = \"10.0.0.1\"\nport = 8080\n", ""},
		{"default-backend-of-listen", "listen a\n bind :80\n default_backend b\n server s1 10.0.0.1:80\nbackend b\n" +
			" server s2 10.0.0.2:80\n", "[\"0.0.0.0:80\"]\nscheduler = \"round-robin\"\n\n" +
			"# haproxy.cfg:6: server s2 10.0.0.2:80\n[backends.s2]",
			"haproxy.cfg:1: the section has a default_backend, so its own servers"},
		{"defaults", "defaults\n mode tcp\n balance source\nlisten a\n bind :80\n", `scheduler = "hash"`, ""},
		{"named-defaults", "defaults a\n balance source\ndefaults b\n balance roundrobin\nlisten a from a\n bind :80\n",
			`scheduler = "hash"`, ""},
		{"defaults-of-defaults", "defaults base\n mode http\ndefaults web from base\n timeout server 1h\n" +
			"listen a from web\n bind :80\n", "", "haproxy.cfg:5: mode http is layer 7"},
		{"defaults-override", "defaults base\n balance leastconn\n maxconn 5\ndefaults from base\n balance source\n" +
			"listen a\n bind :80\n", "scheduler = \"hash\"", "haproxy.cfg:3: connections above maxconn"},
		{"defaults-of-a-backend-named-from", "defaults base\n balance source\nfrontend f from none\n bind :80\n" +
			" default_backend from\nbackend from from base\n server s 10.0.0.1:80\n", `scheduler = "hash"`,
			"haproxy.cfg:3: there are no defaults of this name"},
		{"defaults-too-deep", "defaults d0\n balance source\n" + heirs(30) + "listen a from d30\n bind :80\n", "",
			"haproxy.cfg:23: defaults inherit from more than 20 others"},
		{"defaults-of-absent", "defaults from nosuch\nlisten a\n bind :80\n", "",
			"haproxy.cfg:1: there are no defaults of this name"},
		{"maxconn-of-the-frontend", sides, "connections = 5000\n", "haproxy.cfg:4: connections above maxconn"},
		{"timeouts-of-the-sides", sides, "established = \"7200s\"\nhalf-closed = \"9s\"\n",
			"connections above maxconn"},
		{"balance-of-the-backend", sides, `scheduler = "round-robin"`, "connections above maxconn"},
		{"http", "defaults\n mode http\nfrontend f\n bind :80\n", "", "haproxy.cfg:3: mode http is layer 7"},
		{"binds", "listen a\n bind *:80,192.0.2.1:81-89\n bind [2001:db8::1]:443\n bind :::90 v4v6\n",
			`listen = ["0.0.0.0:80", "192.0.2.1:81-89", "[2001:db8::1]:443", "*:90"]`, ""},
		{"socket", "listen a\n bind /run/x.sock\n", "a.toml.incomplete", "not numeric with a port"},
		{"no-bind", "listen a\n server s 10.0.0.1:80\n", "a.toml.incomplete", "no bind"},
		{"tls", "listen a\n bind :443 ssl crt /x\n", "", "farmc ends no TLS"},
		{"proxy-header", "listen a\n bind :443 accept-proxy\n", "", "reads no PROXY header"},
		{"interface", "listen a\n bind :443 interface eth0\n", `interfaces = ["eth0"]`, ""},
		{"interface-of-all", "listen a\n bind :443 interface eth0\n bind :80 interface eth0\n",
			`interfaces = ["eth0"]`, ""},
		{"interface-beside-a-socket", "listen a\n bind /run/x.sock\n bind :80 interface eth0\n",
			`interfaces = ["eth0"]`, "haproxy.cfg:2: bind has an address"},
		{"interface-of-one", "listen a\n bind :443 interface eth0\n bind :80\n", "listen = [\"0.0.0.0:443\", " +
			"\"0.0.0.0:80\"]\nscheduler = \"round-robin\"\n\n[backends]",
			"haproxy.cfg:3: binds have different interfaces"},
		{"interface-of-another", "listen a\n bind :443 interface eth0\n bind :80 interface eth1\n", "\n[backends]",
			"haproxy.cfg:3: binds have different interfaces"},
		{"no-balance", listen(""), `scheduler = "round-robin"`, ""},
		{"fallback-of-layer-7", listen("balance uri"), `scheduler = "round-robin"`,
			"haproxy.cfg:4: balance uri needs mode http, so HAProxy falls back to roundrobin"},
		{"draws-of-random", listen("balance random"), `scheduler = "random"`, "haproxy.cfg:4: balance random draws 2"},
		{"one-draw-of-random", listen("balance random(1)"), `scheduler = "random"`, ""},
		{"cookie-of-rdp", listen("balance rdp-cookie"), `scheduler = "round-robin"`, "balance rdp-cookie is layer 7"},
		{"hash-of-the-port", listen("balance hash dst_port"), `hash-on = ["destination-port"]`, ""},
		{"hash-balance-factor", listen("balance source\nhash-type consistent\nhash-balance-factor 150"), "",
			"haproxy.cfg:6: hash-balance-factor bounds"},
		{"timeout-too-long", listen("timeout client 590h\ntimeout server 580h"), `established = "2073600s"`,
			"haproxy.cfg:5: a time of 2088000s is out of farmc's bounds: the farm has 2073600s"},
		{"timeout-too-short", listen("timeout client-fin 20ms"), `half-closed = "1s"`,
			"haproxy.cfg:4: a time of 20ms is out"},
		{"times-of-a-check-out-of-bounds", listen("timeout connect 5m\ntimeout check 1m\nserver x 10.0.0.2:80 check " +
			"inter 2h fastinter 1ms slowstart 5ms"),
			"interval = \"3600s\"\nfast-interval = \"100ms\"\ntimeout = \"60s\"\non-fail = \"drain\"\n" +
				"slow-start = \"1s\"\n", "haproxy.cfg:6: a time of 7200s is out of farmc's bounds"},
		{"timeout-of-a-check-out-of-bounds", listen("timeout connect 5m\ntimeout check 1m\n" +
			"server x 10.0.0.2:80 check inter 2h"), `timeout = "60s"`, "haproxy.cfg:5: a time of 360s is out"},
		{"expire-too-long", listen("stick-table type ip size 1k expire 9999d\nstick on src"), "",
			"haproxy.cfg:4: a time of 863913600s is out of farmc's bounds: the farm has 31536000s"},
		{"expire-too-short", listen("stick-table type ip size 1k expire 50ms\nstick on src"), `timeout = "1s"`,
			"haproxy.cfg:4: a time of 50ms is out"},
		{"time-of-a-check", listen("timeout check 500\ntimeout connect 1s\nserver x 10.0.0.2:80 check"),
			`timeout = "1500ms"`, ""},
		{"time-of-a-check-by-default", listen("server x 10.0.0.2:80 check inter 10s"), "timeout = \"10s\"\n", ""},
		{"time-of-a-fast-check", listen("server x 10.0.0.2:80 check inter 500"), "interval = \"500ms\"\non-fail", ""},
		{"both-families", listen("bind :::81\nbind [::]:82 v6only\nbind ipv6@:83\nserver b6 [2001:db8:2::1]:80"),
			`"*:81", "[::]:82", "*:83"]`, ""},
		{"both-families-twice", listen("bind :81\nbind :::81\nbind :::82\nbind :82\nserver b6 [2001:db8:2::1]:80"),
			`"0.0.0.0:81", "[::]:81", "*:82"]`, ""},
		{"options-of-bind", listen("bind :81 crt ssl name accept-proxy shards 2 tfo"), `"0.0.0.0:81"]`,
			"haproxy.cfg:4: option name of bind has no meaning"},
		{"namespace-of-bind", listen("bind :81 namespace blue"), "", "haproxy.cfg:4: farmc has no namespace of a bind"},
		{"unknown-option-of-bind", listen("bind :81 frob"), "", "haproxy.cfg:4: unknown option frob of bind"},
		{"source-with-ports", listen("source 10.0.0.9:1024"), `source-address = "10.0.0.9"`,
			"haproxy.cfg:4: source has a port"},
		{"source-of-a-server-with-ports", served("source 10.0.0.9:1024-2048"), `source-address = "10.0.0.9"`,
			"haproxy.cfg:4: source has a port"},
		{"usesrc-of-an-address", listen("source 10.0.0.9 usesrc 10.0.0.10"), `mode = "snat"`,
			"haproxy.cfg:4: usesrc has an address of its own"},
		{"transparent", listen("option transparent"), "", "haproxy.cfg:4: farmc has no option transparent"},
		{"mail", listen("email-alert to a@example.org"), "", "haproxy.cfg:4: farmc sends no mail"},
		{"on-marked-up", served("check on-marked-up shutdown-backup-sessions"), "",
			"haproxy.cfg:4: farmc leaves connections with a backup"},
		{"non-stick", served("non-stick") + " stick on src\n", "", "haproxy.cfg:4: farmc remembers clients of all"},
		{"verifyhost", listen("server x 10.0.0.2:80 check check-ssl verifyhost a.example"),
			`tls-name = "a.example"`, ""},
		{"verifyhost-and-name", listen("server x 10.0.0.2:80 check check-ssl check-sni b.example verifyhost a.example"),
			`tls-name = "b.example"`, "haproxy.cfg:4: verifyhost is another name than check-sni"},
		{"certificate-of-any-name", listen("server x 10.0.0.2:80 check check-ssl"), `type = "tls"`,
			"haproxy.cfg:4: without verifyhost HAProxy takes a certificate of any name"},
		{"check-without-a-name", listen("option httpchk\nhttp-check send hdr Host a.example\nhttp-check comment x\n" +
			"server x 10.0.0.2:80 check check-ssl verify none"), `type = "https"`,
			"haproxy.cfg:7: without check-sni HAProxy asks for no name in TLS"},
		{"round-robin", listen("balance roundrobin"), `scheduler = "round-robin"`, ""},
		{"leastconn", listen("balance leastconn"), `scheduler = "least-connections"`,
			"haproxy.cfg:4: balance leastconn compares"},
		{"first", listen("balance first"), "", "balance first counts"},
		{"consistent", listen("balance source\nhash-type consistent"), `scheduler = "maglev"`, ""},
		{"consistent-first", listen("hash-type consistent\nbalance source"), `scheduler = "maglev"`, ""},
		{"consistent-no-more", listen("balance source\nhash-type consistent\nhash-type map-based"),
			`scheduler = "hash"`, ""},
		{"no-option", listen("no option redispatch\ndefault option redispatch\nno log"), "[backends.b1]", ""},
		{"no-unknown", listen("no frob"), "", "haproxy.cfg:4: unknown directive no frob"},
		{"enabled-proxy", "defaults\n disabled\nlisten a\n bind :80\n enabled\n",
			"listen = [\"0.0.0.0:80\"]\nscheduler = \"round-robin\"\n\n[backends]", ""},
		{"disabled-frontend", "frontend a\n bind :80\n disabled\n default_backend b\nbackend b\n enabled\n" +
			" server s 10.0.0.1:80\n", `state = "down"`, ""},
		{"disabled-proxy", "defaults\n disabled\nlisten a\n bind :80\n", `state = "down"`, ""},
		{"weight", served("weight 7"), "weight = 7", ""},
		{"weight-0", served("weight 0"), `state = "drain"`, ""},
		{"disabled", served("disabled"), `state = "down"`, ""},
		{"enabled", "listen a\n bind :80\n default-server disabled\n server b1 10.0.0.1:80 enabled\n" +
			" server b2 10.0.0.2:80\n", "address = \"10.0.0.1\"\n\n# haproxy.cfg:5", ""},
		{"disabled-by-default", "listen a\n bind :80\n default-server disabled\n server b1 10.0.0.1:80\n",
			`state = "down"`, ""},
		{"backup-of-one", served("backup"), "priority = 2", ""},
		{"no-allbackups", served("backup") + " server b3 10.0.0.3:80 backup\n option allbackups\n" +
			" no option allbackups\n", "priority = 3", ""},
		{"backup-of-two", served("weight 1\nserver b3 10.0.0.3:80 backup"), `state = "down"`,
			"a backend of last resort"},
		{"maxconn-of-a-server", served("maxconn 9"), "connections = 9", "wait in HAProxy"},
		{"number-with-a-variable", served("check rise \"${R}\""), "type = \"tcp\"\n",
			"haproxy.cfg:4: option rise has a variable"},
		{"text-with-a-variable", served("check check-ssl check-sni \"$NAME\""), "type = \"tls\"\n",
			"option check-sni has a variable"},
		{"maxconn-of-a-server-wrong", served("maxconn 7x"), "[backends.b2]", "haproxy.cfg:4: maxconn is not a number"},
		{"numbers-of-a-check-wrong", served("check rise $R port ${P}"),
			"[backends.b2.health]\ntype = \"tcp\"\ntimeout = \"2s\"\non-fail",
			"haproxy.cfg:4: rise is not a number"},
		{"time-of-a-check-wrong", served("check inter 5x"),
			"[backends.b2.health]\ntype = \"tcp\"\ntimeout = \"2s\"\non-fail",
			"haproxy.cfg:4: inter is not a time"},
		{"ca-file-of-a-directory", served("check check-ssl ca-file ca.pem"), "type = \"tls\"\n",
			"ca-file has no absolute path"},
		{"source-of-a-server", served("source 10.0.0.9"), `source-address = "10.0.0.9"`, ""},
		{"source", listen("source 10.0.0.9"), `source-address = "10.0.0.9"`, ""},
		{"usesrc", listen("source 0.0.0.0 usesrc clientip"), `mode = "dnat"`, "usesrc shows"},
		{"send-proxy", served("send-proxy-v2"), "", "it has no send-proxy-v2"},
		{"tls-to-servers", served("ssl verify none"), "", "it has no ssl"},
		{"agent", served("agent-inter 5s agent-port 9 pool-purge-delay 1s"), "[backends.b2]", ""},
		{"unknown-option", served("frob"), "", "unknown option frob"},
		{"loopback", listen("server x 127.0.0.1:80"), "", "a loopback address cannot be a backend"},
		{"hostname", listen("server x app.example.org:80"), `address = "app.example.org"`, ""},
		{"check", listen("server x 10.0.0.2:80 check inter 5s fastinter 1s rise 4 fall 5 port 81 slowstart 60s"),
			"[backends.x.health]\ntype = \"tcp\"\nport = 81\ninterval = \"5s\"\nfast-interval = \"1s\"\n" +
				"timeout = \"5s\"\nrise = 4\nfall = 5\non-fail = \"drain\"\nslow-start = \"60s\"\n", ""},
		{"cuts-connections", listen("server x 10.0.0.2:80 check on-marked-down shutdown-sessions init-state down"),
			"type = \"tcp\"\ntimeout = \"2s\"\nstart = \"down\"\n", ""},
		{"sticky-check", listen("stick on src\nstick-table type ip size 1k expire 9s\nserver x 10.0.0.2:80 check"),
			"[backends.x.health]\ntype = \"tcp\"\n", ""},
		{"check-over-tls", listen("server x 10.0.0.2:80 check check-ssl ca-file /etc/ca.pem check-sni a.example"),
			"type = \"tls\"\ntls-name = \"a.example\"\ntls-ca = \"/etc/ca.pem\"\n", ""},
		{"downinter", listen("server x 10.0.0.2:80 check downinter 9s"), "", "have one interval"},
		{"checks-of-all", "listen a\n bind :80\n timeout check 500\n default-server check\n server x 10.0.0.2:80\n",
			"[health]\ntype = \"tcp\"\ntimeout = \"2500ms\"\n", ""},
		{"httpchk", listen("option httpchk GET /ok\nhttp-check expect status 200-204\nserver x 10.0.0.2:80 check"),
			"type = \"http\"\npath = \"/ok\"\nmethod = \"GET\"\nstatus = [\"200-204\"]\n", ""},
		{"httpchk-headers", listen("option httpchk GET /h \"HTTP/1.1\\r\\nHost: www\\r\\nX: y\"\n" +
			"server x 10.0.0.2:80 check"), "path = \"/h\"\nhost = \"www\"\nmethod = \"GET\"\n",
			"haproxy.cfg:4: checks of farmc send no header but Host"},
		{"check-with-a-variable", listen("option tcp-check\ntcp-check send \"${X}\"\ntcp-check expect string '$X'\n" +
			"server x 10.0.0.2:80 check"), "type = \"tcp\"\nexpect = \"$X\"\n",
			"haproxy.cfg:5: the line has a variable"},
		{"httpchk-send", listen("option httpchk\nhttp-check send meth HEAD uri /x hdr Host www.example.org\n" +
			"server x 10.0.0.2:80 check"), "path = \"/x\"\nhost = \"www.example.org\"\nmethod = \"HEAD\"\n", ""},
		{"last-check-of-two", listen("option redis-check\noption smtpchk\nserver x 10.0.0.2:80 check"),
			"type = \"tcp\"\nexpect = \"220\"\n", ""},
		{"no-lines-of-another-check", listen("option httpchk\nhttp-check expect status 200\noption tcp-check\n" +
			"tcp-check expect string a\nserver x 10.0.0.2:80 check"), "type = \"tcp\"\nexpect = \"a\"\n", ""},
		{"external-check-at-last", listen("option ssl-hello-chk\noption external-check\nserver x 10.0.0.2:80 check"),
			"type = \"tcp\"\ntimeout", "haproxy.cfg:5: farmc has no external-check"},
		{"lines-without-their-option", listen("tcp-check expect string a\nserver x 10.0.0.2:80 check"),
			"type = \"tcp\"\ntimeout", ""},
		{"tcp-check-over-tls", listen("option tcp-check\ntcp-check connect ssl\nserver x 10.0.0.2:80 check"),
			"type = \"tls\"\n", ""},
		{"any-status", listen("option httpchk\nhttp-check expect string OK\nserver x 10.0.0.2:80 check"),
			"status = [\"100-599\"]\nbody = \"OK\"\n", ""},
		{"status-and-text", listen("option httpchk\nhttp-check expect string OK\nhttp-check expect status 200\n" +
			"server x 10.0.0.2:80 check"), "status = [\"200\"]\nbody = \"OK\"\n", ""},
		{"many-falls", listen("server x 10.0.0.2:80 check fall 300"), "fall = 100\n",
			"haproxy.cfg:4: fall is 300, and 100 at most in farmc"},
		{"check-of-http-2", served("check check-proto h2 check-alpn h2"), "",
			"haproxy.cfg:4: option check-proto has no key"},
		{"tcp-check", listen("option tcp-check\ntcp-check send PING\\r\\n\ntcp-check expect string +PONG\n" +
			"server x 10.0.0.2:80 check"), "send = \"PING\\u000d\\n\"\nexpect = \"+PONG\"\n", ""},
		{"two-tcp-checks", listen("option tcp-check\ntcp-check expect string a\ntcp-check send b\n" +
			"server x 10.0.0.2:80 check"),
			"",
			"sends one text"},
		{"redis", listen("option redis-check\nserver x 10.0.0.2:80 check"), `expect = "+PONG"`, ""},
		{"mysql", listen("option mysql-check\nserver x 10.0.0.2:80 check"), `type = "tcp"`, "farmc has no mysql-check"},
		{"timeouts", listen("timeout client 1m\ntimeout server 50000\ntimeout connect 5s"), `established = "50s"`, ""},
		{"tunnel", listen("timeout client 1m\ntimeout server 2m\ntimeout tunnel 1h"), `established = "3600s"`, ""},
		{"timeout-wrong", listen("timeout client x"), "", "the timeout is not a time"},
		{"maxconn", listen("maxconn 2000"), "[limits]\n# haproxy.cfg:4: maxconn 2000\nconnections = 2000",
			"wait in HAProxy"},
		{"maxconn-of-nothing", "defaults\n maxconn 5\nlisten a\n bind :80\n maxconn 0\n",
			"\"0.0.0.0:80\"]\nscheduler = \"round-robin\"\n\n[backends]", ""},
		{"maxconn-with-a-variable", listen("maxconn \"${MC}\""), "[backends.b1]",
			"haproxy.cfg:4: maxconn is not a number"},
		{"stick", listen("stick-table type ip size 200k expire 30m\nstick on src"),
			"# haproxy.cfg:4: stick-table type ip size 200k expire 30m\ntimeout = \"1800s\"", ""},
		{"expire-wrong", listen("stick-table type ip size 200k expire \"$T\"\nstick on src"), `timeout = "24h"`,
			"haproxy.cfg:4: expire is not a time"},
		{"stick-on-more", listen("stick on ssl_fc_session_id"), "", "by their address alone"},
		{"table-alone", listen("stick-table type ip size 1k expire 30s"), "\n\n# haproxy.cfg:5: server b1", ""},
		{"acl", listen("acl a src 10.0.0.0/8\nuse_backend x if a"), "",
			"haproxy.cfg:5: use_backend chooses by conditions"},
		{"deny", listen("tcp-request connection reject if { src 10.0.0.0/8 } or LOCALHOST"),
			"[access]\n# haproxy.cfg:4: tcp-request connection reject if { src 10.0.0.0/8 } or LOCALHOST\n" +
				"deny = [\"10.0.0.0/8\", \"127.0.0.0/8\", \"::1\"]\n", ""},
		{"allow", listen("acl a src 10.0.0.0/8\nacl a src -n 192.0.2.1\ntcp-request content reject if !a"),
			"allow = [\"10.0.0.0/8\", \"192.0.2.1\"]\ndeny = [\"any\"]\n", ""},
		{"unless", listen("tcp-request connection reject unless { src 10.0.0.1 }"),
			"allow = [\"10.0.0.1\"]\ndeny = [\"any\"]\n", ""},
		{"accept-then-all", listen("tcp-request connection accept if { src 10.0.0.1 }\n" +
			"tcp-request connection reject\ntcp-request connection reject if { src_x y }"),
			"allow = [\"10.0.0.1\"]\ndeny = [\"any\"]\n", ""},
		{"accept-others-then-none", listen("tcp-request content accept if HTTP\ntcp-request content reject"),
			"deny = [\"any\"]\n", "haproxy.cfg:4: the rule is not about addresses of clients, or about their " +
				"connections, so deny refuses its clients, too"},
		{"deny-first", listen("tcp-request connection reject if { src 10.0.0.1 }\n" +
			"tcp-request connection accept if { src 10.0.0.0/8 }\ntcp-request connection reject"),
			"allow = [\"10.0.0.0/8\"]\ndeny = [\"10.0.0.1\", \"any\"]\norder = \"deny-first\"\n", ""},
		{"reject-and-spare", listen("tcp-request connection reject if !{ src 10.0.0.0/8 }\n" +
			"tcp-request connection reject if { src 10.0.0.1 }"),
			"allow = [\"10.0.0.0/8\"]\ndeny = [\"10.0.0.1\", \"any\"]\norder = \"deny-first\"\n", ""},
		{"allow-reject-allow", listen("tcp-request connection accept if { src 10.0.0.1 }\n" +
			"tcp-request connection reject if { src 10.0.0.0/24 }\n" +
			"tcp-request connection accept if { src 10.0.0.0/8 }\ntcp-request connection reject"),
			`order = "deny-first"`, "haproxy.cfg:4: farmc has one order"},
		{"allow-first", listen("tcp-request connection accept if { src 10.0.0.1 }\n" +
			"tcp-request connection reject if { src 10.0.0.0/24 }"),
			"allow = [\"10.0.0.1\"]\ndeny = [\"10.0.0.0/24\"]\n\n", ""},
		{"accept-alone", listen("tcp-request connection accept if { src 10.0.0.1 }"),
			"listen = [\"192.0.2.10:80\"]\nscheduler = \"round-robin\"\n\n#", ""},
		{"open-at-once", listen("tcp-request connection reject if { src_conn_cur ge 10 }"),
			"connections-per-client = 9\n", ""},
		{"rate", listen("stick-table type ip size 1k expire 1m store conn_cur,conn_rate(3s)\n" +
			"tcp-request connection track-sc0 src\ntcp-request connection reject if { sc0_conn_rate gt 10 }"),
			"new-per-client = { rate = \"200/minute\", burst = 10 }\n", ""},
		{"rate-without-table", listen("tcp-request connection reject if { src_conn_rate gt 10 }"), "",
			"not about addresses of clients"},
		{"limits-of-spared", listen("tcp-request connection reject if !{ src 10.0.0.0/8 }\n" +
			"tcp-request connection reject if { src_conn_cur gt 9 }"),
			"allow = [\"10.0.0.0/8\"]\ndeny = [\"any\"]\nexempt = [\"127.0.0.1\"]\n", ""},
		{"bound-of-accepted", listen("maxconn 9\ntcp-request connection accept if { src 10.0.0.1 }\n" +
			"tcp-request connection reject"), "allow = [\"10.0.0.1\"]\ndeny = [\"any\"]\nexempt = [\"127.0.0.1\"]\n",
			"wait in HAProxy"},
		{"limits-of-some", listen("tcp-request connection accept if { src 10.0.0.1 }\n" +
			"tcp-request connection reject if !{ src 10.0.0.0/8 }\n" +
			"tcp-request connection reject if { src_conn_cur gt 9 }"),
			"allow = [\"10.0.0.0/8\"]\ndeny = [\"any\"]\nexempt = [\"10.0.0.1\"]\n", ""},
		{"loopback-clients", "listen db\n mode tcp\n bind 127.0.0.1:3306\n server b1 10.0.0.1:3306\n",
			`listen = ["127.0.0.1:3306"]`, "haproxy.cfg:1: farm db listens on a loopback address"},
		{"both-must-hold", listen("tcp-request connection reject if { src 10.0.0.1 } { dst_port 80 }"), "",
			"not about addresses"},
		{"unknown-acl", listen("tcp-request connection reject if x"), "", "not about addresses"},
		{"layer-7", listen("tcp-request content reject if HTTP"), "", "not about addresses"},
		{"inspect-delay", listen("tcp-request inspect-delay 5s"), "", "tcp-request inspect-delay inspects"},
		{"rate-limit", listen("rate-limit sessions 10"), "new = \"10/second\"\n", "above rate-limit wait"},
		{"balance-hash", listen("balance hash src"), "scheduler = \"hash\"\nhash-on = [\"source-address\"]\n", ""},
		{"balance-hash-7", listen("balance hash req.cookie(a)"), "", "layer 7"},
		{"port-offset", "listen a\n bind :80,:90-99\n server s 10.0.0.1:+1000\n",
			"ports = { 80 = 1080, 90-99 = \"1090-1099\" }", ""},
		{"port-offset-out", "listen a\n bind :80\n server s 10.0.0.1:-80\n", "[backends.s]\naddress = \"10.0.0.1\"\n",
			"out of 1 to 65535"},
		{"shared-table", "frontend a\n bind :80\n default_backend c\nfrontend b\n bind :90\n default_backend c\n" +
			"backend c\n stick-table type ip size 1k expire 9s\n stick on src\n server s 10.0.0.1:80\n",
			"on = [\"source-address\"]\n# haproxy.cfg:8: stick-table type ip size 1k expire 9s\ntimeout = \"9s\"\n" +
				"# haproxy.cfg:9: stick on src\ngroup = \"c\"\n", ""},
		{"table-of-peers", "peers p\n table t type ip size 1k expire 9s\n" + listen("stick on src table p/t"),
			"timeout = \"9s\"", "section peers"},
		{"method", listen("option httpchk POST /\nserver x 10.0.0.2:80 check"), `method = "GET"`,
			"GET, HEAD and OPTIONS"},
		{"tcp-check-over-tls", listen("option tcp-check\ntcp-check connect port 443 ssl sni a.example\n" +
			"server x 10.0.0.2:80 check"), "type = \"tls\"\nport = 443\n", ""},
		{"unknown", listen("frob"), "", "haproxy.cfg:4: unknown directive frob"},
		{"condition", ".if defined(X)\n" + listen(""), "", "haproxy.cfg:1: the condition .if is not evaluated"},
		{"quotes", listen("server 'b 2' \"10.0.0.2:80\" # x"), "[backends.b-2]\naddress = \"10.0.0.2\"\n", ""},
		{"global", "global\n maxconn 5\n" + listen(""), "", "section global does not concern"},
		{"unused", "backend x\n" + listen(""), "", "haproxy.cfg:1: no frontend in mode tcp has this backend"},
		{"no-backend", "frontend f\n bind :80\n", "[backends]\n", "no default_backend"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			written, losses := imported(test.conf)
			if !strings.Contains(written, test.key) {
				t.Errorf("no %q in\n%s", test.key, written)
			}
			if !strings.Contains(losses, test.loss) || test.loss == "" && losses != "" {
				t.Errorf("losses:\n%s\nwant %q", losses, test.loss)
			}
			if strings.Contains(losses, "farmc refuses") {
				t.Errorf("losses:\n%s", losses)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add(served("weight 5 check inter 1s backup maxconn 5") + "defaults\n timeout client 5\n stick on src\n")
	f.Fuzz(func(t *testing.T, conf string) {
		for _, file := range Import(convert.Input{Name: "h", Text: []byte(conf)}).Finish() {
			if strings.Contains(file.Name, "/") {
				t.Errorf("a file %q", file.Name)
			}
		}
	})
}

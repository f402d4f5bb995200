package ipvs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dnat is a farm with keys of its own, and a backend.
func dnat(listen, keys string) string {
	return "mode = \"dnat\"\nlisten = " + listen + "\nscheduler = \"round-robin\"\n" + keys +
		"\n[backends.b1]\naddress = \"10.0.0.1\"\n"
}

// checkedBy is a farm with a check.
func checkedBy(health string) string {
	return dnat(`"192.0.2.10:53"`, "[health]\ninterval = \"6s\"\nrise = 1\n"+health)
}

// TestExport has the keys of farms: the rules and the statements of keepalived that they become, and their losses. A
// loss that is not named here fails.
func TestExport(t *testing.T) {
	for _, test := range []struct {
		name, farm, rule, statement string
		losses                      []string
	}{
		{"ipv6", dnat(`["192.0.2.10:80", "[2001:db8::10]:80"]`, "[backends.b2]\naddress = \"fd00::2\"\nport = 81"),
			"-A -t [2001:db8::10]:80 -s wrr\n-a -t [2001:db8::10]:80 -r [fd00::2]:81 -m -w 1\n",
			"virtual_server 2001:db8::10 80 {\n    lvs_sched wrr\n    lvs_method NAT\n    protocol TCP\n" +
				"    real_server fd00::2 81 {\n", nil},
		{"one-backend-of-both-families", dnat(`["192.0.2.10:80", "[2001:db8::10]:80"]`,
			"[backends.b2]\naddress = [\"10.0.0.2\", \"fd00::2\"]"),
			"-a -t [2001:db8::10]:80 -r [fd00::2]:80 -m -w 1\n", "    real_server fd00::2 80 {\n", nil},
		{"least-connections", strings.Replace(dnat(`"192.0.2.10:80"`, ""), "round-robin", "least-connections", 1),
			"-A -t 192.0.2.10:80 -s wlc\n", "    lvs_sched wlc\n", nil},
		{"range-of-ports", dnat(`"192.0.2.10:7000-7001/udp"`, ""),
			"-A -u 192.0.2.10:7000 -s wrr\n-a -u 192.0.2.10:7000 -r 10.0.0.1:7000 -m -w 1\n" +
				"-A -u 192.0.2.10:7001 -s wrr\n-a -u 192.0.2.10:7001 -r 10.0.0.1:7001 -m -w 1\n",
			"virtual_server 192.0.2.10 7001 {\n    lvs_sched wrr\n    lvs_method NAT\n    protocol UDP\n", nil},
		{"long-range-of-ports", dnat(`["192.0.2.10:7000-9000", "192.0.2.10:80"]`, ""), "-A -t 192.0.2.10:80 -s wrr\n",
			"virtual_server 192.0.2.10 80 {\n", []string{"listens on the long range of ports 7000-9000"}},
		{"every-port", dnat(`"192.0.2.10:1-65535"`, "[persistence]\non = \"source-address\"\ntimeout = \"9s\""),
			"-A -t 192.0.2.10:0 -s wrr -p 9\n-a -t 192.0.2.10:0 -r 10.0.0.1:0 -m -w 1\n",
			"virtual_server 192.0.2.10 {\n", nil},
		{"network", dnat(`"192.0.2.16/31:80"`, ""), "-A -t 192.0.2.16:80 -s wrr\n-a -t 192.0.2.16:80 -r 10.0.0.1:80 " +
			"-m -w 1\n-A -t 192.0.2.17:80 -s wrr\n", "virtual_server 192.0.2.17 80 {\n", nil},
		{"large-network", dnat(`"10.0.0.0/8:80"`, ""), "", "", []string{"listens on the large network 10.0.0.0/8"}},
		{"protocol-without-ports", dnat(`"192.0.2.10/esp"`, ""), "", "", []string{"or on a protocol without ports"}},
		{"every-address", dnat(`"*:80"`, ""), "", "", []string{"listens on every address"}},
		{"worse-priority", dnat(`"192.0.2.10:80"`, "[backends.b2]\naddress = \"10.0.0.2\"\npriority = 2\n"+
			"[backends.b3]\naddress = \"10.0.0.3\"\npriority = 3"),
			"-A -t 192.0.2.10:80 -s wrr\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 1\n",
			"    sorry_server 10.0.0.2 80\n",
			[]string{"backend b2 has a worse priority, and IPVS has no sorry server",
				"backend b3 has a worse priority, and a service has one"}},
		{"worse-priority-of-several", dnat(`"192.0.2.10:80"`, "[backends.b2]\naddress = \"10.0.0.2\"\npriority = 2\n"+
			"[backends.b3]\naddress = \"10.0.0.3\""), "-r 10.0.0.3:80", "    sorry_server 10.0.0.2 80\n",
			[]string{"and IPVS has no sorry server", "keepalived lets it serve once all others fail"}},
		{"down", dnat(`"192.0.2.10:80"`, "state = \"down\""), "-A -t 192.0.2.10:80 -s wrr\n", "",
			[]string{"web is down", "keepalived takes no virtual server without"}},
		{"best-is-down", dnat(`"192.0.2.10:80"`, "[backends.b0]\naddress = \"10.0.0.9\"\nstate = \"down\"\n"+
			"[backends.b2]\naddress = \"10.0.0.2\"\npriority = 2") + "state = \"down\"\n",
			"-A -t 192.0.2.10:80 -s wrr\n-a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 1\n",
			"    real_server 10.0.0.2 80 {\n",
			[]string{"backend b0 is down", "backend b1 is down"}},
		{"weight-percent", dnat(`"192.0.2.10:80"`, "[backends.b2]\naddress = \"10.0.0.2\"\nweight = 10\n"+
			"weight-percent = 25"), "-r 10.0.0.2:80 -m -w 2\n", "        weight 2\n", nil},
		{"unknown-to-ipvs", dnat(`"192.0.2.10:80"`, "invalid = \"pass\"\n[limits]\nconnections = 9"),
			"-A -t 192.0.2.10:80 -s wrr\n", "", []string{"key invalid of farm web", "key limits of farm web"}},
		{"persistence-by-port", dnat(`"192.0.2.10:80"`, "[persistence]\non = [\"source-address\", \"source-port\"]"),
			" -p 60\n", "    persistence_timeout 60\n", []string{"persistence of IPVS knows clients by address"}},
		{"check-tcp", checkedBy("type = \"tcp\"\nport = 80\nfall = 2\ntimeout = \"500ms\"\n" +
			"fast-interval = \"1500ms\""), "",
			"TCP_CHECK {\n            delay_loop 6\n            retry 1\n            delay_before_retry 1.5\n" +
				"            connect_timeout 0.5\n            connect_port 80\n        }\n", nil},
		{"check-tcp-text", checkedBy("type = \"tcp\"\nsend = \"PING\""), "", "TCP_CHECK {\n",
			[]string{"the check of backend b1: keepalived has no send and expect"}},
		{"check-udp", checkedBy("type = \"udp\"\nsend = \"hex:0a01\"\nexpect = \"pong\""), "",
			"            payload 0a01\n            require_reply 706f6e67\n        }\n", nil},
		{"check-dns", checkedBy("type = \"dns\"\ndns-name = \"www.example.org\"\ndns-type = \"AAAA\"\n" +
			"dns-answer = \"2001:db8::1\""), "", "            type AAAA\n            name www.example.org\n        }\n",
			[]string{"the check of backend b1: keepalived has no dns-answer"}},
		{"check-exec", checkedBy("type = \"exec\"\nprogram = \"check-mail\"\nfall = 1\ntimeout = \"3s\""), "",
			"MISC_CHECK {\n            delay_loop 6\n            misc_path /etc/farmc/checks.d/check-mail\n" +
				"            misc_timeout 3\n        }\n",
			[]string{"keepalived has no environment variables for programs"}},
		{"check-icmp", checkedBy("type = \"icmp\""), "", "PING_CHECK {\n", nil},
		{"check-file", checkedBy("type = \"file\"\nfile = \"/run/x\""), "", "real_server",
			[]string{"keepalived reads a number"}},
		{"check-https", checkedBy("type = \"https\"\npath = \"/a!b\"\nbody = \"OK\"\nstatus = [\"200\", \"300-310\"]"),
			"", "            url {\n                path \"/a!b\"\n                status_code 200-200 300-310\n",
			[]string{"keepalived has no verification", "keepalived has no body"}},
		{"check-head", checkedBy("type = \"http\"\nmethod = \"HEAD\""), "", "HTTP_GET {\n",
			[]string{"keepalived has no method HEAD"}},
		{"check-that-drains", checkedBy("type = \"icmp\"\non-fail = \"drain\""), "",
			"        inhibit_on_failure\n        PING_CHECK {\n", nil},
		{"check-that-starts-down", checkedBy("type = \"tcp\"\nstart = \"down\"\n" +
			"source-address = [\"10.0.0.9\", \"fd00::9\"]"), "",
			"            alpha\n            bindto 10.0.0.9\n        }\n", nil},
		{"check-by-name", checkedBy("type = \"https\"\nhost = \"www.example.org\"\ntls-verify = false"), "",
			"            enable_sni\n            url {\n", nil},
		{"check-by-the-same-name", checkedBy("type = \"https\"\nhost = \"a.example\"\ntls-name = \"a.example\"\n" +
			"tls-verify = false"), "", "            enable_sni\n            url {\n", nil},
		{"check-by-another-name", checkedBy("type = \"https\"\nhost = \"a.example\"\ntls-name = \"b.example\"\n" +
			"tls-verify = false"), "", "            url {\n",
			[]string{"keepalived has no TLS name other than the host"}},
		{"check-without-counterpart", dnat(`"192.0.2.10:80"`, "[health]\ntype = \"tcp\"\nrise = 4\n"+
			"slow-start = \"10s\"\nagree = 2\non-silence = \"up\"\npanic = \"30%\""), "", "TCP_CHECK {\n", []string{
			"key health.slow-start of farm web", "key health.agree of farm web", "key health.on-silence of farm web",
			"key health.panic of farm web", "backends of farm web are healthy after 4 checks that pass"}},
		{"check-with-defaults", dnat(`"192.0.2.10:80-81"`, "[backends.b2]\naddress = \"10.0.0.2\"\n"+
			"[health]\ntype = \"tcp\"\nport = 80"), "", "TCP_CHECK {\n",
			[]string{"backends of farm web are healthy after 2 checks that pass"}},
		{"slow-start-of-a-backend", dnat(`"192.0.2.10:80"`, "[backends.b2]\naddress = \"10.0.0.2\"\n"+
			"health.slow-start = \"10s\""), "", "real_server", []string{"key health.slow-start of farm web"}},
		{"long-persistence", dnat(`"192.0.2.10:80"`, "[persistence]\ntimeout = \"960h\""), " -p 2678400\n",
			"    persistence_timeout 2678400\n", []string{"persistence.timeout of farm web is longer than 31 days"}},
		{"many-connections", dnat(`"192.0.2.10:80"`, "[backends.b2]\naddress = \"10.0.0.2\"\nconnections = 100000"),
			" -x 65535\n", "        uthreshold 100000\n", []string{"backend b2 has more than 65535 connections"}},
		{"direct", "mode = \"dsr\"\nlisten = \"192.0.2.10:80\"\ninterfaces = \"eth0\"\nscheduler = \"maglev\"\n" +
			"hash-on = [\"source-address\", \"source-port\"]\n[backends.b1]\naddress = \"10.0.0.1\"\n",
			"-A -t 192.0.2.10:80 -s mh -b mh-fallback,mh-port\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 1\n",
			"    lvs_sched mh\n    mh-fallback\n    mh-port\n    lvs_method DR\n", nil},
		{"per-packet", "mode = \"dsr\"\nlisten = \"192.0.2.10:53/udp\"\ninterfaces = \"eth0\"\n" +
			"scheduler = \"round-robin\"\nper-packet = true\n[backends.b1]\naddress = \"10.0.0.1\"\n",
			"-A -u 192.0.2.10:53 -s wrr -o\n-a -u 192.0.2.10:53 -r 10.0.0.1:53 -g -w 1\n",
			"    lvs_sched wrr\n    lvs_method DR\n    ops\n    protocol UDP\n", nil},
		{"stateless", "mode = \"stateless\"\nlisten = \"192.0.2.10:80\"\n[backends.b1]\naddress = \"10.0.0.1\"\n",
			"", "",
			[]string{"farm web has mode stateless"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			rules, conf, losses := exported(t, test.farm)
			if !strings.Contains(rules, test.rule) || test.rule == "" && test.statement == "" && rules+conf != "" {
				t.Errorf("no %q in\n%s", test.rule, rules)
			}
			if !strings.Contains(conf, test.statement) {
				t.Errorf("no %q in\n%s", test.statement, conf)
			}
			keepalivedReads(t, conf)
			if strings.Contains(test.farm, "[health]") {
				test.losses = append(test.losses, "IPVS has no checks, so backends of farm web")
			}
			if n := strings.Count(losses, "\n"); n != len(test.losses) {
				t.Errorf("%d losses:\n%s", n, losses)
			}
			for _, l := range test.losses {
				if !strings.Contains(losses, l) {
					t.Errorf("no loss %q in\n%s", l, losses)
				}
			}
		})
	}
}

// keepalivedReads lets keepalived test a configuration, if it is installed.
func keepalivedReads(t *testing.T, conf string) {
	t.Helper()
	program, err := exec.LookPath("keepalived")
	if err != nil || conf == "" {
		return
	}
	file := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "-t", "-f", file).CombinedOutput()
	if err != nil {
		t.Errorf("keepalived -t: %v\n%s\n%s", err, out, conf)
	}
}

package ipvsadm

import (
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
)

// imported gives the files and the losses of rules.
func imported(rules string) (files, losses string) {
	r := Import(convert.Input{Name: "rules", Text: []byte(rules), Interface: "eth0"})
	var out, lost strings.Builder
	for _, f := range r.Finish() {
		out.WriteString("== " + f.Name + "\n" + string(f.Text))
	}
	for _, l := range r.Losses {
		lost.WriteString(l.String() + "\n")
	}
	return out.String(), lost.String()
}

const (
	web  = "-A -t 192.0.2.10:80 -s wrr\n"
	web1 = "-a -t 192.0.2.10:80 -r 10.0.0.1:8080 -m -w 1\n"
)

// TestOptions has each option of ipvsadm(8): the keys that it becomes, or its loss.
func TestOptions(t *testing.T) {
	for _, test := range []struct{ rule, rules, key, loss string }{
		{"service", web + web1, `listen = ["192.0.2.10:80"]`, ""},
		{"udp", "-A -u 192.0.2.10:53 -s rr", `listen = ["192.0.2.10:53/udp"]`, ""},
		{"sctp", "-A --sctp-service 192.0.2.10:53 -s rr", `listen = ["192.0.2.10:53/sctp"]`, ""},
		{"ipv6", "-A -t [2001:db8::1]:80 -s rr", `listen = ["[2001:db8::1]:80"]`, ""},
		{"every-port", "-A -t 192.0.2.10:0 -s rr -p", `listen = ["192.0.2.10:1-65535"]`, ""},
		{"long-options", "ipvsadm --add-service --tcp-service=192.0.2.10:80 --scheduler=rr",
			`scheduler = "round-robin"`, ""},
		{"attached-value", "-A -t192.0.2.10:80 -srr", `scheduler = "round-robin"`, ""},
		{"mark", "-A -f 7 -s rr\n-a -f 7 -r 10.0.0.1 -m", "== fwmark-7.toml.incomplete",
			"rules:1: farmc has no services by firewall mark"},
		{"mark-6", "-A -f 7 -6 -s rr", "fwmark-7", "mark 7 into the key listen"},
		{"names", "-A -t www:http -s rr", "", "ipvsadm -S -n"},
		{"server-name", web + "-a -t 192.0.2.10:80 -r www:80 -m", "",
			"rules:2: the address of the server is not numeric"},
		{"edit-service", web + web1 + "-E -t 192.0.2.10:80 -s sh", `scheduler = "hash"`, ""},
		{"delete-service", web + "-D -t 192.0.2.10:80\n-A -t 192.0.2.11:80 -s rr", `listen = ["192.0.2.11:80"]`, ""},
		{"clear", web + "-C\n-A -t 192.0.2.11:80 -s rr", `listen = ["192.0.2.11:80"]`, ""},
		{"edit-server", web + web1 + "-e -t 192.0.2.10:80 -r 10.0.0.1:8080 -m -w 9", "weight = 9", ""},
		{"delete-server", web + web1 + "-d -t 192.0.2.10:80 -r 10.0.0.1:8080", "[backends]\n", ""},
		{"twice", web + web, "", "rules:2: the service exists already"},
		{"server-without-service", web1, "", "rules:1: the server belongs to no service"},
		{"wlc", "-A -t 192.0.2.10:80 -s wlc\n" + web1, `scheduler = "least-connections"`,
			"rules:1: scheduler wlc compares servers"},
		{"wlc-direct", "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g", `scheduler = "maglev"`,
			"rules:1: scheduler wlc counts open connections"},
		{"lc", "-A -t 192.0.2.10:80 -s lc\n" + web1, `scheduler = "least-connections"`, "scheduler lc compares"},
		{"no-scheduler", "-A -t 192.0.2.10:80\n" + web1, `scheduler = "least-connections"`, "scheduler wlc compares"},
		{"sed", "-A -t 192.0.2.10:80 -s sed", `scheduler = "least-connections"`, "scheduler sed compares"},
		{"nq", "-A -t 192.0.2.10:80 -s nq", `scheduler = "least-connections"`, "scheduler nq compares"},
		{"lblc", "-A -t 192.0.2.10:80 -s lblc", `hash-on = ["destination-address"]`, "scheduler lblc sends"},
		{"lblcr", "-A -t 192.0.2.10:80 -s lblcr", `hash-on = ["destination-address"]`, "scheduler lblcr sends"},
		{"dh", "-A -t 192.0.2.10:80 -s dh", `hash-on = ["destination-address"]`, ""},
		{"sh", "-A -t 192.0.2.10:80 -s sh -b sh-fallback", `hash-on = ["source-address"]`, ""},
		{"sh-without-fallback", "-A -t 192.0.2.10:80 -s sh", `scheduler = "hash"`,
			"without sh-fallback IPVS refuses"},
		{"sh-port", "-A -t 192.0.2.10:80 -s sh -b sh-port,sh-fallback",
			`hash-on = ["source-address", "source-port"]`, ""},
		{"mh", "-A -t 192.0.2.10:80 -s mh -b mh-port,mh-fallback", `scheduler = "maglev"`, ""},
		{"flag", "-A -t 192.0.2.10:80 -s rr -b flag-3", "", "scheduler rr has no flag flag-3"},
		{"fo", "-A -t 192.0.2.10:80 -s fo\n" + web1 + "-a -t 192.0.2.10:80 -r 10.0.0.2:8080 -m -w 9",
			"[backends.\"10.0.0.1-8080\"]\naddress = \"10.0.0.1\"\nport = 8080\npriority = 2\n", ""},
		{"ovf", "-A -t 192.0.2.10:80 -s ovf\n" + web1, "", "scheduler ovf sends connections beyond"},
		{"twos", "-A -t 192.0.2.10:80 -s twos", `scheduler = "least-connections"`, "scheduler twos"},
		{"unknown-scheduler", "-A -t 192.0.2.10:80 -s \x1b[1m", "", "does not know the scheduler �[1m"},
		{"persistent", "-A -t 192.0.2.10:80 -s rr -p", "timeout = \"300s\"\nrenew = \"packet\"", ""},
		{"persistent-time", "-A -t 192.0.2.10:80 -s rr -p 50", "timeout = \"50s\"", ""},
		{"persistent-for-long", "-A -t 192.0.2.10:80 -s rr -p 99999999", "timeout = \"31536000s\"",
			"365 days at most"},
		{"netmask", "-A -t 192.0.2.10:80 -s rr -p 50 -M 255.255.0.0", "prefix = [16, 128]", ""},
		{"persistent-direct", "-A -t 192.0.2.10:80 -s rr -p 50\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g",
			"timeout = \"50s\"\n\n#", ""},
		{"ftp", "-A -t 192.0.2.10:21 -s rr", "", `rules:1: IPVS translates FTP if the module ip_vs_ftp is loaded`},
		{"netmask-6", "-A -t [2001:db8::1]:80 -s rr -p 50 -M 64", "prefix = [32, 64]", ""},
		{"netmask-with-holes", "-A -t 192.0.2.10:80 -s rr -p 50 -M 255.0.255.0", "", "255.0.255.0 is not a netmask"},
		{"engine", "-A -t 192.0.2.10:80 -s rr -p 50 --pe sip", "", "no persistence engines, such as sip"},
		{"one-packet", "-A -u 192.0.2.10:53 -s rr -o", "", "one-packet scheduling"},
		{"one-packet-long", "-A -u 192.0.2.10:53 -s rr --ops", "", "one-packet scheduling"},
		{"one-packet-direct", "-A -u 192.0.2.10:53 -s rr -o\n-a -u 192.0.2.10:53 -r 10.0.0.1:53 -g",
			"per-packet = true\nscheduler = \"round-robin\"", ""},
		{"one-packet-by-default", "-A -u 192.0.2.10:53 -o\n-a -u 192.0.2.10:53 -r 10.0.0.1:53 -g",
			"per-packet = true", "scheduler wlc counts open connections"},
		{"one-packet-of-a-hash", "-A -u 192.0.2.10:53 -s mh -b mh-fallback -o\n-a -u 192.0.2.10:53 -r 10.0.0.1:53 -g",
			`scheduler = "maglev"`, ""},
		{"one-packet-and-persistence", "-A -u 192.0.2.10:53 -s rr -p 9 -o\n-a -u 192.0.2.10:53 -r 10.0.0.1:53 -g",
			`scheduler = "maglev"`, "one-packet scheduling"},
		{"twos-direct", "-A -t 192.0.2.10:80 -s twos\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g", `scheduler = "maglev"`,
			"scheduler twos counts open connections"},
		{"direct", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g", `mode = "dsr"`, ""},
		{"direct-by-default", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80", `interfaces = ["eth0"]`, ""},
		{"direct-with-port", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:81 -g", `mode = "dsr"`,
			"IPVS ignores the port 81"},
		{"tunnel", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -i --tun-type gue --tun-port 6080 --tun-csum",
			`mode = "dsr"`,
			"farmc has no tunnels"},
		{"mixed", web + web1 + "-a -t 192.0.2.10:80 -r 10.0.0.2:80 -g", "state = \"down\"",
			"rules:3: the server has direct routing"},
		{"weight-0", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 0", `state = "drain"`, ""},
		{"weights-by-divisor", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 5000\n" +
			"-a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 10000", "weight = 2", ""},
		{"weights-rounded", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 5001\n" +
			"-a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 10000", "weight = 500", "weights are 1000 at most"},
		{"weight-no-number", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w x", "", "option -w has no number"},
		{"weights-of-rr", "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 7",
			"[backends.\"10.0.0.1-80\"]\naddress = \"10.0.0.1\"\n", ""},
		{"upper", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -x 9", "connections = 9", ""},
		{"upper-direct", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -x 9", "", "the upper threshold has no effect"},
		{"lower", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -x 9 -y 5", "", "no lower threshold"},
		{"loopback", web + "-a -t 192.0.2.10:80 -r 127.0.0.1:80 -m", "", "127.0.0.1 is a loopback address"},
		{"set", "--set 900 120 300\n" + web + web1, "established = \"900s\"\nhalf-closed = \"120s\"\n", ""},
		{"set-0", "--set 900 0 0\n" + web + web1, "established = \"900s\"\n\n#", ""},
		{"set-wrong", "--set 900\n" + web + web1, "", "the timeouts are not three numbers"},
		{"daemon", "--start-daemon master --mcast-interface eth0 --syncid 1 --sync-maxlen 1 --mcast-group 224.0.0.81 " +
			"--mcast-port 1 --mcast-ttl 1", "", "no connection synchronization daemon"},
		{"list", "-L -n --stats --rate --thresholds --persistent-conn --tun-info --sort --nosort --exact -c " +
			"--timeout --daemon",
			"", "command -L configures nothing"},
		{"zero", "-Z", "", "command -Z configures nothing"},
		{"bundled", "-At 192.0.2.10:80 -s wrr\n-at192.0.2.10:80 -r 10.0.0.1:80 -mw 3", "weight = 3\n", ""},
		{"option-without-value", "-A -t 192.0.2.10:80 -s", "", "rules:1: option -s has no value"},
		{"set-twice", "--set 900 0 0\n--set 0 60 300\n" + web + web1, "established = \"900s\"\nhalf-closed = \"60s\"\n",
			""},
		{"every-port-without-p", "-A -t 192.0.2.10:0 -s rr", `listen = ["192.0.2.10:1-65535"]`,
			"rules:1: IPVS takes port 0 with -p alone"},
		{"unknown-option", web + "-a -t 192.0.2.10:80 -r 10.0.0.1:80 -m --frob 5", "", `unknown option "--frob"`},
		{"no-command", "frob", "", "the line has no command of ipvsadm"},
		{"comment", "# -A -t 192.0.2.10:80\n\n" + web + web1, `mode = "dnat"`, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			files, losses := imported(test.rules)
			if !strings.Contains(files, test.key) {
				t.Errorf("no %q in\n%s", test.key, files)
			}
			if !strings.Contains(losses, test.loss) {
				t.Errorf("losses:\n%s\nwant %q", losses, test.loss)
			}
		})
	}
}

// TestLinesOfAListing: a line that is no rule has one loss.
func TestLinesOfAListing(t *testing.T) {
	const want = "rules:1: the line has no command of ipvsadm: write the rules anew with ipvsadm -S -n\n"
	if _, losses := imported("TCP  192.0.2.1:80 rr"); losses != want {
		t.Errorf("losses:\n%s", losses)
	}
}

// TestAllThatCanBeKeptIsKept: rules without a loss have none.
func TestAllThatCanBeKeptIsKept(t *testing.T) {
	if files, losses := imported(web + web1); losses != "" || strings.Contains(files, "incomplete") {
		t.Errorf("%s%s", files, losses)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(web + web1 + "--set 1 2 3\n-A -f 1 -s fo -p 5 -M 255.0.0.0\n-a -f 1 -r 10.0.0.1 -m -w 99999")
	f.Fuzz(func(t *testing.T, rules string) {
		r := Import(convert.Input{Name: "rules", Text: []byte(rules)})
		for _, file := range r.Finish() {
			if strings.Contains(file.Name, "/") {
				t.Errorf("a file %q", file.Name)
			}
		}
		for _, l := range r.Losses {
			if strings.HasPrefix(l.What, "farmc refuses") {
				t.Errorf("%s", l)
			}
		}
	})
}

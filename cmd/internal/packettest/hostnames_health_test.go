package packettest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestHealthOfHostnames: each address of a hostname has checks and words of its own. One that fails takes no clients,
// in both families, and the others stay. The words about an address that leaves DNS are forgotten, also if they are
// older than farmc watch, and an address that joins serves, as start = "up" says.
func TestHealthOfHostnames(t *testing.T) {
	t.Parallel()
	b := newCheckedHost(t)
	web := func(of shares) step {
		return eventually{request{by: "tcp", to: service2, shares: of, sees: "balancer"}}
	}
	all := shares{"b1:8085": 1, "b2:8085": 1}
	must(t, steps{eventually{b.health("app@10.2.0.11", true)}, eventually{b.health("app@fd00:2::12", true)},
		b.dropIns(0), web(all)}.do(b.testbed))
	b.server.Close()
	must(t, steps{eventually{b.dropIns(2)}, web(shares{"b2:8085": 1})}.do(b.testbed))
	if status := b.farmStatus(); !strings.Contains(status, "app@10.2.0.11: unhealthy by checker: connection refused") {
		t.Errorf("the status is\n%s", status)
	}
	b.probes(map[string]int{"app": 2, "app@10.2.0.11": 1, "app@10.2.0.12": 0})
	t.Log("the failed address leaves DNS, and another one joins")
	must(t, steps{b.answers(12, 13), eventually{b.watch.says("backend app@10.2.0.13 new")}, eventually{b.dropIns(0)},
		web(shares{"b2:8085": 1, "b3:8085": 1}), eventually{b.health("app@10.2.0.13", true)},
		b.refused("app@10.2.0.11", "no such backend"), b.refused("app", "a word is about one of its addresses"),
	}.do(b.testbed))
	t.Log("the failed address comes back, and fails anew, then recovers")
	must(t, steps{b.answers(11, 12), eventually{b.dropIns(2)}, web(shares{"b2:8085": 1})}.do(b.testbed))
	b.serveAgain()
	must(t, steps{eventually{b.dropIns(0)}, web(all)}.do(b.testbed))
	b.end()
}

// checkedHost is a balancer whose farm web has one backend, app, with a hostname. dnsmasq knows its addresses.
type checkedHost struct {
	*checked
	hosts string // file of dnsmasq
	dns   *watcher
}

func newCheckedHost(t *testing.T) *checkedHost {
	t.Helper()
	needs(t, "dnsmasq")
	b := &checkedHost{checked: &checked{testbed: newTestbed(t, netlab.Options{}), t: t, dir: t.TempDir(),
		run: t.TempDir(), state: t.TempDir(), program: farmc(t)}}
	b.socket = filepath.Join(b.run, "api.sock")
	for _, h := range b.Backends[1:] {
		_, err := h.Serve(8085)
		must(t, err)
	}
	b.serveAgain()
	b.startDNS()
	must(t, writeFile(filepath.Join(b.dir, "web.toml"), `listen = ["192.0.2.2:80", "[2001:db8::2]:80"]
		health = { type = "tcp", interval = "200ms", timeout = "2s", rise = 2, fall = 2 }
		backends.app = { address = "app.internal", port = 8085 }
	`))
	b.leaveDropIn("web.toml.d/zz-farmc.health.at-app_10.2.0.99.0123456789ab.toml")
	b.watch = startFarmc(t, b.testbed, "unshare", "-m", "sh", "-c", fmt.Sprintf("mount --bind %[1]s/resolv.conf "+
		"/etc/resolv.conf && mount --bind %[1]s/empty /etc/hosts && exec %[2]s watch --dir %[3]s --dir %[4]s "+
		"--state-dir %[5]s --api unix:%[6]s", filepath.Dir(b.hosts), b.program, b.dir, b.run, b.state, b.socket))
	b.checker = startFarmc(t, b.testbed, b.program, "health", "--socket", b.socket, "--name", "checker", "--key",
		"/dev/null")
	return b
}

// leaveDropIn writes the word of an earlier farmc watch about an address that left DNS.
func (b *checkedHost) leaveDropIn(name string) {
	b.t.Helper()
	must(b.t, os.MkdirAll(filepath.Dir(filepath.Join(b.run, name)), 0o755))
	text := []byte("[backends.\"app@10.2.0.99\"]\nstate = \"down\"\n")
	must(b.t, os.WriteFile(filepath.Join(b.run, name), text, 0o644))
}

// startDNS starts dnsmasq on the balancer, where every machine of the lab serves on port 53 already.
func (b *checkedHost) startDNS() {
	b.t.Helper()
	dir := b.t.TempDir()
	b.hosts = filepath.Join(dir, "hosts")
	must(b.t, os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644))
	must(b.t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644))
	must(b.t, b.shell("nft add table ip names\n"+
		"nft add chain ip names output { type nat hook output priority 0; }\n"+
		"nft add rule ip names output ip daddr 127.0.0.1 udp dport 53 redirect to :5353")())
	b.writeHosts(11, 12)
	b.dns = startFarmc(b.t, b.testbed, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
		"--no-hosts", "--user=root", "--pid-file=", "--port=5353", "--listen-address=127.0.0.1", "--bind-interfaces",
		"--local=/internal/", "--addn-hosts="+b.hosts)
}

func (b *checkedHost) writeHosts(last ...int) {
	b.t.Helper()
	text := ""
	for _, n := range last {
		text += fmt.Sprintf("10.2.0.%[1]d app.internal\nfd00:2::%[1]d app.internal\n", n)
	}
	must(b.t, os.WriteFile(b.hosts, []byte(text), 0o644))
}

// answers has dnsmasq answer with the addresses of two backends.
func (b *checkedHost) answers(last ...int) step {
	return stepFunc(func(*testbed) error {
		b.writeHosts(last...)
		return b.dns.Process.Signal(syscall.SIGHUP)
	})
}

// health is an error unless there is a word about an address that says so.
func (b *checkedHost) health(backend string, healthy bool) step {
	return stepFunc(func(*testbed) error {
		word, err := wordOf(b.socket, "web", backend)
		if err == nil && (word == nil || *word != healthy) {
			err = fmt.Errorf("no word that %s is healthy: %t\n%s", backend, healthy, b.checker.said.String())
		}
		return err
	})
}

// dropIns is an error unless so many addresses are out by words.
func (b *checkedHost) dropIns(want int) step {
	return stepFunc(func(*testbed) error {
		found, err := filepath.Glob(filepath.Join(b.run, "web.toml.d", "*"))
		if err == nil && len(found) != want {
			err = fmt.Errorf("the drop-ins are %v, want %d\n%s\n%s", found, want, b.checker.said.String(),
				b.watch.said.String())
		}
		return err
	})
}

// refused is an error unless a word about the backend is refused with these words.
func (b *checkedHost) refused(backend, words string) step {
	return stepFunc(func(*testbed) error {
		err := put(b.socket, "/v1/farms/web/backends/"+backend+"/health", `{"healthy": false}`)
		if err == nil || !strings.Contains(err.Error(), words) {
			return fmt.Errorf("a word about %s: %w", backend, err)
		}
		return nil
	})
}

// farmStatus is the output of farmc status web.
func (b *checkedHost) farmStatus() string {
	b.t.Helper()
	out, err := b.Balancer.Run(b.ctx, "", b.program, "status", "--dir", b.dir, "--dir", b.run, "--state-dir", b.state,
		"web")
	must(b.t, err)
	return out
}

// probes compares the failed checks that farmc probe finds with the wanted ones.
func (b *checkedHost) probes(failed map[string]int) {
	b.t.Helper()
	for backend, want := range failed {
		out, err := b.Balancer.Run(b.ctx, "", b.program, "probe", "--dir", b.dir, "--dir", b.run, "--state-dir",
			b.state, "web", backend)
		if n := strings.Count(out+fmt.Sprint(err), "connection refused"); n != want {
			b.t.Errorf("%d checks of %s fail, not %d: %v\n%s", n, backend, want, err, out)
		}
	}
}

package packagetest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	deb   = flag.String("deb", "", "the `package` to install; without it the tests are skipped")
	older = flag.String("older", "", "the `package` of an older farmc, to upgrade from and to go back to")
)

// network makes the machine a balancer between a client and two backends, in namespaces beside its own.
const network = `set -e
for side in client backend; do
	ip netns add $side
	ip link add $side type veth peer name eth0 netns $side
	ip link set $side up
	ip -n $side link set lo up
	ip -n $side link set eth0 up
done
ip address add 198.51.100.1/24 dev client; ip address add 2001:db8:c::1/64 dev client nodad
ip address add 10.2.0.1/24 dev backend; ip address add fd00:2::1/64 dev backend nodad
ip address add 192.0.2.1/32 dev lo; ip address add 2001:db8::1/128 dev lo
ip -n client address add 198.51.100.2/24 dev eth0; ip -n client address add 2001:db8:c::2/64 dev eth0 nodad
ip -n client route add default via 198.51.100.1; ip -n client route add default via 2001:db8:c::1
for n in 11 12; do
	ip -n backend address add 10.2.0.$n/24 dev eth0; ip -n backend address add fd00:2::$n/64 dev eth0 nodad
done
ip -n backend route add default via 10.2.0.1; ip -n backend route add default via fd00:2::1
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`

const (
	inClient  = "nsenter --net=/run/netns/client /root/peer "
	inBackend = "nsenter --net=/run/netns/backend /root/peer "
	service4  = "192.0.2.1:80"
	service6  = "[2001:db8::1]:80"
)

// connect makes the network, and starts the backends.
func (m *Machine) connect() {
	m.t.Helper()
	m.Do("%s", network)
	for _, b := range []string{"11", "12"} {
		t := m.Start(inBackend + "serve b" + b + " 10.2.0." + b + ":8080 [fd00:2::" + b + "]:8080")
		m.awaitOutput(t.output, "ready")
	}
}

func (m *Machine) awaitOutput(out fmt.Stringer, word string) {
	m.t.Helper()
	for deadline := time.Now().Add(commandTimeout); ; time.Sleep(10 * time.Millisecond) {
		if strings.Contains(out.String(), word) {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("no %q, but\n%s\n%s", word, out, m.journal())
		}
	}
}

// web is a farm of these backends.
func web(backends ...string) string {
	text := "listen = [\"192.0.2.1:80\", \"[2001:db8::1]:80\"]\n"
	for _, b := range backends {
		text += fmt.Sprintf("[backends.b%s]\naddress = [\"10.2.0.%s\", \"fd00:2::%s\"]\nport = 8080\n", b, b, b)
	}
	return text
}

// serves waits until clients reach this backend, in both families.
func (m *Machine) serves(backend string) {
	m.t.Helper()
	for _, service := range []string{service4, service6} {
		m.Until("[ \"$(%srequest %s)\" = b%s ]", inClient, service, backend)
	}
}

// traffic sends data and opens connections until the returned function is called. That function fails the test if a
// connection was lost.
func (m *Machine) traffic() (stop func()) {
	m.t.Helper()
	var talks []program
	for _, service := range []string{service4, service6} {
		for _, what := range []string{"hold ", "reconnect "} {
			t := m.Start(inClient + what + service)
			m.awaitOutput(t.output, "ready")
			talks = append(talks, t)
		}
	}
	return func() {
		m.t.Helper()
		for _, t := range talks {
			t.stop.Close()
			if err := t.Wait(); err != nil {
				m.t.Errorf("%s: %v\n%s", t.line, err, t.output)
			}
			m.t.Logf("%s: %s", strings.TrimPrefix(t.line, inClient),
				strings.Join(strings.Fields(t.output.String()), " "))
		}
	}
}

// loadedDigest is the digest of the loaded farms.
func (m *Machine) loadedDigest() string {
	m.t.Helper()
	out, _ := m.Try("nft list table inet farmc")
	return digest.FindString(out)
}

// mustBeLoaded is loadedDigest, and fails without one.
func (m *Machine) mustBeLoaded() string {
	m.t.Helper()
	now := m.loadedDigest()
	if now == "" {
		m.t.Fatalf("no farms are loaded\n%s", m.journal())
	}
	return now
}

// awaitLoaded waits until the kernel has the rules with a digest.
func (m *Machine) awaitLoaded(digest string) {
	m.t.Helper()
	for deadline := time.Now().Add(commandTimeout); m.loadedDigest() != digest; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("the loaded digest is %q, want %q\n%s", m.loadedDigest(), digest, m.journal())
		}
	}
}

var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// awaitNoDiff waits until the kernel has the rules of the farms.
func (m *Machine) awaitNoDiff() {
	m.t.Helper()
	m.Until("farmc diff")
}

// machineFiles are the files in /root of the machine: the package, older and newer ones, and this binary as peer.
func machineFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `set -e
install "$1" "$3/peer"
cp "$2" "$3/farmc.deb"
as() {
	dpkg-deb -R "$1" "$4/tree"
	sed -i "s/^Version: .*/Version: $2/" "$4/tree/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$4/tree" "$3/farmc-$2.deb"
	rm -r "$4/tree"
}
as "$2" 0.0.1 "$3" "$4"
as "$2" 99 "$3" "$4"
[ -z "$5" ] || as "$5" 0.0.2 "$3" "$4"
[ -z "$6" ] || cp "$6" "$3/farmc-etcd.deb"
[ -z "$7" ] || cp "$7" "$3/etcd"`
	out, err := exec.Command("sh", "-c", script, "files", self, *deb, dir, t.TempDir(), *older, *etcdDeb,
		*etcd).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// webAt is web on another port.
func webAt(port string) string { return strings.ReplaceAll(web("11", "12"), `:80"`, `:`+port+`"`) }

package ipvs_test

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// kernelFarms are farms with each feature that rules of ipvsadm have. The names sort as the addresses do.
var kernelFarms = map[string]string{
	"a-weights": `mode = "dnat"
listen = ["192.0.2.10:80,443", "[2001:db8::10]:80"]
scheduler = "round-robin"
[backends.b1]
address = ["10.0.0.1", "fd00::1"]
port = 8080
weight = 5
connections = 100
[backends.b2]
address = "10.0.0.2"
state = "drain"
`,
	"b-persistent": `mode = "dnat"
listen = ["192.0.2.11:1-65535", "[2001:db8::11]:443"]
scheduler = "round-robin"
[persistence]
on = "source-address"
timeout = "90s"
renew = "packet"
prefix = [24, 64]
[backends.b1]
address = ["10.0.0.1", "fd00::1"]
`,
	"c-udp-and-sctp": `mode = "dnat"
listen = ["192.0.2.12:53/udp", "192.0.2.12:5060/sctp"]
scheduler = "round-robin"
[backends.b1]
address = "10.0.0.1"
`,
	"d-hash": `mode = "dnat"
listen = "192.0.2.13:80"
scheduler = "hash"
hash-on = ["source-address", "source-port"]
[backends.b1]
address = "10.0.0.1"
`,
	"e-maglev": `mode = "dsr"
listen = ["192.0.2.14:80", "[2001:db8::14]:80"]
interfaces = "eth0"
scheduler = "maglev"
[backends.b1]
address = ["10.0.0.1", "fd00::1"]
weight = 3
`,
	"g-one-packet": `mode = "dsr"
listen = "192.0.2.24:53/udp"
interfaces = "eth0"
scheduler = "round-robin"
per-packet = true
[backends.b1]
address = "10.0.0.1"
weight = 2
`,
	"f-network": `mode = "dnat"
listen = ["192.0.2.16/30:80", "192.0.2.20:7000-7003"]
scheduler = "round-robin"
[backends.b1]
address = "10.0.0.1"
`,
}

// TestKernelReadsExports writes farms as rules, and lets ipvsadm restore them. The rules that it saves are the same but
// for thresholds, which ipvsadm 1.31 does not save, and become the same farms. Without IPVS in the kernel the test is
// skipped. On a machine that has it, root runs it so:
//
//	CGO_ENABLED=0 go test -c -o ipvs.test ./cmd/internal/convert/ipvs && ./ipvs.test -test.run Kernel -test.v
func TestKernelReadsExports(t *testing.T) {
	written := rules(t, kernelFarms)
	saved := throughKernel(t, written)
	want := sorted(strings.ReplaceAll(written, " -x 100", ""))
	if !slices.Equal(sorted(saved), want) {
		t.Errorf("the kernel has\n%s\nwant\n%s", saved, written)
	}
	if again := rules(t, imported(t, saved)); !slices.Equal(sorted(again), want) {
		t.Errorf("the import of the saved rules is exported as\n%s\nwant\n%s", again, written)
	}
}

// throughKernel restores rules in a new network namespace, and saves them.
func throughKernel(t *testing.T, rules string) string {
	t.Helper()
	if _, err := exec.LookPath("ipvsadm"); err != nil {
		t.Skip(err)
	}
	// Without an interface that is up, IPVS takes the address of a server for none of a single host.
	saving := exec.CommandContext(t.Context(), "sh", "-c",
		"ip link set lo up && ipvsadm -L -n >/dev/null && echo ready && ipvsadm -R && ipvsadm -S -n")
	saving.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	saving.Stdin = strings.NewReader(rules)
	var errors strings.Builder
	saving.Stderr = &errors
	out, err := saving.Output()
	saved, ready := strings.CutPrefix(string(out), "ready\n")
	switch {
	case !ready:
		t.Skipf("no IPVS: %v: %s", err, errors.String())
	case err != nil:
		t.Fatalf("%v: %s", err, errors.String())
	}
	return saved
}

// sorted gives the lines in order. The kernel lists services by a hash, and the last server first.
func sorted(rules string) []string {
	lines := strings.Split(strings.TrimSpace(rules), "\n")
	slices.Sort(lines)
	return lines
}

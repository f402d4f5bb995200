package packettest

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestManyFailedBackends: the network of a machine with 1,000 backends of 100 farms fails, and comes back. All
// backends leave in one load, and come back in one. A second load is for backends whose checks a busy test machine
// delays.
func TestManyFailedBackends(t *testing.T) {
	t.Parallel()
	b := newManyChecked(t)
	for _, failed := range []bool{true, false} {
		before, began := b.loads(), time.Now()
		change := "nft delete table inet block"
		if failed {
			change = `nft add table inet block
				nft add chain inet block out { type filter hook output priority 0 ; }
				nft add rule inet block out ip daddr 10.2.0.11 tcp dport 9000-9009 drop`
		}
		must(t, runOn{"balancer", change}.do(b.testbed))
		b.awaitMetrics(fmt.Sprintf("} %d", map[bool]int{true: 0, false: 1}[failed]), "farmc_backend_healthy{")
		loads := b.loads() - before
		t.Logf("failed: %t: 1,000 backends, %d loads, %s", failed, loads, time.Since(began).Round(10*time.Millisecond))
		if loads < 1 || loads > 2 {
			t.Errorf("failed: %t: %d loads", failed, loads)
		}
	}
	b.end()
}

// newManyChecked is a balancer with 100 farms of ten backends each, all on one machine.
func newManyChecked(t *testing.T) *checked {
	t.Helper()
	b := &checked{testbed: newTestbed(t, netlab.Options{}), t: t, dir: t.TempDir(), run: t.TempDir(),
		state: t.TempDir(), program: farmc(t)}
	b.socket = filepath.Join(b.run, "api.sock")
	var ports []uint16
	backends := `health = { type = "tcp", interval = "1s", timeout = "500ms", rise = 2, fall = 2 }` + "\n"
	for i := range 10 {
		ports = append(ports, uint16(9000+i))
		backends += fmt.Sprintf("backends.b%d = { address = \"10.2.0.11\", port = %d }\n", i, 9000+i)
	}
	_, err := b.Backends[0].Serve(ports...)
	must(t, err)
	for i := range 100 {
		must(t, writeFile(filepath.Join(b.dir, fmt.Sprintf("f%d.toml", i)),
			fmt.Sprintf("listen = \"192.0.2.1:%d\"\n%s", 8000+i, backends)))
	}
	b.startWatch()
	b.checker = startFarmc(t, b.testbed, b.program, "health", "--socket", b.socket, "--name", "checker", "--key",
		"/dev/null")
	b.awaitMetrics("", "farmc_health_checks_total{", `result="healthy"`)
	return b
}

// awaitMetrics waits until 1,000 metrics begin with a text, have the others, and end with a value.
func (b *checked) awaitMetrics(end, begin string, others ...string) {
	b.t.Helper()
	must(b.t, eventually{stepFunc(func(*testbed) error {
		n := 0
		for line := range strings.Lines(b.metrics()) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, begin) && strings.HasSuffix(line, end) && hasAll(line, others) {
				n++
			}
		}
		if n != 1000 {
			return fmt.Errorf("%d metrics %s ... %s", n, begin, end)
		}
		return nil
	})}.do(b.testbed))
}

func hasAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// loads is the number of loads of farmc watch that changed the kernel's rules.
func (b *checked) loads() (n int) {
	b.t.Helper()
	for line := range strings.Lines(b.metrics()) {
		var value int
		if at := strings.LastIndex(line, "}"); strings.HasPrefix(line, "farmc_loads_total{") {
			fmt.Sscan(line[at+1:], &value)
			if !strings.Contains(line, `way="none"`) {
				n += value
			}
		}
	}
	return n
}

// metrics are the metrics of farmc watch.
func (b *checked) metrics() string {
	b.t.Helper()
	c := unixClient(b.socket)
	defer c.CloseIdleConnections()
	answer, err := c.Get("http://farmc/metrics")
	must(b.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(b.t, err)
	return string(text)
}

package packettest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/netlab"
)

// The bytes of a backend are the ones of the connections that began since the kernel counts, also of closed ones. They
// have no value, and not 0, while the kernel counts none.
func TestBytesOfBackends(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, socket := t.TempDir(), filepath.Join(t.TempDir(), "api.sock")
	must(t, writeFile(filepath.Join(dir, "web.toml"), "mode = \"snat\"\nlisten = ["+listen1+"]\n[backends.b1]\n"+
		"address = [\"10.2.0.11\", \"fd00:2::11\"]\n"))
	must(t, writeFile(filepath.Join(dir, "direct.toml"), "mode = \"stateless\"\nlisten = \"192.0.2.9:80\"\n"+
		"[backends.b1]\naddress = \"10.2.0.12\"\n"))
	w := startFarmc(t, s, farmc(t), "watch", "--dir", dir, "--state-dir", t.TempDir(), "--api", "unix:"+socket)
	must(t, eventually{w.says("2 farms loaded")}.do(s))
	bytes := bytesOf{socket, "web"}
	must(t, accounting("0").do(s))
	must(t, hold{by: "tcp", to: service1}.do(s)) // connections that the kernel does not count
	must(t, bytes.unknown().do(s))

	const size, addresses = 200_000, 2
	must(t, accounting("1").do(s))
	must(t, eventually{bytes.between(0, 0)}.do(s))
	must(t, transfer{"tcp", service1, size}.do(s))
	must(t, echo{}.do(s))
	must(t, eventually{bytes.between(2*addresses*size, 2.4*addresses*size)}.do(s))
	must(t, transfer{"tcp udp", service1, size / 100}.do(s))
	must(t, eventually{bytes.between(2.04*addresses*size, 2.5*addresses*size)}.do(s))
	must(t, bytesOf{socket, "direct"}.unknown().do(s))
	must(t, accounting("0").do(s))
	must(t, eventually{bytes.unknown()}.do(s))
	must(t, w.stop())
}

// accounting sets whether the kernel counts the bytes of connections that begin.
type accounting string

func (a accounting) do(s *testbed) error {
	return s.Balancer.Sysctl(strings.ReplaceAll(conntrack.AccountingSwitch, ".", "/"), string(a))
}

// bytesOf is the metric of the bytes of a farm's backend b1.
type bytesOf struct{ socket, farm string }

func (b bytesOf) read() (float64, bool, error) {
	all, err := scrape(b.socket)
	n, known := all[fmt.Sprintf("farmc_backend_bytes_total{backend=\"b1\",farm=%q}", b.farm)]
	return n, known, err
}

func (b bytesOf) between(least, most float64) step {
	return stepFunc(func(*testbed) error {
		n, known, err := b.read()
		if err == nil && (!known || n < least || n > most) {
			err = fmt.Errorf("%g bytes, known: %t, want %g to %g", n, known, least, most)
		}
		return err
	})
}

func (b bytesOf) unknown() step {
	return stepFunc(func(*testbed) error {
		n, known, err := b.read()
		if err == nil && known {
			err = fmt.Errorf("%g bytes are known", n)
		}
		return err
	})
}

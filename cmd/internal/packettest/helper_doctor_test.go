package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

var (
	defaultLab  netlab.Options
	one4UDP     = files{"web.toml": oneBackend("snat", `"192.0.2.1:80/udp"`, "b1", 0)}
	answeredUDP = attempt{by: "udp", to: "192.0.2.1:80", times: 1, pass: 1}
	silence     = attempt{by: "tcp", to: "192.0.2.1:80", times: 1}
	silenceUDP  = attempt{by: "udp", to: "192.0.2.1:80", times: 1}
)

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

// hintOf is the hint below a message.
func hintOf(out, says string) string {
	_, rest, _ := strings.Cut(out, says)
	_, rest, _ = strings.Cut(rest, "\n  hint: ")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// fails is a command of farmc that fails.
func fails(line string) onHost {
	return func(h *host) error {
		if out, err := h.farmc(line); err == nil {
			return fmt.Errorf("farmc %s succeeds: %s", line, out)
		}
		return nil
	}
}

// loadsElsewhere loads other farms with another state directory.
func loadsElsewhere(h *host) error {
	other := &host{h.testbed, h.program, h.t.TempDir()}
	return errors.Join(os.Mkdir(other.path("run"), 0o755),
		edits(files{"web.toml": oneBackend("snat", listen4, "b2", 0)})(other))
}

// oldNft is nft with another version.
func oldNft(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nft")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n[ \"$1\" = --version ] && echo 'nftables v1.0.2 (Lester Gooch)' ||"+
		" exec nft \"$@\"\n"), 0o755))
	return path
}

// loadedTomorrow is the file of a load before the clock was set back.
var loadedTomorrow = onHost(func(h *host) error {
	tomorrow := time.Now().Add(24 * time.Hour)
	return os.Chtimes(h.path("state/loaded.nft"), tomorrow, tomorrow)
})

// withoutQueues skips the test if the kernel has queues of packets for programs.
var withoutQueues = stepFunc(func(s *testbed) error {
	if queueProbe.do(s) == nil {
		s.t.Skip("this kernel has nft_queue")
	}
	return nil
})

// wholeMachine reports whether tests may change all of the machine: its modules, and limits of all namespaces.
func wholeMachine() bool { return os.Getenv("MACHINE") == "mine" }

var ownMachine = stepFunc(func(s *testbed) error {
	if !wholeMachine() {
		s.t.Skip("unloads a module of the machine: set MACHINE=mine, as in a VM")
	}
	return nil
})

// fillTable fills a share of the table of connection tracking, in percent.
type fillTable int

func (percent fillTable) do(s *testbed) error {
	limit, err := kernelNumber(s.Balancer, "net/netfilter/nf_conntrack_max")
	if err != nil {
		return err
	}
	if limit > 300000 {
		s.t.Skipf("the table has room for %d connections", limit)
	}
	return s.Balancer.Do(func() error { return fillConntrack(limit * int(percent) / 100) })
}

const emptyTable = runs("conntrack -F")

// takePorts: one client sends a datagram from each of its ports, which the balancer keeps as its own towards b1.
// Another client takes those that are left: the kernel tries about 250 ports for each of its datagrams.
var takePorts = stepFunc(func(s *testbed) error {
	return s.Client.Do(func() error {
		return errors.Join(sendFromPorts(s.Client.IP4[0], 1024, 1<<16), sendFromPorts(s.Client.IP4[1], 2000, 12000))
	})
})

func sendFromPorts(from netip.Addr, first, end int) error {
	to := &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 80}
	for port := first; port < end; port++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4(), Port: port})
		if err == nil {
			err = unix.Sendto(fd, []byte("hello"), 0, to)
		}
		if err = errors.Join(err, unix.Close(fd)); err != nil && !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
	return nil
}

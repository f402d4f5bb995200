package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// packetModes are the farms through which datagrams are sent.
var packetModes = []struct {
	name, keys, tables string
	port               string // line of each backend
	rest               kind   // kind of all other farms
}{
	{name: "dnat", keys: `mode = "dnat"`, port: "port = 8080", rest: plain},
	{name: "dnat, persistence", keys: `mode = "dnat"`, tables: "[persistence]\n", port: "port = 8080", rest: plain},
	{name: "dnat, new-per-client", keys: `mode = "dnat"`,
		tables: "[limits]\nnew-per-client = { rate = \"1000000/second\", burst = 1000000 }\n", port: "port = 8080",
		rest: plain},
	{name: "dnat, a network denied", keys: `mode = "dnat"`, tables: "[access]\ndeny = [\"203.0.113.64/26\"]\n",
		port: "port = 8080", rest: plain},
	{name: "snat", keys: `mode = "snat"`, port: "port = 8080", rest: kind{keys: `mode = "snat"`}},
	{name: "dsr, hash", keys: "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"", port: `interface = "eth1"`,
		rest: kindNamed("dsr hash")},
	{name: "dsr, maglev", keys: "mode = \"dsr\"\ninterfaces = \"eth0\"", port: `interface = "eth1"`,
		rest: kindNamed("dsr hash")},
	{name: "dsr, persistence", keys: "mode = \"dsr\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"",
		tables: "[persistence]\n", port: `interface = "eth1"`, rest: kindNamed("dsr hash")},
	{name: "stateless at ingress", keys: "mode = \"stateless\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"",
		port: "port = 8080\ninterface = \"eth1\"", rest: kindNamed("stateless at ingress")},
	{name: "stateless at ingress, persistence",
		keys: "mode = \"stateless\"\nscheduler = \"hash\"\ninterfaces = \"eth0\"", tables: "[persistence]\n",
		port: "port = 8080\ninterface = \"eth1\"", rest: kindNamed("stateless at ingress")},
	{name: "stateless", keys: "mode = \"stateless\"\nscheduler = \"hash\"", port: "port = 8080",
		rest: kindNamed("stateless hash")},
	{name: "stateless, persistence", keys: "mode = \"stateless\"\nscheduler = \"hash\"", tables: "[persistence]\n",
		port: "port = 8080", rest: kindNamed("stateless hash")},
}

func kindNamed(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic(name)
}

// Destinations of datagrams: a farm, and a backend that is routed without a farm.
var (
	viaFarm = netip.MustParseAddrPort("192.0.2.1:80")
	routed  = netip.MustParseAddrPort("10.2.0.11:80")
)

// packets measures the additional time of a datagram through a farm, compared to a routed one, for established and for
// new flows. In an emulator with an instruction clock (qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off) the
// time is a number of instructions.
func packets(farmc string, farms []int, rounds int) error {
	b, err := newBench(farmc, rounds)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.printHeader(); err != nil {
		return err
	}
	fmt.Printf("\nns beyond routing, of a datagram        farms  established       new\n")
	for _, m := range packetModes {
		for _, n := range farms {
			if err := m.rest.write(b.path("farms.d"), n-1); err != nil {
				return err
			}
			text := m.keys + "\nlisten = \"192.0.2.1:80/udp\"\n" + m.tables +
				"[backends.b1]\naddress = \"10.2.0.11\"\n" + m.port + "\n[backends.b2]\naddress = \"10.2.0.12\"\n" +
				m.port + "\n"
			if err := os.WriteFile(filepath.Join(b.path("farms.d"), "measured.toml"), []byte(text), 0o644); err != nil {
				return err
			}
			established, newFlow, err := b.costBeyondRouting()
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			fmt.Printf("  %-34s %8d %12d %9d\n", m.name, n, established.Nanoseconds(), newFlow.Nanoseconds())
		}
	}
	return nil
}

// costBeyondRouting loads the farms into a lab of their own, and measures datagrams through the farm and routed ones in
// turn.
func (b *bench) costBeyondRouting() (established, newFlow time.Duration, err error) {
	lab, err := netlab.New(netlab.Options{Backends: 2, BackendVIPs: true})
	if err != nil {
		return 0, 0, err
	}
	defer lab.Close()
	for _, host := range lab.Backends { // a socket that is never read sends no ICMP errors
		for _, port := range []int{80, 8080} {
			socket, err := boundSocket(host, port)
			if err != nil {
				return 0, 0, err
			}
			defer unix.Close(socket)
		}
	}
	if _, err := b.measure(b.farmc, "compile", "--dir", b.path("farms.d"), "-o", b.path("script.nft")); err != nil {
		return 0, 0, err
	}
	inLab := *b
	inLab.lab = lab
	if _, err := inLab.measure("nft", "-f", b.path("script.nft")); err != nil {
		return 0, 0, err
	}
	var shortestTimes [4]time.Duration
	for round := range 20*b.rounds + 1 { // the first round is not counted: neighbour discovery, empty caches
		for i, send := range []func(netip.AddrPort) (time.Duration, error){sendOneFlow, sendManyFlows} {
			for j, to := range []netip.AddrPort{routed, viaFarm} {
				var took time.Duration
				err := lab.Client.Do(func() (err error) {
					took, err = send(to)
					return err
				})
				if err != nil {
					return 0, 0, err
				}
				if at := 2*i + j; round == 1 || round > 1 && took < shortestTimes[at] {
					shortestTimes[at] = took
				}
			}
		}
	}
	return shortestTimes[1] - shortestTimes[0], shortestTimes[3] - shortestTimes[2], nil
}

func boundSocket(host *netlab.Host, port int) (socket int, err error) {
	err = host.Do(func() (err error) {
		if socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(socket, &unix.SockaddrInet4{Port: port})
	})
	return socket, err
}

const datagrams = 200 // of each round; few enough that some rounds are undisturbed

// sendOneFlow sends datagrams of one flow, and gives the time for each.
func sendOneFlow(to netip.AddrPort) (time.Duration, error) {
	socket, err := connectedSocket(to)
	if err != nil {
		return 0, err
	}
	defer unix.Close(socket)
	if err := sendDatagram(socket); err != nil {
		return 0, err
	}
	began := time.Now()
	for range datagrams {
		if err := sendDatagram(socket); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / datagrams, nil
}

// sendManyFlows sends one datagram of each of as many flows, and gives the time for each.
func sendManyFlows(to netip.AddrPort) (time.Duration, error) {
	began := time.Now()
	for range datagrams {
		socket, err := connectedSocket(to)
		if err != nil {
			return 0, err
		}
		err = sendDatagram(socket)
		unix.Close(socket)
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began) / datagrams, nil
}

func connectedSocket(to netip.AddrPort) (int, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return socket, unix.Connect(socket, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
}

// sendDatagram sends a datagram. It ignores ECONNREFUSED, which is the ICMP error for an earlier one.
func sendDatagram(socket int) error {
	_, err := unix.Write(socket, []byte("a datagram"))
	if err == syscall.ECONNREFUSED {
		return nil
	}
	return err
}

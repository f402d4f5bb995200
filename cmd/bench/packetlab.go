package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// A packetLab is a client, a balancer and a backend on links without switches. Frames are dropped where they arrive at
// the client and the backend, so a measured packet costs the sender, two links and the balancer.
type packetLab struct {
	*netlab.Lab
	farmc    string // the program
	dir      string // for files, until Close
	ctx      context.Context
	client   port // sends to the balancer's eth0
	backend  port // sends to the balancer's eth1
	links    float64
	nextPort int
}

// A family is the addresses of one family.
type family struct {
	name                 string
	firstClient, backend netip.Addr
}

// client is the address of one of the clients, by its number.
func (f family) client(n int) netip.Addr {
	address := f.firstClient.AsSlice()
	address[len(address)-1] += byte(n)
	client, _ := netip.AddrFromSlice(address)
	return client
}

var families = []family{
	{"IPv4", netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("10.2.0.11")},
	{"IPv6", netip.MustParseAddr("2001:db8:c::2"), netip.MustParseAddr("fd00:2::11")},
}

// destinations are the addresses and ports that clients send to, by the name of the family.
type destinations map[string]netip.AddrPort

var (
	viaFarm = destinations{"IPv4": netip.MustParseAddrPort("192.0.2.1:80"),
		"IPv6": netip.MustParseAddrPort("[2001:db8::1]:80")}
	viaRoute = destinations{"IPv4": netip.MustParseAddrPort("10.2.0.11:8080"),
		"IPv6": netip.MustParseAddrPort("[fd00:2::11]:8080")}
)

// sink drops all frames where they arrive, at the lowest cost, because measureLinks counts a drop as a part of a link.
const sink = `table netdev sink {
	chain ingress {
		type filter hook ingress device "eth0" priority 0; policy drop;
	}
}
`

// trackConnections makes the balancer track connections.
const trackConnections = `table inet track {
	chain prerouting {
		type filter hook prerouting priority 0
		ct state new
	}
}
`

func newPacketLab(farmc string) (*packetLab, error) {
	dir, err := os.MkdirTemp("", "farmc-bench-")
	if err != nil {
		return nil, err
	}
	lab, err := netlab.New(netlab.Options{Backends: 1, NoSwitch: true, BackendVIPs: true})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	l := &packetLab{Lab: lab, farmc: farmc, dir: dir, ctx: context.Background(), nextPort: 1024}
	if err := l.prepare(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the lab, and removes its files.
func (l *packetLab) Close() error { return errors.Join(l.Lab.Close(), os.RemoveAll(l.dir)) }

func (l *packetLab) path(name string) string { return filepath.Join(l.dir, name) }

// prepare gives the measurement the processor, the balancer its neighbours, and both ends a sink.
func (l *packetLab) prepare() error {
	if err := preferThisProcess(); err != nil {
		return err
	}
	// conntrack may be a module, and its sysctls are missing then until it is there
	if _, err := l.Balancer.Run(l.ctx, trackConnections, "nft", "-f", "-"); err != nil {
		return err
	}
	if err := l.Balancer.Sysctl("net.netfilter.nf_conntrack_checksum", "0"); err != nil { // as if links check them
		return err
	}
	var err error
	if l.client, err = newPort(l.Client, l.Balancer, "eth0"); err != nil {
		return err
	}
	if l.backend, err = newPort(l.Backends[0], l.Balancer, "eth1"); err != nil {
		return err
	}
	for address, at := range map[string]port{"203.0.113.2": l.client, "2001:db8:f::2": l.client, "10.2.0.11": l.backend,
		"10.2.0.12": l.backend, "fd00:2::11": l.backend, "fd00:2::12": l.backend} {
		if _, err := l.Balancer.Run(l.ctx, "", "ip", "neigh", "replace", address, "lladdr", at.source.String(), "dev",
			at.peerLink, "nud", "permanent"); err != nil {
			return err
		}
	}
	for _, h := range []*netlab.Host{l.Client, l.Backends[0]} {
		if _, err := h.Run(l.ctx, sink, "nft", "-f", "-"); err != nil {
			return err
		}
	}
	return nil
}

// preferThisProcess gives this process and the kernel's soft interrupts precedence over other tasks of the kernel.
func preferThisProcess() error {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, _ := os.ReadFile(name) // it may have ended
		var pid int
		fmt.Sscanf(name, "/proc/%d/comm", &pid)
		if word := string(text); pid == os.Getpid() || strings.HasPrefix(word, "ksoftirqd") ||
			strings.HasPrefix(word, "rcu_") {
			unix.Setpriority(unix.PRIO_PROCESS, pid, -20) // without the right to it figures are less exact
		}
	}
	return nil
}

// load loads a script in place of all other rules, and makes the balancer forget connections.
func (l *packetLab) load(script string) error {
	if _, err := l.Balancer.Run(l.ctx, "flush ruleset\n", "nft", "-f", "-"); err != nil {
		return err
	}
	if _, err := l.Balancer.Run(l.ctx, "", "nft", "-f", script); err != nil {
		return err
	}
	err := l.Balancer.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
	settle()
	return err
}

// settle waits for the tasks that the kernel does in the background.
func settle() { time.Sleep(200 * time.Millisecond) }

// A port is the link of a host that leads to the balancer.
type port struct {
	host         *netlab.Host
	source, peer net.HardwareAddr // of the host and of the balancer
	peerLink     string
	socket       int
}

// newPort opens a socket for frames from eth0 of a host to the balancer.
func newPort(h, balancer *netlab.Host, peerLink string) (p port, err error) {
	p = port{host: h, peerLink: peerLink}
	if p.peer, _, err = hardwareAddress(balancer, peerLink); err != nil {
		return p, err
	}
	var index int
	if p.source, index, err = hardwareAddress(h, "eth0"); err != nil {
		return p, err
	}
	p.socket, err = frameSocket(h, index)
	return p, err
}

// frameSocket opens a socket that passes frames to a link without a queue.
func frameSocket(h *netlab.Host, index int) (socket int, err error) {
	err = h.Do(func() error {
		if socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return err
		}
		return unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: index})
	})
	return socket, err
}

func hardwareAddress(h *netlab.Host, link string) (address net.HardwareAddr, index int, err error) {
	err = h.Do(func() error {
		on, err := net.InterfaceByName(link)
		if err == nil {
			address, index = on.HardwareAddr, on.Index
		}
		return err
	})
	return address, index, err
}

// received is the number of packets that have arrived at the port.
func (p *port) received() (n uint64, err error) {
	err = p.host.Do(func() error {
		on, err := netlink.LinkByName("eth0")
		if err == nil {
			n = on.Attrs().Statistics.RxPackets
		}
		return err
	})
	return n, err
}

// measureLinks measures the sender and the two links, which all packets cost: a packet that the balancer drops where it
// arrives costs the sender and one link, and a packet to a dummy interface the sender alone.
func (l *packetLab) measureLinks() error {
	if _, err := l.Client.Run(l.ctx, "", "ip", "link", "add", "nowhere", "up", "type", "dummy"); err != nil {
		return fmt.Errorf("the links cannot be measured without a dummy interface, which make packets has: %w", err)
	}
	if _, err := l.Balancer.Run(l.ctx, sink, "nft", "-f", "-"); err != nil {
		return err
	}
	_, index, err := hardwareAddress(l.Client, "nowhere")
	if err != nil {
		return err
	}
	nowhere, err := frameSocket(l.Client, index)
	if err != nil {
		return err
	}
	defer unix.Close(nowhere)
	settle()
	f := families[0]
	frames := l.client.frames(f, viaFarm[f.name], l.ports(sent), ack)
	senderAlone, err := send(nowhere, frames, sent)
	if err != nil {
		return err
	}
	dropped, err := send(l.client.socket, frames, sent)
	if err != nil {
		return err
	}
	l.links = 2*dropped - senderAlone
	return nil
}

// ports are source ports that no connection has used.
func (l *packetLab) ports(n int) []uint16 {
	ports := make([]uint16, n)
	for i := range ports {
		if l.nextPort++; l.nextPort > 60000 {
			l.nextPort = 1024
		}
		ports[i] = uint16(l.nextPort)
	}
	return slices.Clip(ports)
}

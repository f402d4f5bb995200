package netlab

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addSwitch creates the bridge to which plug connects hosts.
func (l *Lab) addSwitch() error { return l.addBridge("switch") }

func (l *Lab) addBridge(name string) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	snooping := false // neighbour discovery needs multicast to all ports from the beginning
	if err := l.switchHost.net.LinkAdd(&netlink.Bridge{LinkAttrs: attributes,
		MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("make the bridge %s: %w", name, err)
	}
	return l.switchHost.up(name)
}

// plug connects a link of the host to the switch. Without one the balancer's link leads to the backend, which needs no
// other.
func (l *Lab) plug(h *Host, link string) error {
	switch {
	case !l.noSwitch:
		return l.plugInto("switch", h, link)
	case h == l.Balancer:
		return l.connect(h, link, l.Backends[0], "eth0")
	}
	return nil
}

// plugInto connects a link of the host to a bridge.
func (l *Lab) plugInto(bridgeName string, h *Host, link string) error {
	name := h.Name + "-" + link
	if err := l.connect(h, link, l.switchHost, name); err != nil {
		return err
	}
	port, err := l.switchHost.net.LinkByName(name)
	if err != nil {
		return err
	}
	bridge, err := l.switchHost.net.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	return l.switchHost.net.LinkSetMaster(port, bridge)
}

// connect creates a veth pair between two hosts.
func (l *Lab) connect(a *Host, linkA string, b *Host, linkB string) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = linkA
	pair := netlink.NewVeth(attributes)
	pair.PeerName, pair.PeerNamespace = linkB, netlink.NsFd(b.ns.file.Fd())
	if err := a.net.LinkAdd(pair); err != nil {
		return fmt.Errorf("connect %s and %s: %w", a.Name, b.Name, err)
	}
	if err := a.up(linkA); err != nil {
		return err
	}
	return b.up(linkB)
}

// up sets a link up, with checksums in software.
func (h *Host) up(link string) error {
	if link != "lo" {
		if _, err := h.ethtool(link, unix.ETHTOOL_STXCSUM, 0); err != nil {
			return err
		}
	}
	on, err := h.net.LinkByName(link)
	if err != nil {
		return err
	}
	return h.net.LinkSetUp(on)
}

// Offload switches generic receive offload (GRO) on: the link merges segments, and has their checksums verified.
func (h *Host) Offload(link string) error {
	_, err := h.ethtool(link, unix.ETHTOOL_SGRO, 1)
	return err
}

// ethtool reads or sets a value of a link, by struct ethtool_value of include/uapi/linux/ethtool.h.
func (h *Host) ethtool(link string, command, data uint32) (uint32, error) {
	value := struct{ command, data uint32 }{command, data}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // struct ifreq is larger than its fields here
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], link)
	err := h.Do(func() error {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return fmt.Errorf("ethtool of %s on %s: %w", link, h.Name, errno)
		}
		return nil
	})
	runtime.KeepAlive(&value)
	return value.data, err
}

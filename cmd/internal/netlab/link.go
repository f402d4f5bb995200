package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddAddress gives a link of the host an address, which is usable at once.
func (h *Host) AddAddress(link string, prefix netip.Prefix) error {
	return h.addAddress(link, prefix, false)
}

// addAddress adds an address; the kernel doesn't choose a spare one by itself (RFC 4862 calls it deprecated).
func (h *Host) addAddress(link string, prefix netip.Prefix, spare bool) error {
	on, err := h.net.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", link, h.Name, err)
	}
	address := &netlink.Addr{IPNet: ipNet(prefix), Flags: unix.IFA_F_NODAD}
	if spare {
		address.ValidLft = forever
	}
	if err := h.net.AddrAdd(on, address); err != nil {
		return fmt.Errorf("%s on %s of %s: %w", prefix, link, h.Name, err)
	}
	return nil
}

const forever = 1<<32 - 1 // INFINITY_LIFE_TIME of include/net/addrconf.h

// AddRoute gives the host a route by way of a gateway.
func (h *Host) AddRoute(to netip.Prefix, via netip.Addr) error {
	return h.addRoute(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()})
}

// gateway sends whatever has no other route to the gateway, by default from the host's first address.
func (h *Host) gateway(via4, via6 string) error {
	for _, r := range []struct {
		to, via string
		source  netip.Addr
	}{
		{"0.0.0.0/0", via4, h.IP4[0]},
		{"::/0", via6, h.IP6[0]},
	} {
		route := &netlink.Route{
			Dst: ipNet(netip.MustParsePrefix(r.to)),
			Gw:  netip.MustParseAddr(r.via).AsSlice(),
			Src: r.source.AsSlice(),
		}
		if err := h.addRoute(route); err != nil {
			return err
		}
	}
	return nil
}

// ownNetwork makes the host take every address of a network for its own.
func (h *Host) ownNetwork(prefix netip.Prefix) error {
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.addRoute(&netlink.Route{
		Dst:       ipNet(prefix),
		LinkIndex: lo.Attrs().Index,
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	})
}

func (h *Host) addRoute(route *netlink.Route) error {
	if err := h.net.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s on %s: %w", route.Dst, h.Name, err)
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// addSwitch makes the bridge that plug connects hosts to.
func (l *Lab) addSwitch() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "switch"
	snooping := false // multicast to everyone at once: neighbour discovery needs it
	if err := l.wire.net.LinkAdd(&netlink.Bridge{LinkAttrs: attributes, MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("make the switch: %w", err)
	}
	return l.wire.up("switch")
}

// plug connects a link of the host to the switch.
func (l *Lab) plug(h *Host, link string) error {
	if err := l.connect(h, link, l.wire, h.Name); err != nil {
		return err
	}
	port, err := l.wire.net.LinkByName(h.Name)
	if err != nil {
		return err
	}
	bridge, err := l.wire.net.LinkByName("switch")
	if err != nil {
		return err
	}
	return l.wire.net.LinkSetMaster(port, bridge)
}

// connect makes a pair of links between two hosts.
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

// up takes a link into service, with checksums made in software.
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

// ethtool asks or sets a value of a link, by struct ethtool_value of include/uapi/linux/ethtool.h.
func (h *Host) ethtool(link string, command, data uint32) (uint32, error) {
	value := struct{ command, data uint32 }{command, data}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // struct ifreq is larger than what is used of it
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

// awaitLinks waits until all links of the host carry packets, some microseconds after they are up.
func (h *Host) awaitLinks() error {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		links, err := h.net.LinkList()
		if err != nil {
			return err
		}
		waiting := ""
		for _, link := range links {
			if a := link.Attrs(); a.Name != "lo" && a.OperState != netlink.OperUp {
				waiting = a.Name
			}
		}
		if waiting == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s of %s: no carrier", waiting, h.Name)
		}
	}
}

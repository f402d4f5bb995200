package trace

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// FindPlaces finds the interfaces where packets meet rules as frames: those of farms that hand on frames, and those
// with an ingress chain of any program. The frames are those of backends of dsr farms: only the MAC address tells to
// which backend such a frame goes. A backend whose MAC address the kernel does not know yet has no frame.
func FindPlaces(ctx context.Context, farms []*farm.Farm) (Places, []Frame) {
	var p Places
	var frames []Frame
	for _, f := range farms {
		if !f.Mode.Untracked() {
			continue
		}
		for _, name := range f.PresentInterfaces() {
			p.Ingress = appendLink(p.Ingress, name)
		}
		for _, b := range f.Backends {
			p.Egress = appendLink(p.Egress, interfaceOf(f, b))
			if f.Mode == farm.DSR {
				frames = addFrames(frames, f, b)
			}
		}
	}
	for _, c := range readBaseChains(ctx) {
		if c.hook != "ingress" {
			continue
		}
		for _, name := range c.devices {
			p.Ingress = appendLink(p.Ingress, name)
		}
	}
	frames = frames[:min(len(frames), MaxBackends)]
	for _, frame := range frames {
		p.Backends = append(p.Backends, frame.MAC)
	}
	return p, frames
}

// appendLink appends the name of an interface that exists, once.
func appendLink(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	if _, err := net.InterfaceByName(name); err != nil {
		return names
	}
	return append(names, name)
}

// interfaceOf returns the interface behind which a backend is; "" if it is behind any.
func interfaceOf(f *farm.Farm, b farm.Backend) string {
	if b.Interface == "" && len(f.Interfaces) > 0 {
		return f.Interfaces[0]
	}
	return b.Interface
}

// addFrames adds the MAC addresses of a backend: its key mac, or the ones of its addresses that the kernel knows.
func addFrames(frames []Frame, f *farm.Farm, b farm.Backend) []Frame {
	of := FarmBackend{f.Name, b.Name}
	if mac, err := net.ParseMAC(b.MAC); err == nil {
		return addFrame(frames, mac, of)
	}
	link, err := netlink.LinkByName(interfaceOf(f, b))
	if err != nil {
		return frames
	}
	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return frames
	}
	for _, n := range neighbours {
		if isAddressOf(b, n.IP) && len(n.HardwareAddr) > 0 {
			frames = addFrame(frames, n.HardwareAddr, of)
		}
	}
	return frames
}

func isAddressOf(b farm.Backend, ip net.IP) bool {
	return slices.ContainsFunc(b.Address[:], func(a netip.Addr) bool { return a.IsValid() && ip.Equal(a.AsSlice()) })
}

func addFrame(frames []Frame, mac net.HardwareAddr, of FarmBackend) []Frame {
	for i := range frames {
		if slices.Equal(frames[i].MAC, mac) {
			if !slices.Contains(frames[i].Backends, of) {
				frames[i].Backends = append(frames[i].Backends, of)
			}
			return frames
		}
	}
	return append(frames, Frame{mac, []FarmBackend{of}})
}

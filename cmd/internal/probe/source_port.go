package probe

import (
	"hash/fnv"
	"net/netip"
	"strconv"
	"time"

	"farmc/compiler/addr"
)

// The source ports of checks are a part of those that the kernel gives to clients by default. Each backend has some of
// them, by the hash of its names and its address, and the checks of a backend take turns: if a firewall or a farm's
// frontend takes the answers to one port, the checks before and after it pass.
const (
	firstSourcePort = 32768
	sourcePorts     = 28000
	turns           = 4
	betweenTurns    = sourcePorts / turns
)

// source returns the source address and port of the check. The zero address leaves the choice to the kernel.
func (c *check) source() netip.AddrPort {
	address := c.Check.Source[addr.FamilyOf(c.Address)]
	port := sourcePort(c.Target, c.start)
	if port == c.Port { // a backend on this machine: the socket would connect to itself
		port++
	}
	return netip.AddrPortFrom(address, port)
}

func sourcePort(t Target, now time.Time) uint16 {
	turn := uint64(now.UnixNano()) / uint64(max(t.Check.Interval, 1)) % turns
	return firstSourcePort + uint16((uint64(t.hash())+turn*betweenTurns)%sourcePorts)
}

// hash is the same for the same target in each process.
func (t Target) hash() uint32 {
	h := fnv.New32a()
	text := make([]byte, 0, 128)
	text = append(append(append(text, t.Farm...), 0), t.Backend...)
	text = t.Address.AppendTo(append(text, 0))
	text = strconv.AppendUint(append(text, 0), uint64(t.Port), 10)
	h.Write(text)
	return h.Sum32()
}

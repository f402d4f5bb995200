package sockets

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// readProc reads a table of /proc/net, for kernels without the modules of sock_diag. The table does not tell whether a
// socket takes IPv6 only.
func readProc(family uint8, protocol Protocol, state uint8) (all []Socket, err error) {
	name := string(protocol)
	if family == unix.AF_INET6 {
		name += "6"
	}
	text, err := os.ReadFile("/proc/thread-self/net/" + name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if s, in, ok := parseLine(line); ok && in == state {
			all = append(all, s)
		}
	}
	return all, nil
}

// parseLine reads a line such as "0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1234".
func parseLine(line string) (s Socket, state uint8, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return s, 0, false
	}
	address, port, _ := strings.Cut(fields[1], ":")
	raw, err := hex.DecodeString(address)
	if err != nil {
		return s, 0, false
	}
	for word := range slices.Chunk(raw, 4) { // words of the machine's byte order
		slices.Reverse(word)
	}
	a, valid := netip.AddrFromSlice(raw)
	s.Address = a.Unmap()
	_, err = fmt.Sscanf(port+" "+fields[3]+" "+fields[9], "%x %x %d", &s.Port, &state, &s.Inode)
	return s, state, valid && err == nil && s.Port != 0
}

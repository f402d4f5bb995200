package preflight

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A legacyProgram loads tables that nf_tables does not show. The kernel gives them as options of a socket.
type legacyProgram struct {
	name   string
	tables string // the file that names its tables
	family int    // of the socket
	level  int    // of the options
	option int    // XT_SO_GET_INFO; the next one is XT_SO_GET_ENTRIES
	hooks  int    // for which a table can have chains
	entry  int    // size of a struct ipt_entry, ip6t_entry or arpt_entry
}

var legacyPrograms = []legacyProgram{
	{"iptables-legacy", "ip_tables_names", unix.AF_INET, unix.SOL_IP, 64, 5, 112},
	{"ip6tables-legacy", "ip6_tables_names", unix.AF_INET6, unix.SOL_IPV6, 64, 5, 168},
	{"arptables-legacy", "arp_tables_names", unix.AF_INET, unix.SOL_IP, 96, 3, 192},
}

// Sizes of x_tables.h.
const (
	legacyName     = 32 // of a table
	standardTarget = 40 // struct xt_standard_target: 32 bytes, the verdict, and 4 bytes without meaning
	errorTarget    = 64 // struct xt_error_target, at the end of each table
	verdictAccept  = -2 // -NF_ACCEPT - 1
)

// isHarmless reports whether a table has no rule, and policies ACCEPT. A table that cannot be read is not harmless.
func (p legacyProgram) isHarmless(table string) bool {
	fd, err := unix.Socket(p.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	info := make([]byte, legacyName+4+4*p.hooks*2+4+4) // struct ipt_getinfo
	copy(info[:legacyName-1], table)
	if getOption(fd, p.level, p.option, info) != nil {
		return false
	}
	chains := bits.OnesCount32(binary.NativeEndian.Uint32(info[legacyName:]))
	size := int(binary.NativeEndian.Uint32(info[len(info)-4:]))
	if size != chains*(p.entry+standardTarget)+p.entry+errorTarget {
		return false // there is more than a policy for each chain
	}
	entries := make([]byte, legacyName+8+size) // struct ipt_get_entries
	copy(entries, info[:legacyName])
	binary.NativeEndian.PutUint32(entries[legacyName:], uint32(size))
	return getOption(fd, p.level, p.option+1, entries) == nil && p.accepts(entries[legacyName+8:], chains)
}

// accepts reports whether the policies of a table without rules are all ACCEPT.
func (p legacyProgram) accepts(entries []byte, chains int) bool {
	for i := range chains {
		verdict := entries[i*(p.entry+standardTarget)+p.entry+32:]
		if int32(binary.NativeEndian.Uint32(verdict)) != verdictAccept {
			return false
		}
	}
	return true
}

// getOption reads an option of a socket whose value is an argument, too.
func getOption(fd, level, option int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

package preflight

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tcxHooks are the attach types of programs of tcx, by the hook of tc.
var tcxHooks = map[string]uint32{"ingress": unix.BPF_TCX_INGRESS, "egress": unix.BPF_TCX_EGRESS}

// A programQuery is the part of union bpf_attr for BPF_PROG_QUERY (include/uapi/linux/bpf.h).
type programQuery struct {
	index, attachType, flags, attachFlags uint32
	programs                              uint64 // pointer to the IDs; 0: the kernel gives their number alone
	count, _                              uint32
	_                                     [4]uint64 // flags and links of programs, and the revision
}

// hasTCX reports whether programs are attached to an interface by tcx (Linux 6.6). They run before all filters of tc,
// and netlink does not list them. An older kernel, or one that does not permit the question, tells of none.
func hasTCX(index int, hook string) bool {
	q := programQuery{index: uint32(index), attachType: tcxHooks[hook]}
	_, _, failed := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&q)), unsafe.Sizeof(q))
	runtime.KeepAlive(&q)
	return failed == 0 && q.count > 0
}

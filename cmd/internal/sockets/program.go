package sockets

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Program is a systemd service or a process that has a socket.
type Program struct {
	Name string // of printable ASCII characters; "": not known
	PID  int    // 0: not known
}

// String names the program, or says that it is not known: root alone can see the sockets of other users, and the kernel
// has sockets itself.
func (p Program) String() string {
	if p.Name == "" {
		return "a program"
	}
	return p.Name
}

// Programs returns the programs that have sockets, by inode. A service of systemd goes by the name of its unit, which a
// process without CAP_SYS_PTRACE can find, too. Of several processes with a socket it returns the first.
func Programs(sockets []Socket) map[uint32]Program {
	wanted := map[string]uint32{}
	for _, s := range sockets {
		if s.Inode != 0 {
			wanted[fmt.Sprintf("socket:[%d]", s.Inode)] = s.Inode
		}
	}
	out := map[uint32]Program{}
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || len(out) == len(wanted) {
			continue
		}
		addProgram(pid, wanted, out)
	}
	units := unitsOf("/sys/fs/cgroup", sockets)
	for _, s := range sockets {
		if name := units[s.CGroup]; name != "" {
			out[s.Inode] = Program{printable(name), out[s.Inode].PID}
		}
	}
	return out
}

// unitsOf returns the services whose processes made the sockets, by the number of the control group: the inode of its
// directory.
func unitsOf(root string, sockets []Socket) map[uint64]string {
	wanted, out := map[uint64]bool{}, map[uint64]string{}
	for _, s := range sockets {
		wanted[s.CGroup] = true
	}
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !strings.HasSuffix(path, ".service") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if number := info.Sys().(*syscall.Stat_t).Ino; wanted[number] {
			out[number] = d.Name()
		}
		return nil
	})
	return out
}

// addProgram adds a process to the programs of the sockets that it has open.
func addProgram(pid int, wanted map[string]uint32, out map[uint32]Program) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	files, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, f := range files {
		target, _ := os.Readlink(filepath.Join(dir, "fd", f.Name()))
		inode, ok := wanted[target]
		if _, known := out[inode]; !ok || known && out[inode].PID < pid {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		out[inode] = Program{printable(strings.TrimSpace(string(name))), pid}
	}
}

// printable replaces characters that a process can choose to confuse a terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}

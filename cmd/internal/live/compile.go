package live

import (
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"farmc/compiler"
	"farmc/compiler/diag"
)

// A reading is what farms come to on this machine, as it is now.
type reading struct {
	script  *compiler.Script // nil where there is a fault
	told    diag.Diagnostics
	faults  diag.Diagnostics // told, with the faults of permissions at the farms and lists that they concern
	barred  bool             // others may write to a directory of farms, so --isolate loads no farm of it
	sources *Sources
	memory  *compiler.Memory // that read them
	atBoot  *compiler.Script // once it was asked for

	instead *Sources // the files as they lie there, if some of the sources are older
	raw     bool     // it is a script alone, the farms of which are not known

	interfaces map[string]int // that farms name, with their numbers; 0 is one that isn't there
}

// read compiles the farms for the network interfaces that are there now. What changes meanwhile is read again, or some
// farms would be of one version of all and some of another, where a link leads to the version that counts.
func (e *Engine) read() *reading {
	for attempt := 1; ; attempt++ {
		before := e.stamps()
		r := e.readOnce()
		if slices.Equal(before, e.stamps()) || attempt == 3 {
			return r
		}
	}
}

func (e *Engine) readOnce() *reading {
	permissions := e.newPermissions()
	defer permissions.close()
	sources := &Sources{}
	r := compileHere(&e.memory, sources, sources.record(permissions.check(e.Dirs), e.seen, time.Now()))
	e.seen = sources
	r.faults = append(slices.Clone(r.told), permissions.refusals()...)
	r.told = append(r.told, permissions.told()...)
	r.barred = permissions.barred
	return r
}

// A stamp is what changes with the names in a directory, and with which directory it is.
type stamp struct {
	device, inode uint64
	changed       syscall.Timespec
}

// stamps are those of the directories, and of the links that they may be.
func (e *Engine) stamps() []stamp {
	var out []stamp
	for _, d := range e.Dirs {
		for _, look := range []func(string) (fs.FileInfo, error){os.Stat, os.Lstat} {
			var of stamp
			if info, err := look(d.Path); err == nil {
				s := info.Sys().(*syscall.Stat_t)
				of = stamp{s.Dev, s.Ino, s.Ctim}
			}
			out = append(out, of)
		}
	}
	return out
}

func compileHere(memory *compiler.Memory, sources *Sources, dirs []compiler.Dir) *reading {
	r := &reading{sources: sources, memory: memory, interfaces: map[string]int{}}
	r.script, r.told = memory.Compile(dirs, func(device string) bool {
		r.interfaces[device] = numberOf(device)
		return r.interfaces[device] == 0
	})
	return r
}

// lying gives the files as they lie there.
func (r *reading) lying() *Sources {
	if r.instead != nil {
		return r.instead
	}
	return r.sources
}

// Moved says whether an interface that farms name came or went, or is another one, since they were read.
func (r *reading) Moved() bool {
	if r == nil {
		return false
	}
	for name, number := range r.interfaces {
		if numberOf(name) != number {
			return true
		}
	}
	return false
}

// follow takes the interfaces of another reading in: what is loaded names these, too.
func (r *reading) follow(other *reading) {
	if other != nil {
		maps.Copy(r.interfaces, other.interfaces)
	}
}

// boot gives the script of the same farms that leaves out what hangs on interfaces: at boot none is there yet, and the
// kernel (6.1) refuses a whole script that names one that is missing. Should less than what has no fault have one, the
// whole script is better than none: newer kernels take it.
func (r *reading) boot() *compiler.Script {
	if len(r.script.Interfaces) == 0 {
		return r.script
	}
	if r.atBoot == nil {
		r.atBoot, _ = r.memory.Compile(r.sources.Dirs(), func(string) bool { return true })
	}
	if r.atBoot == nil {
		return r.script
	}
	return r.atBoot
}

// numberOf gives the number of an interface, or 0 where there is none.
func numberOf(name string) int {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return i.Index
}

// numbers gives interfaces their numbers. One that went and came back has another, and rules still have the old one.
func numbers(interfaces []string) map[string]int {
	out := map[string]int{}
	for _, name := range interfaces {
		out[name] = numberOf(name)
	}
	maps.DeleteFunc(out, func(_ string, number int) bool { return number == 0 })
	return out
}

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
type compilation struct {
	script       *compiler.Script // nil where there is a fault
	diagnostics  diag.Diagnostics
	faults       diag.Diagnostics // told, with the faults of permissions at the farms and lists that they concern
	untrustedDir bool             // others may write to a directory of farms, so --isolate loads no farm of it
	sources      *SourceFiles
	incremental  *compiler.Memory // that read them
	bootScript   *compiler.Script // once it was asked for

	actual     *SourceFiles // the files as they lie there, if some of the sources are older
	scriptOnly bool         // it is a script alone, the farms of which are not known

	interfaces map[string]int // that farms name, with their numbers; 0 is one that isn't there
}

// read compiles the farms for the network interfaces that are there now. What changes meanwhile is read again, or some
// farms would be of one version of all and some of another, where a link leads to the version that counts.
func (e *Engine) compile() *compilation {
	for attempt := 1; ; attempt++ {
		before := e.stamps()
		c := e.compileOnce()
		if slices.Equal(before, e.stamps()) || attempt == 3 {
			return c
		}
	}
}

func (e *Engine) compileOnce() *compilation {
	permissions := e.newPermissions()
	defer permissions.close()
	sources := &SourceFiles{}
	c := compileLocal(&e.incremental, sources, sources.cachedDirs(permissions.check(e.Dirs), e.cached, time.Now()))
	e.cached = sources
	c.faults = append(slices.Clone(c.diagnostics), permissions.refusals()...)
	c.diagnostics = append(c.diagnostics, permissions.diagnostics()...)
	c.untrustedDir = permissions.untrustedDir
	return c
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

func compileLocal(incremental *compiler.Memory, sources *SourceFiles, dirs []compiler.Dir) *compilation {
	c := &compilation{sources: sources, incremental: incremental, interfaces: map[string]int{}}
	c.script, c.diagnostics = incremental.Compile(dirs, func(device string) bool {
		c.interfaces[device] = interfaceIndex(device)
		return c.interfaces[device] == 0
	})
	return c
}

// lying gives the files as they lie there.
func (c *compilation) onDisk() *SourceFiles {
	if c.actual != nil {
		return c.actual
	}
	return c.sources
}

// Moved says whether an interface that farms name came or went, or is another one, since they were read.
func (c *compilation) InterfacesChanged() bool {
	if c == nil {
		return false
	}
	for name, number := range c.interfaces {
		if interfaceIndex(name) != number {
			return true
		}
	}
	return false
}

// follow takes the interfaces of another reading in: what is loaded names these, too.
func (c *compilation) addInterfaces(other *compilation) {
	if other != nil {
		maps.Copy(c.interfaces, other.interfaces)
	}
}

// boot gives the script of the same farms that leaves out what hangs on interfaces: at boot none is there yet, and the
// kernel (6.1) refuses a whole script that names one that is missing. Should less than what has no fault have one, the
// whole script is better than none: newer kernels take it.
func (c *compilation) boot() *compiler.Script {
	if len(c.script.Interfaces) == 0 {
		return c.script
	}
	if c.bootScript == nil {
		c.bootScript, _ = c.incremental.Compile(c.sources.Dirs(), func(string) bool { return true })
	}
	if c.bootScript == nil {
		return c.script
	}
	return c.bootScript
}

// numberOf gives the number of an interface, or 0 where there is none.
func interfaceIndex(name string) int {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return i.Index
}

// numbers gives interfaces their numbers. One that went and came back has another, and rules still have the old one.
func interfaceIndexes(interfaces []string) map[string]int {
	out := map[string]int{}
	for _, name := range interfaces {
		out[name] = interfaceIndex(name)
	}
	maps.DeleteFunc(out, func(_ string, number int) bool { return number == 0 })
	return out
}

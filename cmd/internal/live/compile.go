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
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A compilation is the result of compiling farms for the network interfaces of this machine.
type compilation struct {
	script       *ruleset.Script // nil if there are faults
	diagnostics  diag.Diagnostics
	faults       diag.Diagnostics // diagnostics, but faults of permissions stand at the farm or list
	permissions  diag.Diagnostics // the diagnostics about permissions
	refusals     diag.Diagnostics // the same as part of faults
	untrustedDir bool             // others may write to a directory of farms; --isolate must load none of it
	sources      *SourceFiles
	incremental  *compiler.Compiler // compiler of the script
	bootScript   *ruleset.Script    // result of boot; nil before its first call

	actual     *SourceFiles // files in the directories, if some of the sources are older; else nil
	scriptOnly bool         // the farms of the script are not known

	interfaces map[string]int // index of each interface that farms name; 0: the interface does not exist
}

// compile compiles the farms for the network interfaces of this machine. If a directory changes meanwhile, compile
// reads it again, up to three times. Otherwise, with a symlink to the current version of a directory, some farms could
// come from the old version and others from the new one.
func (e *Engine) compile() *compilation { return e.compileWith(nil) }

// compileWith compiles the farms as they will be after some changes of files.
func (e *Engine) compileWith(changes []FileChange) *compilation {
	for attempt := 1; ; attempt++ {
		before := e.stamps()
		c := e.compileOnce(changes)
		if slices.Equal(before, e.stamps()) || attempt == 3 {
			return c
		}
	}
}

// compileOnce compiles the farms, and checks the permissions of each file that it reads.
func (e *Engine) compileOnce(changes []FileChange) *compilation {
	permissions := e.newPermissions()
	defer permissions.close()
	sources := &SourceFiles{}
	dirs := withChanges(permissions.check(e.Dirs), changes)
	memory := e.memory()
	c := compileLocal(&memory.incremental, sources, sources.cachedDirs(dirs, memory.cached, time.Now()))
	memory.cached, memory.farms = sources, nil
	if c.script != nil {
		memory.farms = c.script.Farms
	}
	c.permissions, c.refusals = permissions.diagnostics(), permissions.refusals()
	c.faults = append(slices.Clone(c.diagnostics), c.refusals...)
	c.diagnostics = append(c.diagnostics, c.permissions...)
	c.untrustedDir = permissions.untrustedDir
	return c
}

// A stamp identifies a directory and the state of its list of names.
type stamp struct {
	device, inode uint64
	changed       syscall.Timespec
}

// stamps returns the stamps of the directories and of symlinks to them.
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

// compileLocal compiles directories for the interfaces of this machine. Sources must be the files that dirs read.
func compileLocal(incremental *compiler.Compiler, sources *SourceFiles, dirs []farm.Dir) *compilation {
	c := &compilation{sources: sources, incremental: incremental, interfaces: map[string]int{}}
	c.script, c.diagnostics = incremental.Compile(dirs, func(device string) bool {
		c.interfaces[device] = interfaceIndex(device)
		return c.interfaces[device] == 0
	})
	return c
}

// onDisk returns the source files in the directories.
func (c *compilation) onDisk() *SourceFiles {
	if c.actual != nil {
		return c.actual
	}
	return c.sources
}

// InterfacesChanged reports whether an interface that farms name appeared, vanished or was re-created since the
// compilation.
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

// addInterfaces adds the interfaces of another compilation: the rules loaded from it depend on these, too.
func (c *compilation) addInterfaces(other *compilation) {
	if other != nil {
		maps.Copy(c.interfaces, other.interfaces)
	}
}

// boot returns the script of the same farms without rules that need an interface. At boot no interface exists yet, and
// kernel 6.1 refuses a script that names a missing one. If the farms have faults without interfaces, boot returns the
// complete script, which newer kernels accept.
func (c *compilation) boot() *ruleset.Script {
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

// interfaceIndex returns the index of an interface, or 0 if it does not exist.
func interfaceIndex(name string) int {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return i.Index
}

// interfaceIndexes returns the index of each interface that exists. A re-created interface has a new index, but rules
// still refer to the old one.
func interfaceIndexes(interfaces []string) map[string]int {
	out := map[string]int{}
	for _, name := range interfaces {
		out[name] = interfaceIndex(name)
	}
	maps.DeleteFunc(out, func(_ string, number int) bool { return number == 0 })
	return out
}

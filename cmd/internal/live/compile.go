package live

import (
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/permission"
	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A compilation is the result of compiling farms for this machine: its interfaces, addresses, routes and services.
type compilation struct {
	script       *ruleset.Script // nil if there are faults
	diagnostics  diag.Diagnostics
	faults       diag.Diagnostics // diagnostics, but faults of permissions stand at the farm or list
	permissions  diag.Diagnostics // the diagnostics about permissions
	refusals     diag.Diagnostics // the same as part of faults
	untrustedDir bool             // others may write to a directory of farms; --isolate must load none of it
	sources      *source.Files
	incremental  *compiler.Compiler // compiler of the script
	bootScript   *ruleset.Script    // result of boot; nil before its first call

	readings []*farm.Reading // of the farms in the files, by name; nil for compilations of other files

	read       time.Time     // when reading began
	took       time.Duration // reading and compiling
	actual     *source.Files // files in the directories, if some of the sources are older; else nil
	scriptOnly bool          // the farms of the script are not known

	portsChecked  bool // refuseTakenPorts has run
	waitsForPorts bool // a farm is refused, because a program listens on its port

	interfaces    map[string]int               // index of each interface that farms name; 0: it does not exist
	routes        map[netip.Addr]ruleset.Route // to backends that see a source address of this machine
	addresses     []netip.Addr                 // of this machine, if the script depends on them
	asksAddresses bool
	asksPorts     bool // the script depends on the ports that programs of this machine serve on
}

// compile compiles the farms for this machine. If a directory changes meanwhile, compile
// reads it again, up to three times. Otherwise, with a symlink to the current version of a directory, some farms could
// come from the old version and others from the new one.
func (e *Engine) compile() *compilation { return e.compileWith(nil) }

// compileWith compiles the farms as they will be after some changes of files.
func (e *Engine) compileWith(changes []source.Change) *compilation {
	began := time.Now()
	for attempt := 1; ; attempt++ {
		read, before := time.Now(), e.stamps()
		c := e.compileOnce(changes)
		c.read = read
		c.took = time.Since(began)
		switch {
		case slices.Equal(before, e.stamps()):
			return c
		case attempt == 3:
			e.memory().unfollow()
			return c
		}
	}
}

// compileOnce compiles the farms, once more if they name new hostnames.
func (e *Engine) compileOnce(changes []source.Change) *compilation {
	c := e.compileFiles(changes)
	if e.awaitHosts(c) {
		c = e.compileFiles(changes)
	}
	return c
}

// compileFiles compiles the farms, and checks the permissions of each file that it reads: of those that changed, if it
// knows them.
func (e *Engine) compileFiles(changes []source.Change) *compilation {
	if c := e.compileFollowed(changes); c != nil {
		return c
	}
	permissions := e.newPermissions()
	defer permissions.Close()
	sources := &source.Files{}
	memory := e.memory()
	f := e.follow()
	dirs := sources.Followed(e.sourceDirs(permissions, changes), memory.cached, time.Now(), f.enter)
	c := compileKnowing(e.knownRoutes(), &memory.incremental, sources, dirs)
	e.keepCompiled(c, permissions, changes)
	e.followAfter(f, c, permissions, changes)
	return c
}

// keepCompiled keeps a compilation of the files with changes for the next one, and adds the diagnostics about
// permissions to it.
func (e *Engine) keepCompiled(c *compilation, permissions *permission.Check, changes []source.Change) {
	memory := e.memory()
	memory.cached, memory.farms = c.sources, nil
	c.readings = memory.incremental.Readings()
	if len(changes) == 0 {
		memory.compiled = c
	}
	if e.FollowsNetwork {
		memory.routes = c.routes
	}
	if c.script != nil {
		memory.farms = c.script.Farms
	}
	c.addPermissions(permissions.Diagnostics(), permissions.Refusals())
	c.untrustedDir = permissions.UntrustedDir
}

// addPermissions adds the diagnostics about permissions, which stand at the farm or list as refusals.
func (c *compilation) addPermissions(permissions, refusals diag.Diagnostics) {
	c.permissions, c.refusals = permissions, refusals
	c.faults = append(slices.Clone(c.diagnostics), refusals...)
	c.diagnostics = append(c.diagnostics, permissions...)
}

// standFor has a compilation of changed files take the place of the one of the files on disk.
func (c *compilation) standFor(disk *compilation) {
	c.addNetwork(disk)
	c.actual, c.untrustedDir = disk.onDisk(), disk.untrustedDir
	c.addPermissions(disk.permissions, disk.refusals)
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

// compileLocal compiles directories for this machine. Sources must be the files that dirs read.
func compileLocal(incremental *compiler.Compiler, sources *source.Files, dirs []farm.Dir) *compilation {
	return compileKnowing(knownRoutes{}, incremental, sources, dirs)
}

// compileKnowing is compileLocal with routes that are known already: the kernel needs a second for 100,000 backends.
func compileKnowing(
	known knownRoutes, incremental *compiler.Compiler, sources *source.Files, dirs []farm.Dir,
) *compilation {
	return compileBy(known, incremental, sources, func(m ruleset.Machine) (*ruleset.Script, diag.Diagnostics, bool) {
		script, diagnostics := incremental.CompileFor(dirs, m)
		return script, diagnostics, true
	})
}

// compileBy compiles for this machine by a function, and returns nil if that reports false.
func compileBy(known knownRoutes, incremental *compiler.Compiler, sources *source.Files,
	compile func(ruleset.Machine) (*ruleset.Script, diag.Diagnostics, bool)) *compilation {
	c := &compilation{sources: sources, incremental: incremental, interfaces: map[string]int{}}
	routes := routeCache{known: known.to}
	defer routes.kernel.Close()
	first, last := machine.ClientPorts()
	var done bool
	c.script, c.diagnostics, done = compile(ruleset.Machine{
		Absent: func(device string) bool {
			c.interfaces[device] = interfaceIndex(device)
			return c.interfaces[device] == 0
		},
		Route: routes.to,
		Ports: func() []uint16 {
			c.asksPorts = true
			return machine.ServedPorts()
		},
		Timeouts: machine.Timeouts,
		Addresses: func() []netip.Addr {
			c.addresses, c.asksAddresses = machine.Addresses(), true
			return c.addresses
		},
		ClientPorts:  farm.Ports{First: first, Last: last},
		RouteVersion: known.version,
	})
	if !done {
		return nil
	}
	c.routes = routes.known
	return c
}

// knownRoutes are routes that earlier compilations have asked for.
type knownRoutes struct {
	to      map[netip.Addr]ruleset.Route
	version uint64 // of ruleset.Machine; 0: the next compilation may have other routes
}

// knownRoutes returns the routes for the next compilation of the files.
func (e *Engine) knownRoutes() knownRoutes {
	memory := e.memory()
	switch {
	case !e.FollowsNetwork:
		return knownRoutes{}
	case memory.routes == nil:
		memory.routeVersion++
	}
	return knownRoutes{memory.routes, memory.routeVersion}
}

// A routeCache remembers the routes to backends.
type routeCache struct {
	kernel machine.Routes
	known  map[netip.Addr]ruleset.Route
	own    bool // no other compilation has the map
}

// to returns a route. A route that was not known is added to a copy of the map.
func (r *routeCache) to(backend netip.Addr) ruleset.Route {
	route, ok := r.known[backend]
	if ok {
		return route
	}
	if !r.own {
		r.known, r.own = maps.Clone(r.known), true
	}
	if r.known == nil {
		r.known = map[netip.Addr]ruleset.Route{}
	}
	route = r.kernel.To(backend)
	r.known[backend] = route
	return route
}

// onDisk returns the source files in the directories.
func (c *compilation) onDisk() *source.Files {
	if c.actual != nil {
		return c.actual
	}
	return c.sources
}

// NetworkChanged reports whether an interface that farms name appeared, vanished or was re-created since the
// compilation, the route to a backend or its source address is another one, or rules need the addresses of this machine
// and there are others.
func (c *compilation) NetworkChanged() bool {
	if c == nil {
		return false
	}
	for name, number := range c.interfaces {
		if interfaceIndex(name) != number {
			return true
		}
	}
	if c.asksAddresses && !slices.Equal(machine.Addresses(), c.addresses) {
		return true
	}
	var routes machine.Routes
	defer routes.Close()
	for backend, route := range c.routes {
		if routes.To(backend) != route {
			return true
		}
	}
	return false
}

// ServesMore reports whether a program of this machine serves on a port that is not kept from backends yet. Ports that
// are served no more stay with the rules until the next load: a daemon that restarts causes none.
func (c *compilation) ServesMore() bool {
	if c == nil || c.script == nil || !c.asksPorts {
		return false
	}
	return slices.ContainsFunc(machine.ServedPorts(), func(port uint16) bool {
		_, known := slices.BinarySearch(c.script.ServedPorts, port)
		return !known
	})
}

// addNetwork adds the interfaces and routes of another compilation: the rules loaded from it depend on these, too.
func (c *compilation) addNetwork(other *compilation) {
	if other != nil {
		maps.Copy(c.interfaces, other.interfaces)
		routes := map[netip.Addr]ruleset.Route{} // other compilations have the old map
		maps.Copy(routes, c.routes)
		maps.Copy(routes, other.routes)
		c.routes = routes
		if other.asksAddresses {
			c.addresses, c.asksAddresses = other.addresses, true
		}
	}
}

// boot returns the script of the same farms for a machine without interfaces. At boot no interface exists yet, and
// kernel 6.1 refuses a script that names a missing one. Connections masquerade: replies to a source address that this
// machine has lost since would be lost. If the farms have faults without interfaces, boot returns the complete script,
// which newer kernels accept.
func (c *compilation) boot() *ruleset.Script {
	if len(c.script.Interfaces) == 0 && len(c.script.Sources) == 0 && len(c.script.ServedPorts) == 0 {
		return c.script
	}
	if c.bootScript == nil {
		c.bootScript = c.incremental.LinkAgain(c.script, ruleset.Machine{
			Absent:   func(string) bool { return true },
			Timeouts: machine.Timeouts,
		})
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

// Package compiler turns farms, one TOML file each, into one complete nft script. It is pure: files in, bytes out; the
// same files give the same bytes on every machine.
package compiler

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Compile reads the farms in dirs, which go from low to high precedence, and compiles them. All faults of all files
// are found in one run; with a fault among the diagnostics there is no script.
func Compile(dirs []Dir) (*Script, Diagnostics) {
	return CompileWithout(dirs, func(string) bool { return false })
}

// CompileWithout compiles for a machine that lacks network interfaces: rules that hang on one that is absent are left
// out, as the kernel (6.1) refuses a whole script that names one. What was left out is among the warnings.
func CompileWithout(dirs []Dir, absent func(device string) bool) (*Script, Diagnostics) {
	var told Diagnostics
	files := read(dirs, &told)
	lists := map[string]*addressList{}
	for _, f := range files.lists {
		lists[f.name] = parseList(f, &told)
	}
	farms := parseFarms(files.farms, lists, &told)
	for _, f := range farms {
		f.leaveOut(absent, &told)
	}
	rules := link(farms, &told)
	told.Sort()
	if told.Faulty() {
		return nil, told
	}
	script, err := rules.render()
	if err != nil {
		panic(err) // a template that doesn't fit its data is ours
	}
	script.Farms = farms
	script.Ingress, script.Interfaces = rules.ingressDevices(), rules.devices()
	if len(files.farms) == 0 {
		told = append(told, Diagnostic{Severity: Warning, Place: Place{File: dirs[len(dirs)-1].Path}, Message: "there are no farms: nothing is balanced"})
	}
	return script, told
}

// parseFarms reads all farms, as many at once as there are processors.
func parseFarms(files []farmFiles, lists map[string]*addressList, told *Diagnostics) []*Farm {
	farms, each := make([]*Farm, len(files)), make([]Diagnostics, len(files))
	var next atomic.Int64
	var reading sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		reading.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				farms[i] = parseFarm(files[i], lists, &each[i])
			}
		})
	}
	reading.Wait()
	*told = append(*told, slices.Concat(each...)...)
	return slices.DeleteFunc(farms, func(f *Farm) bool { return f == nil })
}

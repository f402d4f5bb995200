// Package compiler turns farms, one TOML file each, into one complete nft script. It is pure: files in, bytes out; the
// same files give the same bytes on every machine.
package compiler

import "farmc/compiler/diag"

// Compile reads the farms in dirs, which go from low to high precedence, and compiles them. All faults of all files
// are found in one run; with a fault among the diagnostics there is no script.
func Compile(dirs []Dir) (*Script, diag.Diagnostics) {
	return CompileWithout(dirs, func(string) bool { return false })
}

// CompileWithout compiles for a machine that lacks network interfaces: rules that hang on one that is absent are left
// out, as the kernel (6.1) refuses a whole script that names one. What was left out is among the warnings.
func CompileWithout(dirs []Dir, absent func(device string) bool) (*Script, diag.Diagnostics) {
	return new(Memory).Compile(dirs, absent)
}

// Compile compiles as CompileWithout does.
func (m *Memory) Compile(dirs []Dir, absent func(device string) bool) (*Script, diag.Diagnostics) {
	var told diag.Diagnostics
	files := read(dirs, &told)
	lists, changed := m.readLists(files.lists, &told)
	services := m.readFarms(files.farms, lists, changed, &told)
	for i, s := range services {
		services[i] = s.without(absent, &told)
	}
	script := link(services, &told)
	told.Sort()
	if told.Faulty() {
		return nil, told
	}
	for _, s := range services {
		script.Farms = append(script.Farms, s.Farm)
	}
	if len(files.farms) == 0 {
		told = append(told, diag.Diagnostic{Severity: diag.Warning, Place: diag.Place{File: dirs[len(dirs)-1].Path}, Message: "there are no farms: nothing is balanced"})
	}
	return script, told
}

package compiler

import (
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Compile reads the farms in dirs, which go from low to high precedence, and compiles them. All faults of all files
// are found in one run; with a fault among the diagnostics there is no script.
func Compile(dirs []farm.Dir) (*ruleset.Script, diag.Diagnostics) {
	return CompileWithout(dirs, func(string) bool { return false })
}

// CompileWithout compiles for a machine that lacks network interfaces: rules that hang on one that is absent are left
// out, as the kernel (6.1) refuses a whole script that names one. A warning names each rule that is left out.
func CompileWithout(dirs []farm.Dir, absent func(device string) bool) (*ruleset.Script, diag.Diagnostics) {
	return new(Compiler).Compile(dirs, absent)
}

// A Compiler compiles again and again, and repeats only the work on farms that changed since the last time: of ten
// thousand farms one, mostly. The zero Compiler has compiled nothing yet. It is not for use by several goroutines at
// once.
type Compiler struct {
	farms    farm.Cache
	services ruleset.Services
}

// Compile compiles as CompileWithout does.
func (c *Compiler) Compile(dirs []farm.Dir, absent func(device string) bool) (*ruleset.Script, diag.Diagnostics) {
	return c.CompileFor(dirs, ruleset.Machine{Absent: absent})
}

// CompileFor compiles for one machine, with source addresses that it has, and away from the ports that it serves on.
func (c *Compiler) CompileFor(dirs []farm.Dir, machine ruleset.Machine) (*ruleset.Script, diag.Diagnostics) {
	var told diag.Diagnostics
	return c.link(dirs, c.farms.Read(dirs, &told), machine, told)
}

// CompileChanged is CompileFor of the same directories after changes of the files of some farms alone. It returns
// false, and has done nothing, if CompileFor has to read the whole directories.
func (c *Compiler) CompileChanged(
	dirs []farm.Dir, names []string, machine ruleset.Machine,
) (script *ruleset.Script, told diag.Diagnostics, ok bool) {
	farms, ok := c.farms.ReadAgain(dirs, names, &told)
	if !ok {
		return nil, nil, false
	}
	script, told = c.link(dirs, farms, machine, told)
	return script, told, true
}

// Compiled counts the compilations. CompileChanged follows the last one, also if that was of other directories.
func (c *Compiler) Compiled() int { return c.farms.Reads() }

// link makes the script of farms, of which the diagnostics are known.
func (c *Compiler) link(
	dirs []farm.Dir, farms []*farm.Farm, machine ruleset.Machine, told diag.Diagnostics,
) (*ruleset.Script, diag.Diagnostics) {
	script := c.services.Link(farms, machine, &told)
	told.Sort()
	if told.Faulty() {
		return nil, told
	}
	if len(farms) == 0 {
		told = append(told, noFarms(dirs))
	}
	return script, told
}

// noFarms is the warning about directories without farms. The first directory is the one that administrators use.
func noFarms(dirs []farm.Dir) diag.Diagnostic {
	d := diag.Diagnostic{Severity: diag.Warning, Place: diag.Place{File: dirs[0].Path},
		Message: "there are no farms: nothing is balanced"}
	var paths []string
	for _, dir := range dirs {
		if dir.Path != "" && !dir.Answers {
			paths = append(paths, dir.Path)
		}
	}
	if len(paths) > 0 {
		d.Hint = "a farm is a file NAME.toml in " + strings.Join(paths, " or ")
	}
	return d
}

// Readings gives each farm as the last Compile read it, by name, also the farms with faults.
func (c *Compiler) Readings() []*farm.Reading { return c.farms.Readings() }

// LinkAgain makes the script of the farms of another script of this Compiler for another machine, without a warning for
// rules that are left out. It is nil if there are faults.
func (c *Compiler) LinkAgain(script *ruleset.Script, machine ruleset.Machine) *ruleset.Script {
	return c.services.LinkAgain(script, machine, &diag.Diagnostics{})
}

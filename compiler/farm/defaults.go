package farm

import (
	"path"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// DefaultsFile is the name of the file with the keys that the farms of its directory inherit. No farm has this name.
const DefaultsFile = "_defaults.toml"

// inheritedKeys are the keys that farms inherit. The other ones concern one service alone, or decide about the meaning
// of all other keys of a farm, as mode does.
var inheritedKeys = []string{"scheduler", "hash-on", "interfaces", "source-address", "local-clients", "flow-offload",
	"invalid", "timeouts", "persistence", "access", "limits", "log", "health"}

// ownKeys are the keys that farms do not inherit, within tables that they inherit.
var ownKeys = []string{"persistence.static"}

// A defaults is the content of a DefaultsFile. It does not change once it is read.
type defaults struct {
	file   file
	table  *toml.Table // nil: it is not TOML
	faults diag.Diagnostics
	unfit  map[Mode]diag.Diagnostics // the keys without effect in a mode
}

// readDefaults reads the file of defaults of a directory. Faults that depend on a farm are not among its faults: such a
// key is refused by the farm.
func readDefaults(f file, lists map[string]*AddressList) *defaults {
	d := &defaults{file: f, unfit: map[Mode]diag.Diagnostics{}}
	if f.broken {
		return d
	}
	if toml.Blank(f.text) {
		d.faults = diag.Diagnostics{{Place: diag.Place{File: f.path}, Message: "the file is empty",
			Hint: "an editor may have been stopped in the middle; remove the file if farms have nothing in common"}}
		return d
	}
	if d.table = toml.Parse(f.path, f.text, &d.faults); d.table == nil {
		return d
	}
	d.check(lists)
	for _, mode := range []Mode{SNAT, DNAT, DSR, Stateless, Local} {
		d.unfit[mode] = d.withoutEffect(mode)
	}
	return d
}

// faulty reports whether farms cannot inherit from the file.
func (d *defaults) faulty() bool { return d != nil && (d.file.broken || d.faults.Faulty()) }

// unjudged gives the defaults without their faults; nil if they are not TOML.
func (d *defaults) unjudged() *defaults {
	if d.table == nil {
		return nil
	}
	d.faults = nil
	return d
}

// check reads all keys as a farm would, and refuses those that farms do not inherit.
func (d *defaults) check(lists map[string]*AddressList) {
	t, health := d.table, defaultHealth()
	sample := &Farm{Mode: SNAT, Log: Log{Rate: logRate}, Health: &health, lists: lists,
		Persistence: &Persistence{Timeout: defaultTimeout, Prefix: fullPrefix}, places: map[string]diag.Place{}}
	for i := range farmKeys {
		switch k := &farmKeys[i]; {
		case !slices.Contains(inheritedKeys, k.Name):
			d.refuse(t, k.Name, k.Name)
		case k.kind != TableType:
			k.read(&k.Key, t, sample)
		}
	}
	for _, table := range farmTables {
		if in := d.sub(table.name); in != nil {
			readKeys(in, table.keys, sample)
			for _, k := range table.keys {
				if name := table.name + "." + k.Name; slices.Contains(ownKeys, name) {
					d.refuse(in, k.Name, name)
				}
			}
		}
	}
	if in := d.sub("health"); in != nil {
		validateAgreement(in, &health)
	}
	if d.file.earlier {
		warnAlone(d.faults)
	}
	t.FaultUnknown()
	t.FaultOmitted()
}

// sub gives a table that farms inherit; nil if the file does not have it.
func (d *defaults) sub(name string) *toml.Table {
	if !slices.Contains(inheritedKeys, name) {
		return nil
	}
	return d.table.Sub(name)
}

func (d *defaults) refuse(in *toml.Table, key, name string) {
	if in.Has(key) {
		in.Fault(in.At(key), "write it in the file of each farm", "farms do not inherit %s", name)
	}
}

// withoutEffect gives a diagnostic for each key that has no effect in the mode.
func (d *defaults) withoutEffect(mode Mode) (out diag.Diagnostics) {
	for _, table := range farmTables {
		in := d.table
		if table.name != "" {
			in = d.sub(table.name)
		}
		for i := range table.keys {
			k := &table.keys[i].Key
			if in != nil && in.Has(k.Name) && !k.worksIn(mode) {
				out = append(out, diag.Diagnostic{Place: in.At(k.Name),
					Message: k.Name + " has no effect in mode " + string(mode)})
			}
		}
	}
	return out
}

// An inheritance is the part of a file of defaults that a farm inherits.
type inheritance struct {
	from    *defaults // nil: the directory has none, or the farm inherits nothing
	refused diag.Diagnostics
}

// inherit lays a farm's table over the defaults of its directory.
func (i *inheritance) inherit(t *toml.Table) {
	if i.from == nil || i.from.table == nil {
		return
	}
	if own, has := t.Raw(inheritKey); has && own.Data == false {
		i.from = nil
		return
	}
	if i.refused == nil {
		i.refused = slices.Clip(i.from.unfit[modeOf(t)])
	}
	i.refuse(i.otherBody(t))
	t.Inherit(i.from.table, func(at diag.Place) bool { return placed(i.refused, at) })
}

// otherBody refuses the expectation of a body in the defaults, if the farm has the other one of the two.
func (i *inheritance) otherBody(t *toml.Table) (out diag.Diagnostics) {
	own, theirs := t.Table("health"), i.from.table.Table("health")
	if own == nil || theirs == nil {
		return nil
	}
	for key, other := range map[string]string{"body": "body-regexp", "body-regexp": "body"} {
		if own.Gives(other) && theirs.Gives(key) {
			out = append(out, diag.Diagnostic{Place: theirs.At(key), Message: "the farm has " + other})
		}
	}
	return out
}

// refuse adds the keys of the defaults that do not fit the farm, by the diagnostics about them. It reports whether
// there are new ones, so that the farm has to be read again without them.
func (i *inheritance) refuse(about diag.Diagnostics) (more bool) {
	if i.from == nil {
		return false
	}
	for _, d := range about {
		if d.Place.File == i.from.file.path && d.Place.Line > 0 && !placed(i.refused, d.Place) {
			i.refused, more = append(i.refused, d), true
		}
	}
	return more
}

func placed(about diag.Diagnostics, at diag.Place) bool {
	return slices.ContainsFunc(about, func(d diag.Diagnostic) bool { return d.Place == at })
}

// modeOf gives the mode of a farm's table, before it is read.
func modeOf(t *toml.Table) Mode {
	v, _ := t.Raw("mode")
	if mode, ok := v.Data.(string); ok {
		return Mode(mode)
	}
	return SNAT
}

// inheritKey is the key of a farm that inherits nothing.
const inheritKey = "inherit"

// isDefaults reports whether a place is in a file of defaults.
func isDefaults(at diag.Place) bool { return path.Base(at.File) == DefaultsFile }

// ownPlace gives the place for a fault of a farm that has a key from a file of defaults: the farm lacks something, so
// the fault is not one of the defaults, and the key is not refused.
func ownPlace(t *toml.Table, at diag.Place) diag.Place {
	if isDefaults(at) {
		return t.Top().Place
	}
	return at
}

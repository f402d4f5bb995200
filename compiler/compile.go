// Package compiler turns farms, one TOML file each, into one complete nft script. It is pure: files in, bytes out; the
// same files give the same bytes on every machine.
package compiler

// Compile reads the farms in dirs, which go from low to high precedence, and compiles them. All faults of all files
// are found in one run; with a fault among the diagnostics there is no script.
func Compile(dirs []Dir) (*Script, Diagnostics) {
	var told Diagnostics
	files := read(dirs, &told)
	lists := map[string][]network{}
	for _, f := range files.lists {
		lists[f.name] = parseList(f, &told)
	}
	var farms []*Farm
	for _, f := range files.farms {
		if farm := parseFarm(f, lists, &told); farm != nil {
			farms = append(farms, farm)
		}
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
	return script, told
}

package farm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/diag"
)

// ZoneChanges warns of interfaces that are in another zone than before. Connection tracking looks up the requests that
// arrive there in the new zone, and makes a new entry for each connection that is open. The reply of this entry is that
// of the old one, so the kernel gives the connection another source port, also where nothing else translates it, and
// the server resets it (seen on Linux 6.18). Flows of UDP go on with the new port. It does not warn if the farms
// before are not known.
func (d *Difference) ZoneChanges() (out diag.Diagnostics) {
	if d.before == nil {
		return nil
	}
	was, is, owners := map[string]int{}, map[string]int{}, map[string]*Farm{}
	for _, name := range d.Names {
		zone, interfaces := d.before[name].zone()
		for _, device := range interfaces {
			was[device] = zone
		}
	}
	for _, f := range d.after {
		if f.Zone == 0 {
			continue
		}
		_, isChanged := slices.BinarySearch(d.Names, f.Name)
		for _, device := range f.Interfaces {
			is[device], owners[device] = f.Zone, f
			if !isChanged {
				was[device] = f.Zone
			}
		}
	}
	for _, device := range union(was, is) {
		if was[device] != is[device] {
			out = append(out, zoneChange(device, was[device], is[device], owners[device]))
		}
	}
	return out
}

func zoneChange(device string, was, is int, owner *Farm) diag.Diagnostic {
	d := diag.Diagnostic{Severity: diag.Warning, Hint: "clients can connect anew at once",
		Message: fmt.Sprintf("zone: interface %s: %s → %s: the load ends all TCP connections that clients opened "+
			"through it, also those of other farms and to this machine (ssh)", device, zoneWords(was), zoneWords(is))}
	if owner != nil {
		d.Farm, d.Place = owner.Name, owner.at("zone")
	}
	return d
}

func zoneWords(number int) string {
	if number == 0 {
		return "no zone"
	}
	return "zone " + strconv.Itoa(number)
}

// zone gives the zone of the described farm and its interfaces; none if it has no zone.
func (f Description) zone() (number int, interfaces []string) {
	if !strings.Contains(string(f), `"zone"`) { // most farms have none
		return 0, nil
	}
	facts := f.details().Farm
	if number, _ = strconv.Atoi(facts["zone"]); number == 0 {
		return 0, nil
	}
	return number, strings.Split(facts["interfaces"], ", ")
}

package nftlb

import (
	"net/http"
	"strings"
)

func (q *request) loadFarm(o object) {
	q.farm = nil
	q.each(o, "name", map[string]func(object){"backends": q.loadBackend, "addresses": q.loadFarmAddress,
		"policies": q.attachPolicy, "sessions": q.loadSession}, q.setFarm)
}

func (q *request) setFarm(key, text string) {
	if key == "name" {
		q.selectFarm(text)
		return
	}
	f := q.farm
	if q.unnamed(f == nil) {
		return
	}
	if own, is := addressKey(key); is {
		q.setFarmAddress(f, own, text)
		return
	}
	value, ok := q.read(farmKind, key, text)
	if !ok {
		return
	}
	q.setFarmValue(f, key, value)
}

// setFarmAddress sets an attribute of the first address of a farm. Interfaces and MAC addresses are the farm's.
func (q *request) setFarmAddress(f *Farm, key, text string) {
	value, ok := q.read(addressKind, key, text)
	switch {
	case !ok:
	case key == "iface" || key == "ether-addr":
		f.Values[key] = value
	default:
		q.firstOrNew(f).set(key, value)
	}
}

func (q *request) setFarmValue(f *Farm, key, value string) {
	old := f.Values[key]
	switch {
	case key == "newname":
		q.renameFarm(f, value)
		return
	case key == "mark" && !q.marks(f, value):
		return
	case key == "state" && value == "config_error":
		return
	case key == "scheduler" && value == "hash" && old != "hash" && f.Values["sched-param"] == "none":
		f.Values["sched-param"] = "srcip "
	case key == "scheduler" && value != old && value != "hash":
		f.Values["sched-param"] = "none"
	case key == "persistence" && value != old:
		f.Sessions = nil
	}
	f.Values[key] = value
}

// marks reports whether a farm can have a mark.
func (q *request) marks(f *Farm, mark string) bool {
	mode := f.Values["mode"]
	high := Values{"mark": mark}.mark()&(1<<31) != 0
	return !high && (mode == "snat" || mode == "dnat" || mode == "local")
}

// name takes the name of an object.
func (q *request) name(text string) bool {
	_, ok := someText(q, "name", text)
	return ok
}

func (q *request) selectFarm(name string) {
	if !q.name(name) {
		return
	}
	if q.farm = q.Farm(name); q.farm == nil {
		q.farm = &Farm{Name: name, Values: farmKind.presets(), order: q.next(), own: true}
		q.Farms = append(q.Farms, q.farm)
		q.keep(q.farm)
	}
	q.backend, q.client = nil, ""
}

func (q *request) renameFarm(f *Farm, name string) {
	if q.Farm(name) != nil {
		if !q.lenient && name != f.Name {
			q.refuse(http.StatusConflict, "farm '"+name+"' exists")
		}
		return
	}
	if a := q.first(f); a != nil && strings.Contains(a.Name, "-addr") {
		q.renameAddress(q.Address(a.Name), q.freeAddress(name))
	}
	f.Name = name
	q.dropPlaces()
}

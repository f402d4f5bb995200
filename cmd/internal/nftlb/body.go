package nftlb

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// patch replaces the policies of a farm, or the elements of a policy.
func (q *request) patch(path []string, body []byte) {
	switch f, p := q.Farm(path[1]), q.Policy(path[1]); {
	case path[0] == "farms" && path[2] == "policies" && f == nil:
		q.stop(http.StatusNotFound, "")
	case path[0] == "farms" && path[2] == "policies":
		f.Policies = nil
		q.load(body)
	case path[0] == "policies" && p == nil:
		q.stop(http.StatusNotFound, ". Unknown policy '%s'", path[1])
	case path[0] == "policies":
		p.Elements = nil
		q.load(body)
	default:
		q.refuse(http.StatusNotFound, invalidRequest)
	}
}

// load applies a document.
func (q *request) load(body []byte) {
	document, faults := readJSON(body, q.twice)
	if len(faults) > 0 {
		q.refuse(http.StatusBadRequest, badStructure)
		if len(strings.TrimSpace(string(body))) > 0 {
			fmt.Fprintf(&q.notes, ". %s", faults[0])
		}
		return
	}
	for _, m := range document {
		q.collection(m.key, m.value, map[string]func(object){"farms": q.loadFarm, "policies": q.loadPolicy,
			"addresses": q.loadAddress})
	}
}

const badStructure = "the structure is invalid"

// collection applies the objects of a list.
func (q *request) collection(key string, value any, kinds map[string]func(object)) {
	load, known := kinds[key]
	objects, isList := value.(list)
	switch {
	case !known:
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
	case !isList:
		q.refuse(http.StatusBadRequest, badStructure)
	}
	for _, o := range objects {
		fields, isObject := o.(object)
		if q.status == 0 && !isObject {
			q.refuse(http.StatusBadRequest, badStructure)
		}
		if q.status == 0 {
			load(fields)
		}
	}
}

// each applies the members of an object, with its name first. Lists are collections; set has all other keys.
func (q *request) each(o object, name string, kinds map[string]func(object), set func(key, text string)) {
	for _, m := range o.nameFirst(name) {
		text, isText := m.value.(string)
		switch {
		case q.status != 0:
			return
		case isText && isReadOnly(m.key):
		case isText && kinds[m.key] == nil:
			set(m.key, text)
		case kinds[m.key] != nil:
			q.collection(m.key, m.value, kinds)
		default:
			q.refuse(http.StatusBadRequest, badStructure)
		}
	}
}

// set reads a value of an object. It ends the request if the object has no such key.
func (q *request) set(k kind, v Values, key, text string) {
	if value, ok := q.read(k, key, text); ok {
		v[key] = value
	}
}

func (q *request) read(k kind, key, text string) (value string, ok bool) {
	a, known := k.byKey[key]
	if !known {
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
		return "", false
	}
	return a.read(q, key, text)
}

// unnamed ends the request if the object of the keys is unknown.
func (q *request) unnamed(isUnknown bool) bool {
	if isUnknown {
		q.stop(http.StatusNotFound, "")
	}
	return isUnknown
}

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

func (q *request) renameAddress(a *Address, name string) {
	for _, f := range q.Farms {
		if i := slices.Index(f.Addresses, a.Name); i >= 0 {
			q.Farm(f.Name).Addresses[i] = name
		}
	}
	a.Name = name
	q.dropPlaces()
}

// freeAddress returns the name of a new address of a farm.
func (s *State) freeAddress(farm string) string {
	name := farm + "-addr"
	for i := 0; s.Address(name) != nil; i++ {
		name = fmt.Sprintf("%s-addr-%d", farm, i)
	}
	return name
}

// firstOrNew returns the first address of a farm.
func (q *request) firstOrNew(f *Farm) *Address {
	if len(f.Addresses) == 0 {
		f.Addresses = []string{q.makeAddress(q.freeAddress(f.Name)).Name}
	}
	return q.Address(f.Addresses[0])
}

// makeAddress returns the address of a name, which can be new.
func (q *request) makeAddress(name string) *Address {
	a := q.Address(name)
	if a == nil {
		a = &Address{Name: name, Values: addressKind.presets(), order: q.next()}
		q.Addresses = append(q.Addresses, a)
		q.keep(a)
	}
	return a
}

func (q *request) setAddress(a *Address, key, text string) {
	if value, ok := q.read(addressKind, key, text); ok {
		a.set(key, value)
	}
}

// set sets an attribute. Without ports an address has all protocols, until a protocol follows.
func (a *Address) set(key, value string) {
	switch {
	case key == "ports" && value == "0":
		return
	case key == "ports" && value == "":
		a.Values["protocol"] = "all"
	}
	a.Values[key] = value
}

func (q *request) loadAddress(o object) {
	q.address = nil
	q.each(o, "name", map[string]func(object){"policies": q.attachToAddress}, func(key, text string) {
		switch {
		case key == "name" && q.name(text):
			q.address = q.makeAddress(text)
		case key != "name" && !q.unnamed(q.address == nil):
			q.setAddress(q.address, key, text)
		}
	})
}

// loadFarmAddress applies an address within a farm, and attaches it.
func (q *request) loadFarmAddress(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.loadAddress(o)
	if q.address != nil && q.status == 0 && !slices.Contains(q.farm.Addresses, q.address.Name) {
		q.farm.Addresses = append(q.farm.Addresses, q.address.Name)
	}
}

func (q *request) attachPolicy(o object) {
	if !q.unnamed(q.farm == nil) {
		q.farm.Policies = q.attach(q.farm.Policies, o)
	}
}

func (q *request) attachToAddress(o object) {
	if !q.unnamed(q.address == nil) {
		q.address.Policies = q.attach(q.address.Policies, o)
	}
}

// attach adds the policy that an object names.
func (q *request) attach(to []string, o object) []string {
	q.each(o, "name", nil, func(key, name string) {
		switch {
		case key != "name":
			q.refuse(http.StatusBadRequest, badStructure)
		case q.Policy(name) == nil:
			q.stop(http.StatusNotFound, ". Unknown policy '%s'", name)
		case !slices.Contains(to, name):
			to = append(to, name)
		}
	})
	return to
}

func (q *request) loadBackend(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.backend = nil
	q.each(o, "name", nil, q.setBackend)
}

func (q *request) setBackend(key, text string) {
	if key == "name" {
		q.selectBackend(text)
		return
	}
	b := q.backend
	if q.unnamed(b == nil) {
		return
	}
	value, ok := q.read(backendKind, key, text)
	switch {
	case !ok:
	case key == "newname":
		q.renameBackend(b, value)
	case key == "mark":
		q.markBackend(b, value)
	case key == "state" && value == "config_error":
		b.Values[key] = "up"
	case key == "source-addr" && value == "" && b.Values[key] == "":
	default:
		b.Values[key] = value
	}
}

func (q *request) selectBackend(name string) {
	if !q.name(name) {
		return
	}
	if q.backend = q.farm.Backend(name); q.backend == nil {
		q.backend = &Backend{Name: name, Values: backendKind.presets()}
		q.backend.Values["mark"] = hex(q.freeMark())
		q.farm.Backends = append(q.farm.Backends, q.backend)
	}
}

// markBackend gives a backend a mark. The number that it has already, as in a listing, is not asked for.
func (q *request) markBackend(b *Backend, value string) {
	mark := Values{"mark": value}.mark()
	if mark < 1 || mark > largestMark || value == b.Values["mark"] {
		return
	}
	b.Values["mark"], b.Marked = value, true
	q.marked, q.free = nil, 0
}

func (q *request) renameBackend(b *Backend, name string) {
	if q.farm.Backend(name) != nil {
		if name != b.Name {
			q.refuse(http.StatusConflict, "backend '"+name+"' exists")
		}
		return
	}
	for i, s := range q.farm.Sessions {
		if s.Backend == b.Name {
			q.farm.Sessions[i].Backend = name
		}
	}
	b.Name = name
}

func (q *request) loadSession(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.client = ""
	q.each(o, "client", nil, q.setSession)
}

func (q *request) setSession(key, text string) {
	sessions := q.farm.Sessions
	i := slices.IndexFunc(sessions, func(s Session) bool { return s.Client == q.client })
	switch {
	case key == "client" && text == "", key == "backend" && text == "":
		q.stop(http.StatusBadRequest, ". Key '%s' cannot be empty", key)
	case key == "client":
		q.client = text
		if !slices.ContainsFunc(sessions, func(s Session) bool { return s.Client == text }) {
			q.farm.Sessions = append(sessions, Session{Client: text})
		}
	case key == "expiration":
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
	case key != "backend":
		q.refuse(http.StatusBadRequest, badStructure)
	case !q.unnamed(q.client == "" || q.farm.Backend(text) == nil && text != "UNDEFINED"):
		sessions[i].Backend = strings.TrimPrefix(text, "UNDEFINED")
	}
}

func (q *request) loadPolicy(o object) {
	q.policy = nil
	q.each(o, "name", map[string]func(object){"elements": q.loadElement}, func(key, text string) {
		switch {
		case key == "name" && q.name(text):
			if q.policy = q.Policy(text); q.policy == nil {
				q.policy = &Policy{Name: text, Values: policyKind.presets(), order: q.next(), own: true}
				q.Policies = append(q.Policies, q.policy)
				q.keep(q.policy)
			}
		case key != "name" && !q.unnamed(q.policy == nil):
			q.set(policyKind, q.policy.Values, key, text)
		}
	})
	if q.policy != nil && q.status == 0 {
		q.policy.Elements = merged(q.policy.Elements)
	}
}

func (q *request) loadElement(o object) {
	if q.unnamed(q.policy == nil) {
		return
	}
	q.each(o, "data", nil, func(key, text string) {
		switch {
		case key == "time":
			q.stop(http.StatusNotFound, ". Unknown parsed key with index '43'")
		case key != "data":
			q.unnamed(true)
		case q.removes:
			q.policy.Elements = slices.DeleteFunc(q.policy.Elements, func(e string) bool { return e == text })
		default:
			if _, ok := someText(q, key, text); ok {
				q.policy.Elements = append(q.policy.Elements, text)
			}
		}
	})
}

package nftlb

import (
	"net/http"
	"slices"
	"strings"
)

// remove does DELETE of the objects of a path.
func (q *request) remove(path []string) {
	switch {
	case path[0] == "addresses":
		q.removeAddresses(path[1])
	case path[0] == "policies" && path[2] == "elements":
		q.removeElements(path[1], path[3], path[4])
	case path[0] == "policies":
		q.removePolicies(path[1])
	case path[2] == "":
		q.removeFarms(path[1])
	default:
		q.removeParts(path)
	}
}

// missing ends the request, as an object is unknown.
func (q *request) missing(doing, what, name, where string) {
	if q.status == 0 {
		q.notes.WriteString(". Unknown " + what + " '" + name + "'" + where)
		q.refuse(http.StatusNotFound, doing)
	}
}

func (q *request) removeFarms(name string) {
	if name != "" && q.Farm(name) == nil {
		q.missing("error deleting farm", "farm", name, "")
		return
	}
	attached := map[string]bool{}
	q.Farms = slices.DeleteFunc(q.Farms, func(f *Farm) bool {
		gone := name == "" || f.Name == name
		for _, a := range f.Addresses {
			attached[a] = attached[a] || gone
		}
		return gone
	})
	q.dropUnused(attached)
}

// dropUnused removes addresses of a set that no farm has, unless they have policies.
func (q *request) dropUnused(some map[string]bool) {
	users := q.users()
	q.Addresses = slices.DeleteFunc(q.Addresses, func(a *Address) bool {
		return some[a.Name] && users[a.Name] == 0 && len(a.Policies) == 0
	})
	q.dropPlaces()
}

// detach takes an address from a farm. An address that no farm has is gone, unless it has policies.
func (q *request) detach(f *Farm, name string) {
	f.Addresses = without(f.Addresses, name)
	if len(f.Addresses) == 0 {
		q.warn(f.Name, "addresses", "farm "+f.Name+" has no address, so it is not loaded")
	}
	q.dropUnused(map[string]bool{name: true})
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == name })
}

func (q *request) removeAddresses(name string) {
	if name != "" && q.Address(name) == nil {
		q.missing("error stopping address", "address", name, "")
		return
	}
	gone := func(n string) bool { return name == "" || n == name }
	for _, f := range q.Farms {
		if slices.ContainsFunc(f.Addresses, gone) {
			f = q.Farm(f.Name)
			f.Addresses = slices.DeleteFunc(f.Addresses, gone)
			q.needsAddress(f)
		}
	}
	q.Addresses = slices.DeleteFunc(q.Addresses, func(a *Address) bool { return gone(a.Name) })
	q.dropPlaces()
}

// needsAddress ends the request if it takes the last address of a farm.
func (q *request) needsAddress(f *Farm) {
	if len(f.Addresses) == 0 && !q.lenient {
		q.refuse(http.StatusConflict, "error stopping address. Farm '"+f.Name+"' would have none left")
	}
}

func (q *request) removePolicies(name string) {
	if name != "" && q.Policy(name) == nil {
		q.missing("error stopping policy", "policy", name, "")
		return
	}
	gone := func(n string) bool { return name == "" || n == name }
	for _, f := range q.Farms {
		if slices.ContainsFunc(f.Policies, gone) {
			f = q.Farm(f.Name)
			f.Policies = q.withoutPolicies(f.Policies, gone, f.Name, "farm "+f.Name)
		}
	}
	for _, a := range q.Addresses {
		if slices.ContainsFunc(a.Policies, gone) {
			a = q.Address(a.Name)
			a.Policies = q.withoutPolicies(a.Policies, gone, "", "address "+a.Name)
		}
	}
	q.Policies = slices.DeleteFunc(q.Policies, func(p *Policy) bool { return gone(p.Name) })
	q.dropPlaces()
}

// withoutPolicies takes policies away from an object that uses them, with a warning for each.
func (q *request) withoutPolicies(names []string, gone func(string) bool, farm, user string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		if gone(name) {
			q.warn(farm, "policies", "policy "+name+" is detached from "+user)
			return true
		}
		return false
	})
}

// removeElements removes the elements of a policy, or one of them. A network has its length in a level of its own.
func (q *request) removeElements(name, element, length string) {
	p := q.Policy(name)
	if length != "" {
		element += "/" + length
	}
	switch {
	case p == nil:
		q.missing("could not get the policy elements", "policy", name, "")
	case element == "":
		p.Elements = nil
	case !slices.Contains(p.Elements, element):
		const doing = "error deleting policy element"
		if i := place(element, networks(p.Elements)); i >= 0 && !q.lenient {
			q.refuse(http.StatusConflict, doing+". Element '"+element+"' is within '"+p.Elements[i]+"'")
			return
		}
		q.missing(doing, "element", element, " in policy '"+name+"'")
	default:
		p.Elements = without(p.Elements, element)
	}
}

// removeParts removes parts of a farm.
func (q *request) removeParts(path []string) {
	doing := map[string]string{"backends": "error deleting backend", "sessions": "error deleting session",
		"addresses": "error deleting farm address", "policies": "error deleting farm policy"}[path[2]]
	isOfBackend := path[2] == "backends" && path[4] == "sessions"
	if isOfBackend {
		doing = "error deleting sessions from backend"
	}
	f := q.Farm(path[1])
	switch {
	case doing == "":
		q.refuse(http.StatusNotFound, invalidRequest)
	case f == nil:
		q.missing(doing, "farm", path[1], "")
	case isOfBackend:
		q.forgetBackend(f, doing, path[3])
	case path[2] == "backends":
		q.removeBackends(f, doing, path[3])
	case path[2] == "sessions":
		client := strings.ReplaceAll(path[3], "_", " ")
		f.Sessions = slices.DeleteFunc(f.Sessions, func(s Session) bool { return client == "" || s.Client == client })
	case path[2] == "addresses":
		q.detachNamed(f, doing, "address", path[3], f.Addresses, func(name string) { q.detach(f, name) })
	default:
		q.detachNamed(f, doing, "policy", path[3], f.Policies, func(name string) {
			f.Policies = without(f.Policies, name)
		})
	}
}

func (q *request) forgetBackend(f *Farm, doing, name string) {
	switch {
	case f.Values["persistence"] == "none":
		q.notes.WriteString(". Farm '" + f.Name + "' without session persistence")
		q.refuse(http.StatusBadRequest, doing)
	case f.Backend(name) == nil:
		q.missing(doing, "backend", name, " in farm '"+f.Name+"'")
	default:
		f.forget(name)
	}
}

// forget removes the sessions of a backend.
func (f *Farm) forget(backend string) {
	f.Sessions = slices.DeleteFunc(f.Sessions, func(s Session) bool { return s.Backend == backend })
}

func (q *request) removeBackends(f *Farm, doing, name string) {
	if name != "" && f.Backend(name) == nil {
		q.missing(doing, "backend", name, " in farm '"+f.Name+"'")
		return
	}
	f.Backends = slices.DeleteFunc(f.Backends, func(b *Backend) bool {
		gone := name == "" || b.Name == name
		if gone {
			f.forget(b.Name)
		}
		return gone
	})
}

// detachNamed detaches one of the names that a farm has, or all.
func (q *request) detachNamed(f *Farm, doing, what, name string, names []string, detach func(string)) {
	if name != "" && !slices.Contains(names, name) {
		q.missing(doing, "farm "+what, name, " in farm '"+f.Name+"'")
		return
	}
	for _, n := range slices.Clone(names) {
		if name == "" || n == name {
			detach(n)
		}
	}
}

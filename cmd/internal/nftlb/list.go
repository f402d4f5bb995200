package nftlb

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// get does GET.
func (s *State) get(r Request) Answer {
	path := append(slices.Clone(r.Path), "", "", "")
	what, name, part := path[0], path[1], path[2]
	missing := name != "" && what == "farms" && s.Farm(name) == nil
	empty := what == "policies" && s.Policy(name) == nil || what == "addresses" && s.Address(name) == nil
	switch {
	case what != "farms" && what != "policies" && what != "addresses", missing,
		part != "" && (what != "farms" || part != "sessions" && part != "backends"), name != "" && empty && !r.Lenient:
		return Answer{Status: http.StatusNotFound, Text: invalidRequest, State: s}
	case part == "sessions":
		return s.listed(object{{"sessions", sessions(s.Farm(name))}})
	case part == "backends":
		return s.listed(object{{"backends", backends(s.Farm(name))}})
	}
	return s.listed(s.list(what, name))
}

func (s *State) listed(o object) Answer {
	return Answer{Status: http.StatusOK, Listing: Indent(o), State: s}
}

// Listing returns the listing of a collection, or of the object of a name in it.
func (s *State) Listing(what, name string) []byte { return Indent(s.list(what, name)) }

// A lister lists the objects of a state.
type lister struct {
	*State
	users       map[string]int // farms with each address
	policyUsers map[string]int // farms and addresses with each policy
}

func (s *State) list(what, name string) object {
	l, all := lister{s, s.users(), s.policyUsers()}, list{}
	add := func(n string, o func() object) {
		if name == "" || n == name {
			all = append(all, o())
		}
	}
	switch what {
	case "farms":
		for _, f := range s.Farms {
			add(f.Name, func() object { return l.farm(f) })
		}
	case "policies":
		for _, p := range s.Policies {
			add(p.Name, func() object { return l.policy(p) })
		}
	case "addresses":
		for _, a := range s.Addresses {
			add(a.Name, func() object { return l.address(a, true) })
		}
	}
	return object{{what, all}}
}

// farm lists a farm.
func (l lister) farm(f *Farm) object {
	out := object{{"name", f.Name}}
	first := l.first(f)
	for _, a := range farmKind.attributes {
		value, has := f.Values[a.key]
		switch {
		case a.listed == ofAddress && first != nil:
			own, _ := addressKey(a.key)
			value, has = first.Values[own], true
		case a.listed == stateless:
			has = f.Values["mode"] == "stlsdnat"
		case a.key == "priority":
			value = strconv.Itoa(f.level())
		case a.key == "state" && (f.aside && l.listens(f) || l.misfit(f)):
			value = "config_error"
		}
		if has && a.shows(value) {
			out = append(out, member{a.key, value})
		}
	}
	addresses := list{}
	for _, name := range f.Addresses {
		addresses = append(addresses, l.address(l.Address(name), false))
	}
	out = append(out, member{"addresses", addresses}, member{"backends", backends(f)},
		member{"policies", names(f.Policies)})
	if len(f.Sessions) > 0 {
		out = append(out, member{"sessions", sessions(f)})
	}
	return out
}

func (a attribute) shows(value string) bool {
	return a.listed != never && (a.listed != changed || value != a.preset)
}

// level is the worst priority that serves.
func (f *Farm) level() int {
	for level := 1; ; {
		out := 0
		for _, b := range f.Backends {
			if b.Values.Number("priority") == level && !b.serves() {
				out++
			}
		}
		if out == 0 {
			return level
		}
		level += out
	}
}

// serves reports whether a backend can get new clients.
func (b *Backend) serves() bool { return b.state() == "up" }

// state is the state of a backend. Without an address it cannot serve.
func (b *Backend) state() string {
	if b.Values["state"] == "up" && b.Values["ip-addr"] == "" {
		return "config_error"
	}
	return b.Values["state"]
}

func backends(f *Farm) list {
	level, out := f.level(), list{}
	for _, b := range f.Backends {
		o := object{{"name", b.Name}}
		for _, a := range backendKind.attributes {
			value, has := b.Values[a.key]
			if a.key == "state" {
				value = b.state()
				if value == "up" && b.Values.Number("priority") > level {
					value = "available"
				}
			}
			if has && a.shows(value) {
				o = append(o, member{a.key, value})
			}
		}
		out = append(out, o)
	}
	return out
}

func names(all []string) list {
	out := list{}
	for _, name := range all {
		out = append(out, object{{"name", name}})
	}
	return out
}

func sessions(f *Farm) list {
	out := list{}
	for _, s := range f.Sessions {
		backend := s.Backend
		if backend == "" {
			backend = "UNDEFINED"
		}
		out = append(out, object{{"client", s.Client}, {"backend", backend}})
	}
	return out
}

// address lists an address: alone, or within a farm.
func (l lister) address(a *Address, alone bool) object {
	out := object{{"name", a.Name}}
	for _, attribute := range addressKind.attributes {
		value, has := a.Values[attribute.key]
		if has && attribute.shows(value) && (alone || strings.Contains(withinFarm, attribute.key)) {
			out = append(out, member{attribute.key, value})
		}
	}
	out = append(out, member{"used", strconv.Itoa(l.users[a.Name])})
	if alone {
		out = append(out, member{"policies", names(a.Policies)})
	}
	return out
}

// withinFarm are the attributes of an address that a farm lists.
const withinFarm = "family ip-addr ports protocol"

// policy lists a policy.
func (l lister) policy(p *Policy) object {
	out := object{{"name", p.Name}}
	for _, a := range policyKind.attributes {
		if value, has := p.Values[a.key]; has && a.shows(value) {
			out = append(out, member{a.key, value})
		}
	}
	elements := list{}
	for _, e := range p.Elements {
		elements = append(elements, object{{"data", e}, {"counter-packets", "0"}, {"counter-bytes", "0"}})
	}
	return append(out, member{"used", strconv.Itoa(l.policyUsers[p.Name])}, member{"elements", elements})
}

// policyUsers returns the number of farms and addresses with each policy.
func (s *State) policyUsers() map[string]int {
	n := map[string]int{}
	for _, f := range s.Farms {
		for _, p := range f.Policies {
			n[p]++
		}
	}
	for _, a := range s.Addresses {
		for _, p := range a.Policies {
			n[p]++
		}
	}
	return n
}

// Indent writes a value with eight spaces a level and no end of line, as nftlb does.
func Indent(value any) []byte {
	var out bytes.Buffer
	indent(&out, value, "\n")
	return out.Bytes()
}

func indent(out *bytes.Buffer, value any, newline string) {
	deeper := newline + "        "
	switch value := value.(type) {
	case object:
		for i, m := range value {
			out.WriteString(opening("{", i) + deeper)
			quote(out, m.key)
			out.WriteString(": ")
			indent(out, m.value, deeper)
		}
		out.WriteString(newline + "}")
	case list:
		if len(value) == 0 {
			out.WriteString("[]")
			return
		}
		for i, item := range value {
			out.WriteString(opening("[", i) + deeper)
			indent(out, item, deeper)
		}
		out.WriteString(newline + "]")
	case string:
		quote(out, value)
	}
}

// opening stands before an item: a bracket, or the comma after the item before.
func opening(bracket string, i int) string {
	if i == 0 {
		return bracket
	}
	return ","
}

// quote writes a string as JSON.
func quote(out *bytes.Buffer, text string) {
	plain := func(c rune) bool { return ' ' <= c && c <= '~' && c != '"' && c != '\\' }
	if !strings.ContainsFunc(text, func(c rune) bool { return !plain(c) }) {
		out.WriteString(`"` + text + `"`)
		return
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)          // a string has no error
	out.Truncate(out.Len() - 1) // without the end of the line
}

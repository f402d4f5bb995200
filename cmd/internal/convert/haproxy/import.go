package haproxy

import (
	"fmt"
	"strings"

	"farmc/cmd/internal/convert"
)

// Import makes a farm of each frontend and listen section with mode tcp.
func Import(in convert.Input) *convert.Result {
	c := &configuration{Result: &convert.Result{}, files: in.Files, defaults: map[string]*section{},
		backends: map[string]*proxy{}, tables: map[string]directive{}, users: map[string]int{},
		lists: map[string]string{}}
	var fronts []*proxy
	for _, s := range parse(c.Result, in) {
		if p := c.section(s); p != nil && p.kind != "backend" {
			fronts = append(fronts, p)
		}
	}
	var farms []*front
	for _, p := range fronts {
		if f := c.farm(p); f != nil {
			farms = append(farms, f)
			c.users[f.sticks.table]++
		}
	}
	for _, f := range farms {
		f.write()
	}
	for _, s := range c.unused() {
		c.Note(s.at, "no frontend in mode tcp has this backend as its default_backend", "leave it out")
	}
	return c.Result
}

// A configuration has the sections so far.
type configuration struct {
	*convert.Result
	files    convert.Files
	last     *section            // the defaults without a name
	defaults map[string]*section // the defaults by name
	backends map[string]*proxy
	order    []*proxy             // the backends in their order
	tables   map[string]directive // the lines that declare tables, by section, and "peers/table"
	users    map[string]int       // of tables
	lists    map[string]string    // lists of clients with "@", by file; "": it cannot be had
}

// A proxy is a frontend, backend or listen section with its defaults.
type proxy struct {
	section
	kind, name string
	used       bool
}

// find gives the last directive with some first words.
func (p *proxy) find(words ...string) (found directive, is bool) {
	for _, d := range p.all() {
		if strings.HasPrefix(strings.Join(d.words, " ")+" ", strings.Join(words, " ")+" ") {
			found, is = d, true
		}
	}
	return found, is
}

// section reads the beginning of a section, and gives the proxy that it is; nil for others.
func (c *configuration) section(s *section) *proxy {
	c.declare(s)
	switch kind := s.word(0); kind {
	case "defaults":
		s.from, c.last = c.parent(s, nil), s
		if name := s.word(1); name != "" && name != "from" {
			c.defaults[name] = s
		}
		return nil
	case "frontend", "backend", "listen":
		s.from = c.parent(s, c.last)
		p := &proxy{section: *s, kind: kind, name: s.word(1)}
		if kind != "frontend" {
			c.backends[p.name] = p
			if kind == "backend" {
				c.order = append(c.order, p)
			}
		}
		return p
	default:
		c.Note(s.at, "section "+kind+" does not concern proxies in mode tcp", "leave it out")
		return nil
	}
}

// declare notes the tables of a section. A section of peers can have several.
func (c *configuration) declare(s *section) {
	for _, d := range s.within {
		switch {
		case d.word(0) == "stick-table":
			c.tables[s.word(1)] = d
		case d.word(0) == "table" && s.word(0) == "peers":
			c.tables[s.word(1)+"/"+d.word(1)] = d
		}
	}
}

// parent gives the defaults that a section names behind "from", or else other ones.
func (c *configuration) parent(s *section, other *section) *section {
	at := 2
	if s.word(0) == "defaults" && s.word(1) == "from" {
		at = 1
	}
	if s.word(at) != "from" {
		return other
	}
	of := c.defaults[s.word(at+1)]
	if of == nil {
		c.Lose(s.at, "there are no defaults of this name above", "write the directives into the section")
		return nil
	}
	depth := 1
	for d := of; d.from != nil; d = d.from {
		depth++
	}
	if depth > maxInherited {
		c.Lose(s.at, fmt.Sprintf("defaults inherit from more than %d others", maxInherited),
			"write the directives into the section")
		return nil
	}
	return of
}

// maxInherited is the largest number of defaults that a section inherits from.
const maxInherited = 20

// unused gives the backends that no farm has.
func (c *configuration) unused() (all []*proxy) {
	for _, p := range c.order {
		if !p.used {
			all = append(all, p)
		}
	}
	return all
}

// mode is the mode of a proxy, tcp by default.
func (p *proxy) mode() string {
	if d, is := p.find("mode"); is {
		return d.word(1)
	}
	return "tcp"
}

// farm reads the farm of a frontend or listen section; nil for one of layer 7.
func (c *configuration) farm(p *proxy) *front {
	if mode := p.mode(); mode != "tcp" {
		if b := c.backends[c.defaultBackend(p)]; b != nil {
			b.used = true
		}
		c.Lose(p.at, "mode "+mode+" is layer 7, and farmc balances connections",
			"keep HAProxy for it, with a farm in mode snat or local before it")
		return nil
	}
	back := p
	if name := c.defaultBackend(p); p.kind == "frontend" || name != "" {
		back = c.backends[name]
	}
	if _, has := p.find("server"); has && back != p {
		c.Note(p.at, "the section has a default_backend, so its own servers serve nothing in HAProxy, either",
			"leave them out")
	}
	f := &front{configuration: c, proxy: p, back: back, farm: c.NewFarm(p.at, p.name)}
	f.farm.Set(p.at, "snat", "mode")
	if back == nil {
		c.Lose(p.at, "the frontend has no default_backend", "add backends to the farm")
		f.back = &proxy{}
	}
	f.back.used = true
	f.read()
	return f
}

// defaultBackend names the backend of a frontend.
func (c *configuration) defaultBackend(p *proxy) string {
	d, _ := p.find("default_backend")
	return d.word(1)
}

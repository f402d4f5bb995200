// Package graph draws a farm as a picture (SVG): interfaces, addresses, filters, the choice of a backend, the backends
// with their shares of new clients, and the way of the replies.
//
// The package knows farms, and the form of SVG. It does not know the kernel, files or HTTP: farmc graph writes the
// picture to a file, and a page has it among its HTML. It must not write a text of an administrator other than through
// a drawing, which escapes it.
//
// picture.go has the content of a picture; steps.go and backends.go make it of a farm, and words.go says it in
// sentences. svg.go places the content, card.go and row.go draw its parts, fit.go cuts texts to their room, drawing.go
// writes elements, look.go has the colours.
//
// Be aware: a browser applies neither style elements nor style attributes in a page with a strict Content Security
// Policy. All colours are presentation attributes, for a light page. Options.Style adds a style element with
// variables for a dark one; a page has the same text, Style, in a style sheet of its own.
package graph

import (
	"encoding/json"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A Picture is the content of a picture. Texts are of any length, and need no escapes.
type Picture struct {
	Name        string
	Mode        string
	Description string // for people; "": none
	Down        bool   // the farm is checked, and not served
	Clients     []Item // the interfaces that packets of clients arrive on
	Frontends   []Item // the entries of listen
	Filters     []Item // access, limits and queue, in the order in which a packet meets them
	Choice      []Item // of a backend
	Delivery    []Item // what happens to a packet on its way to the backend
	Backends    []Backend
	Empty       string // stands in the place of the backends, if there are none
	Local       bool   // a program of this machine serves, and there are no backends
	Reply       string // the way of replies, a sentence
	Bypass      bool   // replies do not pass this machine
}

// An Item is a line of a card: a word in bold, and details below it. Either can be empty.
type Item struct {
	Label   string
	Details []string
	Tone    Tone
}

// A Tone says how an item or a state is meant. The words say it, too: the colour alone never does.
type Tone string

// The tones.
const (
	Plain   Tone = ""
	Caution Tone = "caution" // no new clients
	Stop    Tone = "stop"    // no packet passes
)

// A Backend is a row of the picture.
type Backend struct {
	Name    string
	Address string // of both families, with ports
	Shares  [len(addr.Families)]float64
	State   string // the reason why it gets no new clients; "": it serves
	Tone    Tone   // of State
}

// Share is the larger one of its shares of the two families, 0 to 1.
func (b Backend) Share() float64 { return max(b.Shares[addr.IP4], b.Shares[addr.IP6]) }

// Of gives the picture of a farm as its files make it. A reading without a farm, because its file is not TOML, gives a
// picture with its name alone.
func Of(r *farm.Reading) Picture {
	f := r.Farm()
	if f == nil {
		return Picture{Name: r.Name()}
	}
	var about struct{ Description string }
	_ = json.Unmarshal(r.Document(), &about) // a description that is no text is a fault of the farm
	return Picture{
		Name: f.Name, Mode: string(f.Mode), Description: about.Description, Down: f.Down,
		Clients: clients(f), Frontends: frontends(f), Filters: filters(f), Choice: choice(f), Delivery: delivery(f),
		Backends: backends(f), Empty: empty(f), Local: f.Mode == farm.Local,
		Reply: replies[f.Mode], Bypass: f.Mode == farm.DSR,
	}
}

// empty says why a farm has no backends.
func empty(f *farm.Farm) string {
	if len(f.Hosts) > 0 {
		return "no hostname has an address yet"
	}
	return "no backends: connections are refused"
}

// replies are the ways of replies, by mode.
var replies = map[farm.Mode]string{
	farm.SNAT:      "Replies return here: backends know this machine only",
	farm.DNAT:      "Replies return through this machine, the route of the backends",
	farm.DSR:       "Replies go from the backend straight to the client, past this machine",
	farm.Stateless: "Replies return through this machine, which puts the service's address into them",
	farm.Local:     "This machine replies",
}

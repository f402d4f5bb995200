package graph

import (
	"fmt"
	"io"

	"farmc/compiler/farm"
)

// Options say where a picture is shown.
type Options struct {
	Document bool // in a file of its own, with an XML declaration and a style element; else among HTML
}

// Sizes of the picture, in its units.
const (
	margin  = 20.0
	header  = 56.0 // name and mode
	about   = 20.0 // description
	gap     = 30.0 // between cards
	padding = 18.0 // of the frame of this machine
	fan     = 84.0 // between the frame and the backends
	caption = 34.0 // of the frame
	lane    = 52.0 // of the replies

	clientsWidth  = 154.0
	cardWidth     = 222.0
	backendsWidth = 280.0
)

// SVG writes the picture. The error is that of the writer.
func SVG(w io.Writer, p Picture, o Options) error {
	if o.Document {
		if _, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"); err != nil {
			return err
		}
	}
	s := newScene(p)
	d := newDrawing(w)
	s.begin(d, o)
	s.heading(d)
	s.machine(d)
	s.flow(d)
	s.replies(d)
	for _, c := range s.cards() {
		c.draw(d)
	}
	s.fan(d)
	s.rows.draw(d)
	d.end()
	if err := d.finish(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// A scene is a picture with the places of its parts.
type scene struct {
	Picture
	clients, frontends, filters, choice *card
	rows                                rows
	frame                               box     // of this machine
	axis                                float64 // the height of the way of requests
	laneAt                              float64 // the height of the way of replies
	width, height                       float64
}

func newScene(p Picture) *scene {
	s := &scene{Picture: p,
		clients:   newCard(clientsWidth, section{"Clients", p.Clients}),
		frontends: newCard(cardWidth, section{"Service", p.Frontends}),
		filters:   newCard(cardWidth, section{"Filters", p.Filters}),
		choice:    newCard(cardWidth, choiceSection(p), section{"Delivery", p.Delivery}),
		rows:      newRows(p),
	}
	s.place()
	return s
}

// choiceSection shows the choice of a backend, or the program of this machine that serves.
func choiceSection(p Picture) section {
	if p.Local {
		return section{"Program", p.Choice}
	}
	return section{"Choice", p.Choice}
}

func (s *scene) cards() []*card { return []*card{s.clients, s.frontends, s.filters, s.choice} }

// place places the parts from left to right, all of them around the axis.
func (s *scene) place() {
	body := s.rows.height()
	for _, c := range s.cards() {
		body = max(body, c.h)
	}
	top := header
	if s.Description != "" {
		top += about
	}
	s.axis = top + caption + body/2
	x := margin
	for i, c := range s.cards() {
		c.x, c.y = x, s.axis-c.h/2
		x += c.w + gap
		if i == 0 {
			x += padding
		}
	}
	s.frame = box{s.frontends.x - padding, top, s.choice.right() + 2*padding - s.frontends.x, caption + body + padding}
	s.width = s.frame.right() + margin
	if !s.Local {
		s.rows.x, s.rows.y = s.frame.right()+fan-padding, s.axis-s.rows.height()/2
		s.width = s.rows.x + backendsWidth + margin
	}
	s.placeReplies()
}

// placeReplies places the way of replies: through the frame, or below it.
func (s *scene) placeReplies() {
	s.height = s.frame.bottom() + margin
	if s.hasNoReplies() {
		return
	}
	s.height += lane
	s.laneAt = s.frame.bottom() + lane/2 - padding/2
	if s.Bypass {
		s.laneAt = s.frame.bottom() + lane/2
	} else {
		s.frame.h += lane - padding/2
		s.height -= padding / 2
	}
}

// hasNoReplies reports whether no packet gets as far as a backend or a program.
func (s *scene) hasNoReplies() bool { return s.Down || !s.Local && len(s.Backends) == 0 }

// begin opens the document, with a name and a description for people who do not see it.
func (s *scene) begin(d *drawing, o Options) {
	id := "fg-" + s.Name
	if !farm.IsName(s.Name) {
		id = "fg"
	}
	d.begin("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "farm-graph", "role", "img",
		"aria-labelledby", id+"-title", "aria-describedby", id+"-desc",
		"viewBox", fmt.Sprintf("0 0 %s %s", number(s.width), number(s.height)),
		"width", number(s.width), "height", number(s.height), "font-family", sansFamily)
	d.leaf("title", "Farm "+s.Name, "id", id+"-title")
	d.leaf("desc", s.Words(), "id", id+"-desc")
	if o.Document {
		d.raw("style", Style())
	}
	d.rect(box{0, 0, s.width, s.height}, 10, "ground")
}

// heading writes the name, the mode, and the description.
func (s *scene) heading(d *drawing) {
	name := font{22, "bold", false}
	room := s.width - 2*margin
	d.text(margin, 38, name.fitName(s.Name, room-220), name, "text", "start")
	right := chip(d, s.width-margin, 20, "mode "+s.Mode, "accent")
	if s.Down {
		chip(d, right-8, 20, "down", "stop")
	}
	small := font{13, "", false}
	if s.Description != "" {
		d.begin("g")
		d.leaf("title", s.Description)
		d.text(margin, 61, small.fit(s.Description, room), small, "muted", "start")
		d.end()
	}
}

// chip writes a word in a frame that ends at the right, and gives the left end of it.
func chip(d *drawing, right, y float64, word, class string) float64 {
	f := font{12, "bold", false}
	w := f.width(word) + 16
	b := box{right - w, y, w, 24}
	d.rect(b, 12, "card")
	d.text(b.x+b.w/2, b.y+16.5, word, f, class, "middle")
	return b.x
}

// machine draws the frame around the rules of this machine.
func (s *scene) machine(d *drawing) {
	d.rect(s.frame, 12, "frame", "stroke-dasharray", "4 4")
	d.text(s.frame.x+padding, s.frame.y+22, "THIS MACHINE", font{11, "bold", false}, "muted", "start")
}

// flow draws the way of requests from card to card.
func (s *scene) flow(d *drawing) {
	cards := s.cards()
	for i, c := range cards[1:] {
		d.path(fmt.Sprintf("M%s %sH%s", number(cards[i].right()), number(s.axis), number(c.x-6)), s.flowClass(),
			"stroke-width", "2")
		d.arrow(c.x-1, s.axis, 1, s.headClass())
	}
}

// flowClass is the look of lines that packets take; headClass that of the heads of arrows.
func (s *scene) flowClass() string {
	if s.Down {
		return "reply"
	}
	return "flow"
}

func (s *scene) headClass() string {
	if s.Down {
		return "muted"
	}
	return "accent"
}

// replies draws the way of replies, from the last part back to the clients.
func (s *scene) replies(d *drawing) {
	if s.hasNoReplies() {
		return
	}
	from, start := s.choice.x+s.choice.w/2, s.choice.bottom()
	if !s.Local {
		from, start = s.rows.x+backendsWidth/2, s.rows.y+s.rows.height()
	}
	to := s.clients.x + s.clients.w/2
	const r = 10.0
	d.path(fmt.Sprintf("M%s %sV%sq0 %s -%s %sH%sq-%s 0 -%s -%sV%s", number(from), number(start), number(s.laneAt-r),
		number(r), number(r), number(r), number(to+r), number(r), number(r), number(r), number(s.clients.bottom()+8)),
		"reply", "stroke-width", "1.5", "stroke-dasharray", "6 4")
	d.arrowUp(to, s.clients.bottom()+1, "muted")
	f := font{12, "", false}
	room := s.choice.right() - s.frontends.x - 2*padding
	text := f.fit(s.Reply, room)
	middle := (s.frontends.x + s.choice.right()) / 2
	w := f.width(text) + 20
	d.rect(box{middle - w/2, s.laneAt - 12, w, 24}, 12, "card")
	d.text(middle, s.laneAt+4.5, text, f, "text", "middle")
}

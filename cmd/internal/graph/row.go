package graph

import (
	"fmt"
	"strings"

	"farmc/compiler/addr"
)

// maxRows is the number of backends that have rows of their own. The others share one.
const maxRows = 20

// Heights of the rows.
const (
	rowHeight = 40.0
	rowGap    = 6.0
)

// rows are the rows of the backends, below each other.
type rows struct {
	x, y   float64
	all    []Backend
	hidden []Backend // in the last row
	empty  string    // stands in the place of rows

	heading string // of the shares
}

// newRows chooses the backends that have rows. A row for one backend alone shows the backend.
func newRows(p Picture) rows {
	switch shown := p.Backends; {
	case p.Local:
		return rows{}
	case len(shown) == 0:
		return rows{empty: p.Empty}
	case len(shown) > maxRows+1:
		return rows{all: shown[:maxRows], hidden: shown[maxRows:], heading: shareHeading(shown)}
	default:
		return rows{all: shown, heading: shareHeading(shown)}
	}
}

// shareHeading says what the numbers of rows are.
func shareHeading(backends []Backend) string {
	heading := ""
	for _, b := range backends {
		if b.differs() {
			return "share of new clients, IPv4 / IPv6"
		}
		if b.Share() > 0 {
			heading = "share of new clients"
		}
	}
	return heading
}

func (r *rows) count() int {
	n := len(r.all)
	if len(r.hidden) > 0 || r.empty != "" {
		n++
	}
	return n
}

func (r *rows) height() float64 {
	return max(0, float64(r.count())*(rowHeight+rowGap)-rowGap)
}

// box is the place of a row.
func (r *rows) box(i int) box {
	return box{r.x, r.y + float64(i)*(rowHeight+rowGap), backendsWidth, rowHeight}
}

func (r *rows) draw(d *drawing) {
	if r.count() == 0 {
		return
	}
	d.text(r.x, r.y-10, "BACKENDS", captionFont, "muted", "start")
	if r.heading != "" {
		d.text(r.x+backendsWidth-inset, r.y-10, r.heading, font{11, "", false}, "muted", "end")
	}
	for i, b := range r.all {
		drawBackend(d, r.box(i), b)
	}
	last := r.box(len(r.all))
	switch {
	case r.empty != "":
		d.rect(last, 6, "card")
		d.text(last.x+inset, last.middle()+4.5, r.empty, font{12, "", false}, "stop", "start")
	case len(r.hidden) > 0:
		r.drawHidden(d, last)
	}
}

var (
	nameFont    = font{13, "bold", false}
	shareFont   = font{12, "", false}
	addressFont = font{11, "", true}
)

// drawBackend draws a row: the share as a bar behind it, the name and the address.
func drawBackend(d *drawing, b box, backend Backend) {
	d.begin("g")
	d.leaf("title", fmt.Sprintf("%s, %s: %s", backend.Name, backend.Address, backend.words()))
	rowGround(d, b, backend.Share(), backend.class())
	word, class := backend.right()
	room := b.w - 2*inset
	d.text(b.right()-inset, b.y+17, word, shareFont, class, "end")
	d.text(b.x+inset, b.y+17, nameFont.fitName(backend.Name, room-shareFont.width(word)-10), nameFont,
		map[bool]string{true: "text", false: "muted"}[backend.State == ""], "start")
	d.text(b.x+inset, b.y+32, addressFont.fit(backend.Address, room), addressFont, "muted", "start")
	d.end()
}

// rowGround draws the box of a row, its share as a bar, and a strip in the colour of its state.
func rowGround(d *drawing, b box, share float64, class string) {
	d.rect(b, 6, "card")
	if share > 0 {
		width := max(6, b.w*share)
		d.rect(box{b.x, b.y, width, b.h}, min(6, width/4), "accent", "fill-opacity", "0.14")
	}
	d.rect(box{b.x, b.y, 4, b.h}, 2, class)
}

// class is the look of the strip of a backend.
func (b Backend) class() string {
	switch {
	case b.Tone != Plain:
		return string(b.Tone)
	case b.Share() > 0:
		return "accent"
	}
	return "track"
}

// right is the text at the right end of a row, and its look.
func (b Backend) right() (text, class string) {
	switch four, six := b.Shares[addr.IP4], b.Shares[addr.IP6]; {
	case b.Tone != Plain:
		return b.State, string(b.Tone)
	case b.State != "":
		return b.State, "muted"
	case b.differs():
		return percent(four) + " / " + percent(six), "text"
	case b.Share() > 0:
		return percent(b.Share()), "text"
	}
	return "", "muted"
}

// drawHidden draws the row of the backends without rows, with their number, share and states.
func (r *rows) drawHidden(d *drawing, b box) {
	text := "and " + thousands(len(r.hidden)) + " more"
	rowGround(d, b, r.hiddenShare(), "accent")
	if share := r.hiddenShare(); share > 0 {
		d.text(b.right()-inset, b.y+17, percent(share), shareFont, "text", "end")
	}
	d.text(b.x+inset, b.y+17, text, nameFont, "text", "start")
	d.text(b.x+inset, b.y+32, addressFont.fit(statesOf(r.hidden), b.w-2*inset), addressFont, "muted", "start")
}

func (r *rows) hiddenShare() (sum float64) {
	for _, b := range r.hidden {
		sum += b.Share()
	}
	return min(1, sum)
}

// statesOf counts the backends by their states, in the order in which the states appear.
func statesOf(backends []Backend) string {
	numbers := map[string]int{}
	var order, out []string
	for _, b := range backends {
		state := b.State
		if state == "" {
			state = map[bool]string{true: "serving", false: "not served"}[b.Share() > 0]
		}
		if numbers[state]++; numbers[state] == 1 {
			order = append(order, state)
		}
	}
	for _, state := range order {
		out = append(out, thousands(numbers[state])+" "+state)
	}
	return strings.Join(out, ", ")
}

// fan draws the ways from the choice to the backends that get clients: the larger the share, the wider.
func (s *scene) fan(d *drawing) {
	for i, b := range s.rows.all {
		s.way(d, i, b.Share())
	}
	if len(s.rows.hidden) > 0 {
		s.way(d, len(s.rows.all), s.rows.hiddenShare())
	}
}

func (s *scene) way(d *drawing, row int, share float64) {
	if share == 0 {
		return
	}
	to := s.rows.box(row)
	x, bend := s.choice.right(), (to.x-s.choice.right())/2
	d.path(fmt.Sprintf("M%s %sC%s %s %s %s %s %s", number(x), number(s.axis), number(x+bend), number(s.axis),
		number(to.x-bend), number(to.middle()), number(to.x), number(to.middle())), "flow",
		"stroke-width", number(1.2+6*share), "stroke-opacity", "0.6")
}

package graph

import "strings"

// A section is a part of a card, with a caption.
type section struct {
	caption string
	items   []Item
}

// A card is a box with sections, and the lines of their items.
type card struct {
	box
	lines []line
	title string // all details, for pointers
}

// A line is a text of a card, at its base line below the top of the card.
type line struct {
	text  string
	at    float64
	font  font
	class string
	rule  bool // a rule across the card, and no text
}

// Insets of a card and the heights of its lines.
const (
	inset        = 14.0
	captionLine  = 20.0
	labelLine    = 18.0
	detailLine   = 16.0
	betweenItems = 6.0
	underCaption = 4.0
)

var (
	captionFont = font{11, "bold", false}
	labelFont   = font{12.5, "bold", false}
	detailFont  = font{11.5, "", true}
)

// newCard breaks the items into lines. Sections without items are left out.
func newCard(width float64, sections ...section) *card {
	c := &card{box: box{w: width, h: inset - 4}}
	var all []string
	for _, s := range sections {
		if len(s.items) == 0 {
			continue
		}
		if len(c.lines) > 0 {
			c.add(line{rule: true, class: "rule"}, 16)
			c.h += 4
		}
		c.add(line{text: strings.ToUpper(s.caption), font: captionFont, class: "muted"}, captionLine-6)
		c.h += underCaption
		for _, i := range s.items {
			c.addItem(i)
		}
		all = append(all, s.caption+": "+sentence(s.items))
	}
	c.h += inset - 2
	c.title = strings.Join(all, "\n")
	return c
}

func (c *card) addItem(i Item) {
	c.h += betweenItems
	room := c.w - 2*inset
	if i.Label != "" {
		class := "text"
		if i.Tone != Plain {
			class = string(i.Tone)
		}
		c.add(line{text: labelFont.fit(i.Label, room), font: labelFont, class: class}, labelLine)
	}
	for _, text := range detailFont.lines(i.Details, room) {
		c.add(line{text: text, font: detailFont, class: detailClass(i)}, detailLine)
	}
}

// detailClass is the look of details. Details without a label are the content of the card.
func detailClass(i Item) string {
	if i.Label == "" {
		return "text"
	}
	return "muted"
}

// add adds a line below the others.
func (c *card) add(l line, height float64) {
	c.h += height
	l.at = c.h - 4
	c.lines = append(c.lines, l)
}

func (c *card) draw(d *drawing) {
	d.begin("g")
	d.leaf("title", c.title)
	d.rect(c.box, 8, "card")
	for _, l := range c.lines {
		if l.rule {
			d.path("M"+number(c.x)+" "+number(c.y+l.at)+"H"+number(c.right()), l.class)
			continue
		}
		d.text(c.x+inset, c.y+l.at, l.text, l.font, l.class, "start")
	}
	d.end()
}

package graph

import (
	"encoding/xml"
	"io"
	"strconv"

	"farmc/compiler/diag"
)

// A drawing writes the elements of an SVG document. It escapes every text, and makes it printable: characters that turn
// the direction of a text have no effect.
type drawing struct {
	to   *xml.Encoder
	open []xml.StartElement
	err  error // the first one
}

func newDrawing(w io.Writer) *drawing {
	d := &drawing{to: xml.NewEncoder(w)}
	d.to.Indent("", " ")
	return d
}

// begin opens an element with attributes, which are pairs of a name and a value.
func (d *drawing) begin(name string, pairs ...string) {
	e := xml.StartElement{Name: xml.Name{Local: name}}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Attr = append(e.Attr, xml.Attr{Name: xml.Name{Local: pairs[i]}, Value: diag.Printable(pairs[i+1])})
	}
	d.open = append(d.open, e)
	d.write(e)
}

// end closes the element that was opened last.
func (d *drawing) end() {
	last := len(d.open) - 1
	d.write(d.open[last].End())
	d.open = d.open[:last]
}

// leaf writes an element with a text; "": without a text.
func (d *drawing) leaf(name, text string, pairs ...string) {
	d.begin(name, pairs...)
	if text != "" {
		d.write(xml.CharData(diag.Printable(text)))
	}
	d.end()
}

// raw writes a text of ours, which can have line ends.
func (d *drawing) raw(name, text string) {
	d.begin(name)
	d.write(xml.CharData(text))
	d.end()
}

func (d *drawing) write(t xml.Token) {
	if d.err == nil {
		d.err = d.to.EncodeToken(t)
	}
}

// finish writes the rest, and gives the first error.
func (d *drawing) finish() error {
	if d.err == nil {
		d.err = d.to.Flush()
	}
	return d.err
}

// number writes a coordinate, in tenths.
func number(n float64) string { return strconv.FormatFloat(float64(int(n*10+0.5))/10, 'f', -1, 64) }

// A box is an area of the picture, in its units: pixels, if it is shown at its size.
type box struct{ x, y, w, h float64 }

func (b box) bottom() float64 { return b.y + b.h }
func (b box) right() float64  { return b.x + b.w }
func (b box) middle() float64 { return b.y + b.h/2 }

// rect draws a box with round corners.
func (d *drawing) rect(b box, radius float64, class string, more ...string) {
	d.leaf("rect", "", append(append(paint(class), "x", number(b.x), "y", number(b.y), "width", number(b.w), "height",
		number(b.h), "rx", number(radius)), more...)...)
}

// path draws a line.
func (d *drawing) path(data, class string, more ...string) {
	d.leaf("path", "", append(append(paint(class), "d", data), more...)...)
}

// arrow draws the head of an arrow at a point. Its direction is 1, to the right, or -1.
func (d *drawing) arrow(x, y, direction float64, class string) {
	back := x - 8*direction
	d.path("M"+number(x)+" "+number(y)+"L"+number(back)+" "+number(y-4.5)+"V"+number(y+4.5)+"Z", class)
}

// A font is a way to write a text.
type font struct {
	size   float64
	weight string
	mono   bool
}

// text writes a text at a point, on its base line. The anchor is start, middle or end.
func (d *drawing) text(x, y float64, text string, f font, class, anchor string) {
	pairs := append(paint(class), "x", number(x), "y", number(y), "font-size", number(f.size))
	if f.weight != "" {
		pairs = append(pairs, "font-weight", f.weight)
	}
	if f.mono {
		pairs = append(pairs, "font-family", monoFamily)
	}
	if anchor != "start" {
		pairs = append(pairs, "text-anchor", anchor)
	}
	d.leaf("text", text, pairs...)
}

// arrowUp draws the head of an arrow that points upwards.
func (d *drawing) arrowUp(x, y float64, class string) {
	d.path("M"+number(x)+" "+number(y)+"L"+number(x-4.5)+" "+number(y+8)+"H"+number(x+4.5)+"Z", class)
}

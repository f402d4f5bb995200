package ruleset

import (
	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// An element is an element of a set or map.
type element struct {
	key, value string // value is "" in a set
	origin     *diag.Origin
	commented  bool   // its comment, in the kernel, is the farm's name; else a line above names the farm
	backend    string // the comment, in the kernel, of an element that counts for a backend and has no value
	line       string // the element as a line, where it is kept from one script to the next; "": not kept

	owner // the frontend that it stands for; zero: it is of no single one
}

// An owner is the frontend that elements follow from.
type owner struct {
	farm   *service
	number int // of the frontend
}

// appendTo writes the element as a line.
func (e element) appendTo(out []byte) []byte {
	if e.line != "" {
		return append(out, e.line...)
	}
	out = append(out, "\t\t\t"...)
	out = append(out, e.key...)
	if e.commented {
		out = append(out, ` comment "`...)
		out = append(out, e.origin.Farm...)
		out = append(out, '"')
	}
	if e.backend != "" {
		out = append(out, ` comment "`...)
		out = append(out, e.backend...)
		out = append(out, '"')
	}
	if e.value != "" {
		out = append(out, " : "...)
		out = append(out, e.value...)
	}
	return append(out, ",\n"...)
}

// FarmComment stands before the farm's name in the line above its elements.
const FarmComment = "\t\t\t# "

// appendFarm writes the line above the elements of a farm.
func appendFarm(out []byte, farm string) []byte {
	out = append(out, FarmComment...)
	out = append(out, farm...)
	return append(out, '\n')
}

// An elementList is the elements of a set or map: pieces first, then single elements, then networks.
type elementList struct {
	pieces   []*piece
	single   []element
	networks addressLines
	once     map[string]bool // the keys that addOnce has added
}

// addressLines are the first addresses of networks. A list has hundreds of thousands of them, so they are kept as
// numbers.
type addressLines struct {
	firsts []addr.Number
	family addr.Family
}

func (l *elementList) add(e ...element) { l.single = append(l.single, e...) }

// addOnce adds an element unless it has added one with the same key.
func (l *elementList) addOnce(e element) {
	if l.once == nil {
		l.once = map[string]bool{}
	}
	if !l.once[e.key] {
		l.once[e.key] = true
		l.add(e)
	}
}

// size is the number of elements.
func (l *elementList) size() int {
	sum := len(l.single) + len(l.networks.firsts)
	for _, p := range l.pieces {
		sum += p.elements
	}
	return sum
}

// A piece is the rendered elements of one frontend in a map that farms share. It follows from the farm alone, so it is
// rendered once and stands in each script until the farm's files change.
type piece struct {
	farm     string
	text     string
	elements int
	owner    owner          // zero: not known
	head     int            // the length of the first line, which names the farm; 0: comments of elements name it
	origins  []*diag.Origin // of the elements
}

// A pieceKind tells the maps apart that a frontend has pieces in.
type pieceKind int

const (
	slotPiece    pieceKind = iota // backends by slot
	idPiece                       // backend IDs by slot
	targetPiece                   // backends by ID
	invalidPiece                  // backends whose invalid segments are dropped
	pieceKinds
)

func newPiece(of []element) *piece {
	p := &piece{elements: len(of), origins: make([]*diag.Origin, 0, len(of))}
	text := make([]byte, 0, 64*len(of))
	if len(of) > 0 && !of[0].commented {
		p.farm = of[0].origin.Farm
		text = appendFarm(text, p.farm)
	}
	p.head = len(text)
	for _, e := range of {
		text, p.origins = e.appendTo(text), append(p.origins, e.origin)
	}
	p.text = string(text)
	return p
}

// tableSize is the size of the hash table of a set with so many elements. With a size given, the kernel makes a table
// that does not grow, in which a lookup costs a third less. The steps are wide, because a change of the size makes a
// reload declare the set anew.
func tableSize(elements int) int {
	size := 16
	for size < elements {
		size *= 4
	}
	return size
}

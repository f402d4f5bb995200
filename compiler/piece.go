package compiler

// A piece is what one door of a farm comes to in a map that farms share: lines of the script. It follows from the farm
// alone, so it is written once, and stands in each script until the farm is read anew.
type piece struct {
	farm     string
	text     string
	elements int
	head     int       // the length of the first line, which names the farm
	origins  []*Origin // of the lines
}

// A pieceKind tells apart what a door comes to in different maps.
type pieceKind int

const (
	slotPiece pieceKind = iota // backends by slot
	pickPiece                  // what stands for them
	homePiece                  // where that leads
	pieceKinds
)

// A derived holds what follows from a farm alone, once it was asked for.
type derived struct {
	facts  Facts
	doors  []door
	dealt  [len(Families)]*dealing
	pieces [pieceKinds][]*piece // by the doors' numbers
}

// derive finds what nearly every compile asks for, while there are several processors for it.
func (f *Farm) derive() {
	if f.Down || !f.Tracked() {
		return
	}
	for _, d := range f.doors() {
		if !d.shareable() || f.considers(d.family) {
			continue
		}
		if deal := f.deal(d.family); len(deal.slots) > 0 && len(deal.slots) <= mostSharedSlots {
			d.piece(slotPiece, func() []mapElement { return d.slots(deal) })
		}
	}
}

// piece gives the door's lines, which are made of elements.
func (d door) piece(kind pieceKind, elements func() []mapElement) *piece {
	of := &d.farm.derived.pieces[kind]
	if *of == nil {
		*of = make([]*piece, len(d.farm.doors()))
	}
	if (*of)[d.number] == nil {
		(*of)[d.number] = newPiece(elements())
	}
	return (*of)[d.number]
}

func newPiece(of []mapElement) *piece {
	p := &piece{farm: of[0].origin.Farm, elements: len(of), origins: make([]*Origin, 0, len(of)+1)}
	text := make([]byte, 0, 64*len(of))
	text = appendFarm(text, p.farm)
	p.head, p.origins = len(text), append(p.origins, of[0].origin)
	for _, e := range of {
		text, p.origins = e.appendTo(text), append(p.origins, e.origin)
	}
	p.text = string(text)
	return p
}

// sizes adds up elements.
func sizes(pieces []*piece) (sum int) {
	for _, p := range pieces {
		sum += p.elements
	}
	return sum
}

// appendFarm writes the line above the elements of a farm.
func appendFarm(out []byte, farm string) []byte {
	out = append(out, farmMark...)
	out = append(out, farm...)
	return append(out, '\n')
}

// appendTo writes the element as a line.
func (e mapElement) appendTo(out []byte) []byte {
	out = append(out, "\t\t\t"...)
	out = append(out, e.key...)
	if e.named {
		out = append(out, ` comment "`...)
		out = append(out, e.origin.Farm...)
		out = append(out, '"')
	}
	if e.value != "" {
		out = append(out, " : "...)
		out = append(out, e.value...)
	}
	return append(out, ",\n"...)
}

package ruleset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unsafe"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A Script is the complete nft script of the farms, with the origin of each line.
type Script struct {
	Text   []byte       // in the language of nft 1.0.6; it loads from any state of farmc's tables, and twice
	Digest string       // SHA-256 in hex, of the text with zeros in place of the digest; keep-conntrack carries it
	Farms  []*farm.Farm // in the order of their names

	Ingress    []string // the interfaces that have base chains at their ingress, by name
	Interfaces []string // all interfaces that rules depend on, by name; the kernel keeps their numbers, not their names

	Sources     []RouteSource // of connections of farms that name no source address, as the routes of the machine say
	ServedPorts []uint16      // source ports that backends do not see, because the machine serves on them

	origins []*diag.Origin // of each line; nil: of no farm
	written map[TableFamily][]*writtenObject

	complete []*farm.Farm // the farms with the parts that depend on absent interfaces
	routes   routedFarms  // that Sources follow from
}

// Origin gives the origin of line n of the script, counted from 1 as nft does.
func (s *Script) Origin(n int) (diag.Origin, bool) {
	if o := s.LineOrigin(n); o != nil {
		return *o, true
	}
	return diag.Origin{}, false
}

// LineOrigin gives the origin of line n of the script, counted from 1; nil if it has none.
func (s *Script) LineOrigin(n int) *diag.Origin {
	if n < 1 || n > len(s.origins) {
		return nil
	}
	return s.origins[n-1]
}

// WithText gives a script of the same farms with another text, and the origins of its lines.
func (s *Script) WithText(text []byte, origins []*diag.Origin) *Script {
	out := *s
	out.Text, out.origins, out.written = text, origins, nil
	return &out
}

// seed is the seed of every hash. Without one the kernel draws another at each load, and all clients change their
// backends.
const seed = "0x6661726d" // "farm"

// digestPrefix stands before the digest in the script, and digestZeros in its place until it is known.
const digestPrefix = "farmc sha256:"

var digestZeros = strings.Repeat("0", hex.EncodedLen(sha256.Size))

// An ObjectText is an object as it stands in a script.
type ObjectText struct {
	Kind  Kind
	Name  string
	Line  int          // of the script, where the object begins; from 1
	About []ScriptLine // its declaration
	Rules []ScriptLine // of a chain

	Block     string // the lines of its elements, with tabs and commas: few of them are ever looked at
	BlockLine int    // of the script, where the block begins
}

// A ScriptLine is a line within an object, without its tabs; of an element, without its comma.
type ScriptLine struct {
	Text   string
	Farm   string // of an element without a comment, its farm
	Number int    // the line's in the script, from 1; 0: it is in none
}

// A scriptSize is the size of a script.
type scriptSize struct{ bytes, lines int }

func (s *Script) size() scriptSize { return scriptSize{len(s.Text), len(s.origins)} }

// render writes the ruleset as a script. The size is that of a script of nearly the same rules; 0: there is none.
func (r *ruleset) render(near scriptSize) *Script {
	s := &scriptWriter{Writer: NewWriter(nil), tables: map[TableFamily][]*writtenObject{}}
	s.reserve(r, near)
	s.write("script-begin", TableFamilies)
	for _, family := range TableFamilies {
		if objects := r.in(family); family == Inet || len(objects) > 0 {
			s.table(family, objects)
		}
	}
	return s.script()
}

// A scriptWriter writes a script object by object.
type scriptWriter struct {
	*Writer
	text    []byte
	origins []*diag.Origin
	tables  map[TableFamily][]*writtenObject
	digest  digester
}

// A writtenObject knows where its block is in the text, which is not complete yet.
type writtenObject struct {
	ObjectText
	section  section
	from, to int
}

// reserve makes room for the elements of all objects: to grow step by step takes three times the memory. A script of
// nearly the same rules tells best how much: the sum of the elements would be a third too small, and to grow once then
// takes as much memory as the script.
func (s *scriptWriter) reserve(r *ruleset, near scriptSize) {
	if near.bytes > 0 {
		s.text = make([]byte, 0, near.bytes+near.bytes/64)
		s.origins = make([]*diag.Origin, 0, near.lines+near.lines/64)
		return
	}
	const line = 64 // bytes, of most elements
	bytes, lines := 0, 0
	for _, o := range r.objects {
		n := o.elements.size() + 8
		bytes, lines = bytes+line*n, lines+n
		for _, p := range o.elements.pieces {
			bytes, lines = bytes+len(p.text)-line*p.elements, lines+1
		}
	}
	s.text, s.origins = make([]byte, 0, bytes), make([]*diag.Origin, 0, lines)
}

func (s *scriptWriter) write(template string, data any) {
	s.text, s.origins = s.Write(s.text, s.origins, template, data)
}

func (s *scriptWriter) line(text string, origin *diag.Origin) {
	s.text, s.origins = append(s.text, text...), append(s.origins, origin)
}

func (s *scriptWriter) table(family TableFamily, objects []*object) {
	s.write("table-begin", family)
	s.tables[family] = []*writtenObject{}
	for i, o := range objects {
		switch {
		case o.section == clientSetSection && (i == 0 || objects[i-1].section != clientSetSection):
			s.write("client-sets-begin", nil)
		case o.kind == KindChain:
			s.line("\n", nil)
		}
		s.tables[family] = append(s.tables[family], s.object(o))
	}
	s.line("}\n", nil)
}

// object writes one object: its first line, the lines of its template, its elements and its last line.
func (s *scriptWriter) object(o *object) *writtenObject {
	s.line("\t"+string(o.kind)+" "+o.Name+" {\n", o.origin)
	out := &writtenObject{ObjectText: ObjectText{Kind: o.kind, Name: o.Name, Line: len(s.origins)}, section: o.section}
	begin, first := len(s.text), len(s.origins)+1
	s.write(o.template, o.data)
	out.read(string(s.text[begin:]), first)
	if o.elements.size() > 0 {
		s.line("\t\telements = {\n", nil)
		out.BlockLine, out.from = len(s.origins)+1, len(s.text)
		s.elements(&o.elements)
		out.to = len(s.text)
		s.line("\t\t}\n", nil)
	}
	s.line("\t}\n", nil)
	return out
}

// read takes the lines of an object's declaration, or of a chain's rules; the first has the number.
func (o *ObjectText) read(text string, number int) {
	for line := range strings.Lines(text) {
		o.AddLine(ScriptLine{Text: strings.TrimSuffix(strings.TrimPrefix(line, "\t\t"), "\n"), Number: number})
		number++
	}
}

// AddLine adds a line that is no element and no comment.
func (o *ObjectText) AddLine(l ScriptLine) {
	switch {
	case strings.HasPrefix(l.Text, "# "):
	case o.Kind != KindChain || strings.HasPrefix(l.Text, "type "):
		o.About = append(o.About, l)
	default:
		o.Rules = append(o.Rules, l)
	}
}

// elements writes elements. The farm's name stands above the elements of a farm.
func (s *scriptWriter) elements(l *elementList) {
	name := ""
	for _, p := range l.pieces {
		if p.head > 0 && p.farm != name {
			s.line(p.text[:p.head], p.origins[0])
			name = p.farm
		}
		s.text, s.origins = append(s.text, p.text[p.head:]...), append(s.origins, p.origins...)
		s.digest.follow(s.text)
	}
	for _, e := range l.single {
		if e.origin != nil && !e.commented && e.origin.Farm != name {
			name = e.origin.Farm
			s.text, s.origins = appendFarm(s.text, name), append(s.origins, e.origin)
		}
		s.text, s.origins = e.appendTo(s.text), append(s.origins, e.origin)
		s.digest.follow(s.text)
	}
	for _, first := range l.networks.firsts {
		s.text = append(s.text, "\t\t\t"...)
		s.text = first.AppendTo(s.text, l.networks.family)
		s.line(",\n", nil)
	}
}

// script gives the script, once all of it is written.
func (s *scriptWriter) script() *Script {
	out := &Script{Text: s.text, origins: s.origins, written: s.tables}
	out.Digest = hex.EncodeToString(s.digest.end(s.text))
	copy(s.text[bytes.Index(s.text, []byte(digestPrefix))+len(digestPrefix):], out.Digest)
	for _, o := range s.tables[Inet] {
		if o.Name == keepConntrack {
			o.Rules[0].Text = strings.Replace(o.Rules[0].Text, digestZeros, out.Digest, 1)
		}
	}
	return out
}

// Shared gives a text as a string without a copy: that of 10,000 farms has 12 MB. The text must not change any more, as
// that of a script or of a loaded file.
func Shared(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// Objects gives the objects of the script, table by table, in the order of the script; nil if the script is known as
// text only.
func (s *Script) Objects() map[TableFamily][]*ObjectText {
	if s.written == nil {
		return nil
	}
	text, out := Shared(s.Text), map[TableFamily][]*ObjectText{}
	for family, objects := range s.written {
		out[family] = make([]*ObjectText, len(objects))
		for i, o := range objects {
			o.Block = text[o.from:o.to]
			out[family][i] = &o.ObjectText
		}
	}
	return out
}

package compiler

import "farmc/compiler/diag"

// A Script is the complete nft script of the farms, with the origin of each line.
type Script struct {
	Text   []byte  // in the language of nft 1.0.6; it loads from any state of farmc's tables, and twice
	Digest string  // of the text with zeros in its place (SHA-256, in hex); the comment of the rule in keep-conntrack has it
	Farms  []*Farm // in the order of their names

	Ingress    []string // the interfaces that have base chains at their ingress, by name
	Interfaces []string // all interfaces that rules depend on, by name; the kernel keeps their numbers, not their names

	origins []*diag.Origin // of each line; nil: of no farm
	written map[TableFamily][]*writtenObject
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

package toml

import "strings"

// KeyAt gives the dotted path of the key at a line and column of a text, such as "backends.b1.weight". The place may be
// that of the key, of its value or of an item of the value. The path is "" before the first key.
func KeyAt(text []byte, line, column int) string {
	p := &positions{text: strings.TrimLeft(string(text), "\ufeff")}
	marks, _ := scanKeys(p.text)
	var path []string
	for _, k := range flatten(marks) {
		begin := p.at(k.begin)
		if begin.Line > line || begin.Line == line && begin.Column > column {
			break
		}
		path = k.path
	}
	return strings.Join(path, ".")
}

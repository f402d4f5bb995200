package lsp

import (
	"context"
	"slices"
	"strings"
)

// hover tells the meaning of the key at a position: type, default, modes, and the text of the reference.
func (s *server) hover(_ context.Context, p positionParams) (any, error) {
	d := s.document(p.TextDocument.URI)
	if d == nil || d.isList() {
		return nil, nil
	}
	at, found := spanAt(d.text, offsetOf(d.text, p.Position))
	if !found {
		return nil, nil
	}
	k, known := keyAt(at.path)
	if !known {
		return nil, nil
	}
	path := strings.Join(at.path, ".")
	text := strings.Join(append(facts(k), "", about(k)), "\n")
	_, client := s.opened()
	if slices.Contains(client.TextDocument.Hover.ContentFormat, "markdown") {
		// The text of the reference has columns, which only a block of code keeps.
		text = "**" + markdownWord(path) + "**\n\n```text\n" + text + "\n```"
		return hoverResult{markup{"markdown", text}, d.rangeOf(at.start, at.end)}, nil
	}
	return hoverResult{markup{"plaintext", path + "\n" + text}, d.rangeOf(at.start, at.end)}, nil
}

// markdownWord gives a path as markdown shows it literally: names of backends stand in files, and can be anything.
func markdownWord(path string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && !isBare(byte(r)) && r != '.' {
			return '?'
		}
		return r
	}, path)
}

// spanAt gives the smallest part of a text around an offset. The offset can be right behind it.
func spanAt(text string, offset int) (best span, found bool) {
	spans, _ := scan(text)
	for _, s := range spans {
		if s.start <= offset && offset <= s.end && (!found || s.end-s.start < best.end-best.start) {
			best, found = s, true
		}
	}
	return best, found
}

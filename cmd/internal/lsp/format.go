package lsp

import (
	"context"

	"github.com/creachadair/jrpc2"

	"farmc/cmd/internal/edit"
)

// format lays out a document as farmc fmt does.
func (s *server) format(_ context.Context, p documentParams) (any, error) {
	d := s.document(p.TextDocument.URI)
	if d == nil || d.isList() {
		return nil, nil
	}
	text, faults := edit.Format([]byte(d.text))
	if len(faults) > 0 {
		return nil, jrpc2.Errorf(codeRequestFailed, "%s", faults[0])
	}
	if string(text) == d.text {
		return []textEdit{}, nil
	}
	return []textEdit{{d.rangeOf(0, len(d.text)), string(text)}}, nil
}

package api

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// putList creates or replaces a list.
func (s *Server) putList(w http.ResponseWriter, r *http.Request) error {
	return s.changeList(w, r, func(c *manage.ListChange, text []byte, words []string) {
		if c.Whole = text; words != nil {
			c.Whole = []byte("# written by farmc\n" + strings.Join(append(words, ""), "\n"))
		}
	})
}

// addEntries adds entries to a list that exists.
func (s *Server) addEntries(w http.ResponseWriter, r *http.Request) error {
	return s.changeList(w, r, func(c *manage.ListChange, text []byte, words []string) {
		c.Add = slices.Concat(entries(text), words)
	})
}

// removeEntries removes entries of a list. Those that the list lacks are no fault.
func (s *Server) removeEntries(w http.ResponseWriter, r *http.Request) error {
	return s.changeList(w, r, func(c *manage.ListChange, text []byte, words []string) {
		c.Remove = slices.Concat(entries(text), words)
	})
}

func (s *Server) deleteList(w http.ResponseWriter, r *http.Request) error {
	change, err := s.listChange(r)
	if err != nil {
		return err
	}
	change.Delete = true
	return s.writeList(w, r, change)
}

// changesBy returns the changes of farms that can come from a list. Those of other farms come from other clients, whose
// writes were in the same load.
func (s *Server) changesBy(list string, changes []string) []string {
	now, err := s.current()
	if err != nil {
		return changes
	}
	return slices.DeleteFunc(slices.Clone(changes), func(change string) bool {
		name, _, _ := strings.Cut(change, ": ")
		r, known := now.Reading(name)
		return known && r.Farm() != nil && !r.Farm().Access.Names(list)
	})
}

// listChange returns the change of the list in the path, with the conditions of the request.
func (s *Server) listChange(r *http.Request) (*manage.ListChange, error) {
	name, creates := r.PathValue("list"), r.Method == http.MethodPut
	if !farm.IsName(name) {
		return nil, problem{status: http.StatusBadRequest,
			message: farm.NamingRule}
	}
	return &manage.ListChange{Name: name, Admit: func(before []byte) error {
		if before == nil && !creates {
			return notFound("list")
		}
		return preconditions(r, before)
	}}, nil
}

// preconditions returns 412 if the headers If-Match and If-None-Match do not permit a change of the text.
func preconditions(r *http.Request, before []byte) error {
	for _, c := range []struct {
		header string
		wants  bool
	}{{"If-Match", true}, {"If-None-Match", false}} {
		if known, given := tags(r.Header, c.header); given && matches(known, before) != c.wants {
			return problem{status: http.StatusPreconditionFailed, message: c.header + " does not permit the change"}
		}
	}
	return nil
}

// changeList reads entries, as text/plain or as {"entries": [...]}, and writes the list. Set sets the change: text is
// nil for JSON, and words are nil for text.
func (s *Server) changeList(w http.ResponseWriter, r *http.Request,
	set func(c *manage.ListChange, text []byte, words []string),
) error {
	change, err := s.listChange(r)
	if err != nil {
		return err
	}
	text, release, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	defer release()
	var words []string
	if isPlain(r.Header) {
		err = faultsProblem(lineFaults(text))
	} else if words, err = jsonEntries(r.Header, text); err == nil {
		text = nil
	}
	if err != nil {
		return err
	}
	set(change, text, words)
	return s.writeList(w, r, change)
}

func isPlain(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "text/plain"
}

// jsonEntries reads {"entries": ["192.0.2.0/24"]}.
func jsonEntries(h http.Header, text []byte) ([]string, error) {
	if !isJSON(h) {
		return nil, problem{status: http.StatusUnsupportedMediaType, message: "send JSON or text/plain"}
	}
	document, faults := edit.Decode(bytes.NewReader(text))
	if len(faults) > 0 {
		return nil, faultsProblem(documentFaults(faults))
	}
	f := &keyReader{document: document}
	list, isList := f.take("entries").([]any)
	if !isList {
		f.fault("entries", "entries is a list of networks, such as %q", "192.0.2.0/24")
	}
	words := make([]string, 0, len(list))
	for i, item := range list {
		word, isText := item.(string)
		_, err := addr.ParseNetwork(word)
		if !isText {
			err = errors.New("an entry is a string")
		}
		if err != nil {
			f.fault(fmt.Sprintf("entries.%d", i), "%v", err)
		}
		words = append(words, word)
	}
	return words, f.err()
}

// lineFaults returns the faults of a text: each line is a network, empty, or a comment.
func lineFaults(text []byte) (out []live.FarmFault) {
	if len(bytes.TrimSpace(text)) == 0 {
		return []live.FarmFault{{Message: "the text is empty; a list without networks has a comment in it"}}
	}
	if !utf8.Valid(text) {
		return []live.FarmFault{{Message: "the text is not UTF-8"}}
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		for _, word := range entries(line) {
			if _, err := addr.ParseNetwork(word); err != nil && len(out) < maxFaults {
				out = append(out, live.FarmFault{Line: number, Column: 1, Message: err.Error(),
					Hint: addr.NetworkSyntax})
			}
		}
	}
	return out
}

// writeList does the change, and answers with its effect.
func (s *Server) writeList(w http.ResponseWriter, r *http.Request, change *manage.ListChange) error {
	began, write := time.Now(), change.Write()
	result, err := s.take(r, &write)
	if err != nil {
		return err
	}
	if result.Err != nil {
		return writeProblem(result, "")
	}
	changes := append(change.Words(), s.changesBy(change.Name, result.Changes)...)
	writeJSON(w, http.StatusOK, writeAnswer{Changes: changes,
		Warnings: result.Warnings, Took: time.Since(began).Seconds(), DryRun: write.DryRun})
	return nil
}

package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"farmc/compiler/farm"
)

func (s *Server) listLists(w http.ResponseWriter, _ *http.Request) error {
	now, err := s.current()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"lists": now.Lists()})
	return nil
}

// getList answers with the text of a list's file to clients that accept text/plain alone, and else with its entries.
func (s *Server) getList(w http.ResponseWriter, r *http.Request) error {
	now, err := s.current()
	if err != nil {
		return err
	}
	name := r.PathValue("list")
	text, file, ok := now.List(name)
	if !ok {
		return notFound("list")
	}
	w.Header().Set("Vary", "Accept")
	if notModified(w, r, text) {
		return nil
	}
	if accept := r.Header.Get("Accept"); strings.HasPrefix(accept, "text/plain") {
		writeText(w, text)
		return nil
	}
	words := entries(text)
	head := fmt.Sprintf(`{"name":%s,"source":%s,"entries":`, mustMarshal(name), mustMarshal(file))
	stream(w, head, len(words), func(i int) []byte { return mustMarshal(words[i]) })
	return nil
}

// entries returns the lines of a list without comments.
func entries(text []byte) []string {
	out := []string{}
	for line := range bytes.Lines(text) {
		if word := farm.ListEntry(line); word != "" {
			out = append(out, word)
		}
	}
	return out
}

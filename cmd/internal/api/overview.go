package api

import (
	"context"
	"net/http"
	"strconv"
	"unicode/utf8"

	"farmc/cmd/internal/overview"
)

// An Overview answers which farms have problems.
type Overview interface {
	Page(ctx context.Context, q overview.Query) (overview.Page, error)
	Farm(ctx context.Context, name string) (overview.Farm, error)
	Changes(farm string) overview.Changes
}

// Bounds of a page, and of the text of a search in bytes.
const (
	defaultPage = 50
	maxPage     = 500
	maxSearch   = 200
)

// overview answers with a page of farms, in the order of their problems.
func (s *Server) overview(w http.ResponseWriter, r *http.Request) error {
	if s.Overview == nil {
		return errNoRoute
	}
	q, err := overviewQuery(r)
	if err != nil {
		return err
	}
	page, err := s.Overview.Page(r.Context(), q)
	if err == nil {
		writeJSON(w, http.StatusOK, page)
	}
	return err
}

func overviewQuery(r *http.Request) (q overview.Query, err error) {
	asked := r.URL.Query()
	q = overview.Query{Search: asked.Get("search"), Show: overview.Group(asked.Get("show")), Page: 1, Size: defaultPage}
	if len(q.Search) > maxSearch || !utf8.ValidString(q.Search) {
		return q, malformed("search has 200 bytes at most, in UTF-8")
	}
	if q.Show != "" && !isGroup(q.Show) {
		return q, malformed("show is problem, planned, up or down")
	}
	if q.Page, err = numberIn(asked.Get("page"), 1, 1<<20); err != nil {
		return q, malformed("page is a number, from 1 on")
	}
	if asked.Has("size") {
		if q.Size, err = numberIn(asked.Get("size"), defaultPage, maxPage); err != nil {
			return q, malformed("size is a number of farms, from 1 to 500")
		}
	}
	return q, nil
}

func isGroup(group overview.Group) bool {
	for _, g := range overview.Groups {
		if g == group {
			return true
		}
	}
	return false
}

// numberIn reads a number from 1 to most; "" is the preset.
func numberIn(text string, preset, most int) (int, error) {
	if text == "" {
		return preset, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && (n < 1 || n > most) {
		err = strconv.ErrRange
	}
	return n, err
}

// overviewFarm answers with the details of a farm.
func (s *Server) overviewFarm(w http.ResponseWriter, r *http.Request) error {
	if s.Overview == nil {
		return errNoRoute
	}
	f, err := s.Overview.Farm(r.Context(), r.PathValue("farm"))
	if err == nil {
		writeJSON(w, http.StatusOK, f)
	}
	return err
}

// changes answers with the last changes of backends and farms.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) error {
	if s.Overview == nil {
		return errNoRoute
	}
	writeJSON(w, http.StatusOK, s.Overview.Changes(r.URL.Query().Get("farm")))
	return nil
}

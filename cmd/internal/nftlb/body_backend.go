package nftlb

import (
	"net/http"
	"slices"
	"strings"
)

func (q *request) loadBackend(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.backend = nil
	q.each(o, "name", nil, q.setBackend)
}

func (q *request) setBackend(key, text string) {
	if key == "name" {
		q.selectBackend(text)
		return
	}
	b := q.backend
	if q.unnamed(b == nil) {
		return
	}
	value, ok := q.read(backendKind, key, text)
	switch {
	case !ok:
	case key == "newname":
		q.renameBackend(b, value)
	case key == "mark":
		q.markBackend(b, value)
	case key == "state" && value == "config_error":
		b.Values[key] = "up"
	case key == "source-addr" && value == "" && b.Values[key] == "":
	default:
		b.Values[key] = value
	}
}

func (q *request) selectBackend(name string) {
	if !q.name(name) {
		return
	}
	if q.backend = q.farm.Backend(name); q.backend == nil {
		q.backend = &Backend{Name: name, Values: backendKind.presets()}
		q.backend.Values["mark"] = hex(q.freeMark())
		q.farm.Backends = append(q.farm.Backends, q.backend)
	}
}

// markBackend gives a backend a mark. The number that it has already, as in a listing, is not asked for.
func (q *request) markBackend(b *Backend, value string) {
	mark := Values{"mark": value}.mark()
	if mark < 1 || mark > largestMark || value == b.Values["mark"] {
		return
	}
	b.Values["mark"], b.Marked = value, true
	q.marked, q.free = nil, 0
}

func (q *request) renameBackend(b *Backend, name string) {
	if q.farm.Backend(name) != nil {
		if name != b.Name {
			q.refuse(http.StatusConflict, "backend '"+name+"' exists")
		}
		return
	}
	for i, s := range q.farm.Sessions {
		if s.Backend == b.Name {
			q.farm.Sessions[i].Backend = name
		}
	}
	b.Name = name
}

func (q *request) loadSession(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.client = ""
	q.each(o, "client", nil, q.setSession)
}

func (q *request) setSession(key, text string) {
	sessions := q.farm.Sessions
	i := slices.IndexFunc(sessions, func(s Session) bool { return s.Client == q.client })
	switch {
	case key == "client" && text == "", key == "backend" && text == "":
		q.stop(http.StatusBadRequest, ". Key '%s' cannot be empty", key)
	case key == "client":
		q.client = text
		if !slices.ContainsFunc(sessions, func(s Session) bool { return s.Client == text }) {
			q.farm.Sessions = append(sessions, Session{Client: text})
		}
	case key == "expiration":
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
	case key != "backend":
		q.refuse(http.StatusBadRequest, badStructure)
	case !q.unnamed(q.client == "" || q.farm.Backend(text) == nil && text != "UNDEFINED"):
		sessions[i].Backend = strings.TrimPrefix(text, "UNDEFINED")
	}
}

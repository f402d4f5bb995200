package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/compiler/farm"
)

// putFarm creates or replaces a farm.
func (s *Server) putFarm(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("farm")
	if !farm.IsName(name) {
		return malformed(fmt.Sprintf("%q is not the name of a farm: %s", name, farm.NamingRule))
	}
	return s.writeDocument(w, r, func(keys edit.Document, when manage.Condition) live.Write {
		return manage.PutFarm(name, keys, when)
	})
}

// patchFarm edits a farm by a JSON merge patch.
func (s *Server) patchFarm(w http.ResponseWriter, r *http.Request) error {
	return s.writeDocument(w, r, func(patch edit.Document, when manage.Condition) live.Write {
		return manage.PatchFarm(r.PathValue("farm"), patch, when)
	})
}

func (s *Server) deleteFarm(w http.ResponseWriter, r *http.Request) error {
	return s.writeIf(w, r, func(when manage.Condition) live.Write {
		return manage.DeleteFarm(r.PathValue("farm"), when)
	})
}

// putBackend creates or replaces a backend of a farm.
func (s *Server) putBackend(w http.ResponseWriter, r *http.Request) error {
	return s.writeDocument(w, r, func(keys edit.Document, when manage.Condition) live.Write {
		return manage.PutBackend(r.PathValue("farm"), r.PathValue("backend"), keys, when)
	})
}

func (s *Server) patchBackend(w http.ResponseWriter, r *http.Request) error {
	return s.writeDocument(w, r, func(patch edit.Document, when manage.Condition) live.Write {
		return manage.PatchBackend(r.PathValue("farm"), r.PathValue("backend"), patch, when)
	})
}

func (s *Server) deleteBackend(w http.ResponseWriter, r *http.Request) error {
	return s.writeIf(w, r, func(when manage.Condition) live.Write {
		return manage.DeleteBackend(r.PathValue("farm"), r.PathValue("backend"), when)
	})
}

// writeDocument does a write with the document of the request.
func (s *Server) writeDocument(w http.ResponseWriter, r *http.Request,
	change func(edit.Document, manage.Condition) live.Write,
) error {
	document, release, err := s.readDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	return s.writeIf(w, r, func(when manage.Condition) live.Write { return change(document, when) })
}

// writeIf does a write under the conditions of the request. The status is 201 if the farm or the backend is new. The
// ETag of the reply stands for its new keys.
func (s *Server) writeIf(w http.ResponseWriter, r *http.Request, change func(manage.Condition) live.Write) error {
	admit, created := condition(r.Header), false
	result, answer, err := s.do(r, r.PathValue("farm"), change(func(now json.RawMessage) error {
		created = now == nil
		return admit(now)
	}))
	if err != nil {
		return err
	}
	if !answer.DryRun && r.Method != "DELETE" {
		w.Header().Set("ETag", etag(keysAfter(result, r.PathValue("backend"))))
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, answer)
	return nil
}

// keysAfter returns the keys of the farm or the backend after a write.
func keysAfter(result live.WriteResult, backend string) json.RawMessage {
	switch {
	case result.Reading == nil:
		return nil
	case backend == "":
		return result.Reading.Document()
	}
	return manage.BackendOf(result.Reading.Document(), backend)
}

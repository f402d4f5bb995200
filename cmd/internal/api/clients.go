package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

func (s *Server) listBans(w http.ResponseWriter, r *http.Request) error {
	bans, err := s.Farms.Bans(r.Context(), r.PathValue("farm"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"bans": bans})
	return nil
}

func (s *Server) getBan(w http.ResponseWriter, r *http.Request) error {
	client, ok := farm.ParseClient(r.PathValue("address"))
	if !ok {
		return notFound("client")
	}
	bans, err := s.Farms.Bans(r.Context(), r.PathValue("farm"))
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(client.String(), "/32")
	i := slices.IndexFunc(bans, func(b live.BanStatus) bool { return b.Client == text })
	if i < 0 {
		return notFound("ban")
	}
	writeJSON(w, http.StatusOK, bans[i])
	return nil
}

// A banAnswer is the reply to a ban.
type banAnswer struct {
	Client string `json:"client"`
	writeAnswer
}

// putBan bans a client, for the time in the document, or for that of the farm.
func (s *Server) putBan(w http.ResponseWriter, r *http.Request) error {
	q, err := s.banRequest(r)
	if err != nil {
		return err
	}
	document, release, err := s.readOptional(w, r)
	if err != nil {
		return err
	}
	defer release()
	f := &keyReader{document: document}
	q.Duration = f.duration("for", 0)
	if err := f.err(); err != nil {
		return err
	}
	began := time.Now()
	b, err := s.Writer.Ban(r.Context(), keyOf(r.Context()).Name, q)
	if err != nil {
		return err
	}
	answer := banAnswer{b.Client, changed(began, q.DryRun,
		fmt.Sprintf("%s is banned for %s", b.Client, toml.FormatDuration(b.Duration)))}
	if b.Allowed {
		answer.Warnings = append(answer.Warnings, live.FarmFault{Farm: q.Farm, Key: "access.allow",
			Message: "allow admits the client in spite of the ban"})
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (s *Server) deleteBan(w http.ResponseWriter, r *http.Request) error {
	q, err := s.banRequest(r)
	if err != nil {
		return err
	}
	began := time.Now()
	was, err := s.Writer.Unban(r.Context(), keyOf(r.Context()).Name, q)
	switch {
	case err != nil:
		return err
	case !was:
		return notFound("ban")
	}
	writeJSON(w, http.StatusOK, changed(began, q.DryRun, "the ban has ended"))
	return nil
}

// banRequest reads the path and the parameters of a change of a ban.
func (s *Server) banRequest(r *http.Request) (q live.BanRequest, err error) {
	if _, _, err := s.reading(r); err != nil {
		return q, err
	}
	client, ok := farm.ParseClient(r.PathValue("address"))
	if !ok {
		return q, notFound("client")
	}
	dry, err := isDryRun(r)
	return live.BanRequest{Farm: r.PathValue("farm"), Client: client, DryRun: dry,
		Patience: cmp.Or(patience(r.Header), live.MaxQueued)}, err
}

// changed is the answer to a change that files do not show, or to its dry run.
func changed(began time.Time, dryRun bool, words string) writeAnswer {
	return writeAnswer{Changes: []string{words}, Warnings: []live.FarmFault{}, Took: time.Since(began).Seconds(),
		DryRun: dryRun}
}

// readOptional reads a document that may be absent.
func (s *Server) readOptional(w http.ResponseWriter, r *http.Request) (map[string]any, func(), error) {
	if r.ContentLength == 0 {
		return nil, func() {}, nil
	}
	return s.readDocument(w, r)
}

// listSessions streams the persistent clients.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	sessions, err := s.Farms.Sessions(r.Context(), r.PathValue("farm"))
	if err != nil {
		return err
	}
	streamSessions(w, sessions)
	return nil
}

func streamSessions(w http.ResponseWriter, sessions []live.Session) {
	stream(w, `{"sessions":`, len(sessions), func(i int) []byte { return mustMarshal(sessions[i]) })
}

// getSessions answers with the sessions of one client: it can have several, on several ports or addresses.
func (s *Server) getSessions(w http.ResponseWriter, r *http.Request) error {
	sessions, err := s.sessionsOf(r)
	if err != nil {
		return err
	}
	streamSessions(w, sessions)
	return nil
}

// sessionsOf returns the sessions of the client in the path.
func (s *Server) sessionsOf(r *http.Request) ([]live.Session, error) {
	all, err := s.Farms.Sessions(r.Context(), r.PathValue("farm"))
	if err != nil {
		return nil, err
	}
	of := slices.DeleteFunc(all, func(session live.Session) bool { return !session.Names(r.PathValue("client")) })
	if len(of) == 0 {
		return nil, notFound("session")
	}
	return of, nil
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	dry, err := isDryRun(r)
	if err != nil {
		return err
	}
	sessions, err := s.sessionsOf(r)
	switch {
	case err != nil:
		return err
	case dry:
		writeJSON(w, http.StatusOK, sessionsEnded(began, dry, len(sessions)))
		return nil
	}
	ended, err := s.Farms.EndSessions(r.Context(), sessions)
	if err != nil {
		return err
	}
	s.Log("API: %s: %d sessions of farm %s ended", keyOf(r.Context()).Name, ended, r.PathValue("farm"))
	writeJSON(w, http.StatusOK, sessionsEnded(began, dry, ended))
	return nil
}

func sessionsEnded(began time.Time, dryRun bool, sessions int) writeAnswer {
	return changed(began, dryRun, fmt.Sprintf("sessions ended: %d", sessions))
}

func (s *Server) deleteSessions(w http.ResponseWriter, r *http.Request) error {
	began, name := time.Now(), r.PathValue("farm")
	dry, err := isDryRun(r)
	if err != nil {
		return err
	}
	if dry {
		_, err = s.Farms.Sessions(r.Context(), name)
	} else if err = s.Farms.EndAllSessions(r.Context(), name); err == nil {
		s.Log("API: %s: all sessions of farm %s ended", keyOf(r.Context()).Name, name)
	}
	if err == nil {
		writeJSON(w, http.StatusOK, changed(began, dry, "all sessions ended"))
	}
	return err
}

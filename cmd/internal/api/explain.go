package api

import (
	"context"
	"net"
	"net/http"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/preflight"
)

// An Examiner looks for everything on this machine that keeps the farms from working, as farmc doctor does.
type Examiner interface {
	Examine(ctx context.Context) (preflight.Findings, error)
}

// explain answers as farmc explain --json does.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	q, err := question(r)
	if err != nil {
		return malformed(err.Error())
	}
	e, err := s.Farms.Explain(r.Context(), q)
	if err == nil {
		writeJSON(w, http.StatusOK, e)
	}
	return err
}

// question reads the parameters of a request to explain.
func question(r *http.Request) (q explain.Question, err error) {
	asked := r.URL.Query()
	if q.Service, q.Protocol, err = explain.ParseService(asked.Get("service")); err != nil {
		return q, err
	}
	if from := asked.Get("from"); from != "" {
		if q.Client, err = explain.ParseClient(from); err != nil {
			return q, err
		}
		if q.Client.Addr().Is4() != q.Service.Addr().Is4() {
			return q, malformed("from: the client is not of the family of the service")
		}
	}
	if q.Interface = asked.Get("in"); q.Interface != "" {
		if _, err = net.InterfaceByName(q.Interface); err != nil {
			return q, malformed("in: this machine has no such interface")
		}
	}
	return q, nil
}

// doctor answers with the findings of farmc doctor.
func (s *Server) doctor(w http.ResponseWriter, r *http.Request) error {
	if s.Examiner == nil {
		return errNoRoute
	}
	found, err := s.Examiner.Examine(r.Context())
	if err != nil {
		return err
	}
	all := findingsAnswer{Findings: []preflight.Finding{}, More: max(0, len(found)-maxFindings)}
	for _, f := range found[:min(len(found), maxFindings)] {
		one := *f
		one.Farms, one.Commands = append([]string{}, f.Farms...), append([]string{}, f.Commands...)
		all.Findings = append(all.Findings, one)
	}
	writeJSON(w, http.StatusOK, all)
	return nil
}

// maxFindings is the number of findings in an answer. There can be one for each of 100,000 backends.
const maxFindings = 200

// A findingsAnswer has findings about this machine.
type findingsAnswer struct {
	Findings []preflight.Finding `json:"findings"`
	More     int                 `json:"moreFindings"`
}

var _ Farms = (*live.Reader)(nil)

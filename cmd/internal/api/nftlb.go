package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nftlb"
)

// NFTLB are the choices of the API of nftlb.
type NFTLB struct {
	Dir     string // of new farms, and of those that are incomplete
	Lenient bool   // success for values that have no effect, with the words of nftlb
	Marks   nftlb.Marks
}

// nftlbCollections are the first levels of the paths of nftlb's API.
var nftlbCollections = []string{"farms", "policies", "addresses"}

// nftlbRoutes returns the routes of nftlb's API. Each path of a collection is one route, as nftlb has no others.
func nftlbRoutes() (out []Route) {
	for _, collection := range nftlbCollections {
		for _, path := range []string{"/" + collection, "/" + collection + "/{rest...}"} {
			out = append(out, Route{"GET", path, apikey.ReadAll, (*Server).nftlbList})
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				out = append(out, Route{method, path, apikey.WriteAll, (*Server).nftlbWrite})
			}
		}
	}
	return out
}

// ServeNFTLB adds the API of nftlb. It must be called before the first request.
func (s *Server) ServeNFTLB(n NFTLB) {
	s.nftlb = newNFTLBWriter(s, n)
	s.routes = append(s.routes, nftlbRoutes()...)
	s.mux = s.newMux()
}

// isNFTLB reports whether a path belongs to nftlb's API.
func isNFTLB(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains(nftlbCollections, first)
}

// nftlbRequest is the request of nftlb. A slash at the end means nothing.
func (s *Server) nftlbRequest(r *http.Request, body []byte) nftlb.Request {
	return nftlb.Request{Verb: r.Method, Path: strings.Split(strings.Trim(r.URL.Path, "/"), "/"), Body: body,
		Lenient: s.nftlb.choices.Lenient}
}

// nftlbList answers GET.
func (s *Server) nftlbList(w http.ResponseWriter, r *http.Request) error {
	now, err := s.nftlb.state()
	if err != nil {
		return err
	}
	request := s.nftlbRequest(r, nil)
	request.Verb = "GET" // HEAD is answered as GET
	a := now.Do(request)
	if a.Listing == nil {
		return problem{status: a.Status, message: a.Text}
	}
	if len(request.Path) == 3 && request.Path[2] == "sessions" {
		if a.Listing, err = s.nftlbSessions(r, now.Farm(request.Path[1])); err != nil {
			return err
		}
	}
	if notModified(w, r, a.Listing) {
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(a.Listing)))
	_, _ = w.Write(a.Listing)
	return nil
}

// nftlbSessions lists the fixed sessions of a farm, then the clients that the kernel remembers.
func (s *Server) nftlbSessions(r *http.Request, f *nftlb.Farm) ([]byte, error) {
	var all []live.Session
	if s.nftlb.loaded(f.Name) && f.Values["persistence"] != "none" {
		var err error
		if all, err = s.Farms.Sessions(r.Context(), f.Name); err != nil {
			return nil, err
		}
	}
	var dynamic []nftlb.Remembered
	for _, one := range all {
		dynamic = append(dynamic, nftlb.Remembered{Client: clientOf(one), Backend: one.Backend, Left: one.Left})
	}
	return f.SessionListing(dynamic), nil
}

// clientOf writes a client as nftlb does: the parts in the order of its words.
func clientOf(one live.Session) string {
	var parts []string
	add := func(text string, has bool) {
		if has {
			parts = append(parts, text)
		}
	}
	add(one.Client, one.Client != "")
	add(one.Address, one.Address != "")
	add(fmt.Sprint(one.Port), one.Port != 0)
	add(fmt.Sprint(one.AddressPort), one.AddressPort != 0)
	add(one.MAC, one.MAC != "")
	add(one.TargetMAC, one.TargetMAC != "")
	if len(parts) == 0 {
		return one.Key
	}
	return strings.Join(parts, " . ")
}

// nftlbWrite answers a request that changes something.
func (s *Server) nftlbWrite(w http.ResponseWriter, r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return problem{status: http.StatusUnsupportedMediaType, message: "send JSON without Content-Encoding"}
	}
	body, release, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	defer release()
	reply := s.nftlb.write(r, s.nftlbRequest(r, body))
	if reply.err != nil {
		return reply.err
	}
	if err := s.nftlbForget(r); err != nil {
		return err
	}
	writeResponse(w, http.StatusOK, response{Response: reply.text, Warnings: reply.warnings})
	return nil
}

// nftlbForget ends the sessions that the kernel remembers, if a request ends those of a farm, a client or a backend.
func (s *Server) nftlbForget(r *http.Request) error {
	path := append(strings.Split(strings.Trim(r.URL.Path, "/"), "/"), "", "", "", "")
	of := path[0] == "farms" && (path[2] == "sessions" || path[2] == "backends" && path[4] == "sessions")
	if r.Method != http.MethodDelete || !of || !s.nftlb.loaded(path[1]) {
		return nil
	}
	client := strings.ReplaceAll(path[3], "_", " ")
	if path[2] == "sessions" && client == "" {
		return s.Farms.EndAllSessions(r.Context(), path[1])
	}
	all, err := s.Farms.Sessions(r.Context(), path[1])
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one live.Session) bool {
		if path[2] == "backends" {
			return one.Backend != path[3]
		}
		return clientOf(one) != client
	})
	_, err = s.Farms.EndSessions(r.Context(), all)
	return err
}

// A response is a reply as nftlb writes it.
type response struct {
	Response string           `json:"response"`
	Faults   []live.FarmFault `json:"faults,omitempty"`
	Warnings []live.FarmFault `json:"warnings,omitempty"`
}

// writeResponse writes a reply, with a space after the colon and no end of line, as nftlb does.
func writeResponse(w http.ResponseWriter, status int, r response) {
	text := fmt.Appendf(nil, `{"response": %s`, mustMarshal(r.Response))
	for _, part := range []struct {
		name string
		all  []live.FarmFault
	}{{"faults", r.Faults}, {"warnings", r.Warnings}} {
		if len(part.all) > 0 {
			text = fmt.Appendf(text, `, "%s": %s`, part.name, mustMarshal(part.all))
		}
	}
	text = append(text, '}')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

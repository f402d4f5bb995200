package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"farmc/cmd/internal/apikey"
)

// A Route is a method of a path, with the permission that a key needs. If the path names a {farm}, the key must have
// the permission for this farm.
type Route struct {
	Method, Path string
	Needs        apikey.Permission
	Answer       func(s *Server, w http.ResponseWriter, r *http.Request) error
}

// healthPath is the only path that needs no key.
const healthPath = "/healthz"

// metricsPath is the path of the numbers for Prometheus.
const metricsPath = "/metrics"

// eventsPath is the path of events, whose answer has no end. The key is asked again for eventsNeed meanwhile.
const (
	eventsPath = "/v1/events"
	eventsNeed = apikey.ReadAll
)

// statePath is the path of the state of a backend, whose answer can wait.
const statePath = "/v1/farms/{farm}/backends/{backend}/state"

// weightPath is the path of the weight of a backend.
const weightPath = "/v1/farms/{farm}/backends/{backend}/weight"

// Routes returns all routes.
func Routes() []Route {
	return []Route{
		{"GET", healthPath, apikey.ReadFarms, (*Server).health},
		{"GET", "/v1/farms", apikey.ReadFarms, (*Server).listFarms},
		{"GET", "/v1/farms/{farm}", apikey.ReadFarms, (*Server).getFarm},
		{"GET", "/v1/farms/{farm}/graph", apikey.ReadFarms, (*Server).graph},
		{"PUT", "/v1/farms/{farm}", apikey.WriteAll, (*Server).putFarm},
		{"PATCH", "/v1/farms/{farm}", apikey.WriteAll, (*Server).patchFarm},
		{"DELETE", "/v1/farms/{farm}", apikey.WriteAll, (*Server).deleteFarm},
		{"GET", "/v1/farms/{farm}/backends/{backend}", apikey.ReadFarms, (*Server).getBackend},
		{"GET", statePath, apikey.ReadFarms, (*Server).getState},
		{"PUT", statePath, apikey.SetState, (*Server).putState},
		{"PUT", weightPath, apikey.SetState, (*Server).putWeight},
		{"GET", "/v1/farms/{farm}/backends/{backend}/health", apikey.ReadFarms, (*Server).getHealth},
		{"PUT", "/v1/farms/{farm}/backends/{backend}/health", apikey.SetHealth, (*Server).putHealth},
		{"DELETE", "/v1/farms/{farm}/backends/{backend}/health", apikey.SetHealth, (*Server).deleteHealth},
		{"PUT", "/v1/health", apikey.SetHealth, (*Server).putAllHealth},
		{"PUT", "/v1/farms/{farm}/backends/{backend}", apikey.WriteAll, (*Server).putBackend},
		{"PATCH", "/v1/farms/{farm}/backends/{backend}", apikey.WriteAll, (*Server).patchBackend},
		{"DELETE", "/v1/farms/{farm}/backends/{backend}", apikey.WriteAll, (*Server).deleteBackend},
		{"GET", "/v1/farms/{farm}/bans", apikey.ReadAll, (*Server).listBans},
		{"GET", "/v1/farms/{farm}/bans/{address}", apikey.ReadAll, (*Server).getBan},
		{"PUT", "/v1/farms/{farm}/bans/{address}", apikey.SetState, (*Server).putBan},
		{"DELETE", "/v1/farms/{farm}/bans/{address}", apikey.SetState, (*Server).deleteBan},
		{"GET", "/v1/farms/{farm}/sessions", apikey.ReadAll, (*Server).listSessions},
		{"DELETE", "/v1/farms/{farm}/sessions", apikey.SetState, (*Server).deleteSessions},
		{"GET", "/v1/farms/{farm}/sessions/{client}", apikey.ReadAll, (*Server).getSessions},
		{"DELETE", "/v1/farms/{farm}/sessions/{client}", apikey.SetState, (*Server).deleteSession},
		{"GET", "/v1/lists", apikey.ReadAll, (*Server).listLists},
		{"GET", "/v1/lists/{list}", apikey.ReadAll, (*Server).getList},
		{"PUT", "/v1/lists/{list}", apikey.WriteAll, (*Server).putList},
		{"DELETE", "/v1/lists/{list}", apikey.WriteAll, (*Server).deleteList},
		{"POST", "/v1/lists/{list}/entries", apikey.WriteAll, (*Server).addEntries},
		{"DELETE", "/v1/lists/{list}/entries", apikey.WriteAll, (*Server).removeEntries},
		{"GET", "/v1/status", apikey.ReadAll, (*Server).status},
		{"GET", "/v1/script", apikey.ReadAll, (*Server).script},
		{"GET", "/v1/script/lines", apikey.ReadAll, (*Server).scriptLines},
		{"GET", "/v1/diff", apikey.ReadAll, (*Server).diff},
		{"GET", "/v1/history", apikey.ReadAll, (*Server).history},
		{"GET", "/v1/overview", apikey.ReadAll, (*Server).overview},
		{"GET", "/v1/overview/{farm}", apikey.ReadAll, (*Server).overviewFarm},
		{"GET", "/v1/changes", apikey.ReadAll, (*Server).changes},
		{"GET", "/v1/explain", apikey.ReadAll, (*Server).explain},
		{"GET", "/v1/doctor", apikey.ReadAll, (*Server).doctor},
		{"GET", metricsPath, apikey.ReadAll, (*Server).metrics},
		{"GET", eventsPath, eventsNeed, (*Server).events},
		{"GET", "/v1/openapi.json", apikey.ReadFarms, (*Server).openAPI},
		{"POST", "/v1/check", apikey.ReadAll, (*Server).check},
		{"POST", "/v1/apply", apikey.WriteAll, (*Server).apply},
		{"POST", "/v1/confirm", apikey.WriteAll, (*Server).confirm},
		{"POST", "/v1/rollback", apikey.WriteAll, (*Server).rollback},
	}
}

// newMux returns the paths of the routes. Methods are compared here, so that all errors have the same form.
func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	byPath := map[string][]Route{}
	for _, route := range s.routes {
		byPath[route.Path] = append(byPath[route.Path], route)
	}
	for path, routes := range byPath {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, routes) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, errNoRoute) })
	return mux
}

// answer finds the route of the method, checks the permission, and calls the handler.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, routes []Route) {
	i := slices.IndexFunc(routes, func(route Route) bool {
		return route.Method == r.Method || route.Method == "GET" && r.Method == "HEAD"
	})
	if i < 0 {
		w.Header().Set("Allow", methods(routes))
		s.refuse(w, r, problem{status: http.StatusMethodNotAllowed})
		return
	}
	err := routes[i].admit(r)
	if err == nil {
		err = s.knowsParameters(routes[i], r)
	}
	if err == nil {
		err = routes[i].obeysConditions(r.Header)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if err := routes[i].Answer(s, w, r); err != nil {
		s.refuse(w, r, err)
	}
}

// knowsParameters returns an error for malformed parameters, of which a part would have no effect, and for a parameter
// that a request to read does not have: a misspelt one would give another answer than the client wants. Requests that
// change something look at theirs themselves, and monitoring systems add some of their own to the two paths for them.
func (s *Server) knowsParameters(route Route, r *http.Request) error {
	d, described := s.described[route.Method+" "+route.Path]
	if r.URL.RawQuery == "" || !described || route.Path == healthPath || route.Path == metricsPath {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return malformed("the parameters are malformed")
	}
	if route.Method != "GET" && route.Path != "/v1/check" {
		return nil
	}
	for name := range query {
		if !slices.ContainsFunc(d.query, func(p parameter) bool { return p.name == name }) {
			return malformed("this request takes " + d.parameters())
		}
	}
	return nil
}

// admit returns an error if the key of the request lacks the permission.
func (route Route) admit(r *http.Request) error {
	key, farm := keyOf(r.Context()), r.PathValue("farm")
	if route.Path == healthPath || key.May(route.Needs, farm) {
		return nil
	}
	return problem{status: http.StatusForbidden, message: "the key " + key.Name + " does not permit this"}
}

func methods(routes []Route) string {
	var out []string
	for _, route := range routes {
		out = append(out, route.Method)
		if route.Method == "GET" {
			out = append(out, "HEAD")
		}
	}
	return strings.Join(out, ", ")
}

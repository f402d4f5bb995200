// Package api serves farms as JSON over HTTP. It holds routes, keys and documents; package live has the operations,
// which the commands use as well.
//
// Order of the files: server.go (Server: from a connection to a route), routes.go (the table of all routes), auth.go
// and attempts.go (keys), throttle.go (the rate of refused requests), body.go and keyreader.go (documents of clients),
// reply.go (documents and errors for clients), write.go (replies to writes), precondition.go (If-Match). farms.go,
// backendstate.go, health.go, clients.go, lists.go, listchange.go, check.go, state.go, scriptlines.go, manage.go,
// apply.go, events.go, metrics.go, overview.go, explain.go and graph.go have the handlers; pages.go has requests of the
// pages for browsers; openapi.go and describe.go tell clients of them. nftlb.go and nftlbwriter.go have the API of
// nftlb. listen.go, certificate.go, admission.go and conn.go have the sockets: addresses, TLS, and the limits on
// connections. front.go and relayed.go have the two sides of a server with its sockets in a process of their own.
//
// Be aware:
//   - A handler runs after the key was checked against the route. Documents of clients are text of users. A name
//     becomes part of a path only in package manage, which admits names of farms alone.
//   - Handlers that read use snapshots. None takes the lock of the state directory, so no such request delays a load.
package api

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/event"
	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/cmd/internal/relay"
	"farmc/cmd/internal/statedir"
)

// Farms are the operations that requests need.
type Farms interface {
	Current() *live.Snapshot // nil before the first look of watch
	Status(ctx context.Context) (live.Status, error)
	FarmStatus(ctx context.Context, farm string) (live.FarmStatus, error)
	Difference(ctx context.Context) (live.Difference, error)
	Check(ctx context.Context, texts map[string][]byte) (live.TrialCheck, error)
	History() ([]statedir.HistoryEntry, error)
	Bans(ctx context.Context, farm string) ([]live.BanStatus, error)
	BackendNow(ctx context.Context, farm, backend string) (live.BackendNow, error)
	Cut(ctx context.Context, farm, backend string) (open int, err error)
	Sessions(ctx context.Context, farm string) ([]live.Session, error)
	EndSessions(ctx context.Context, sessions []live.Session) (ended int, err error)
	EndAllSessions(ctx context.Context, farm string) error
	Explain(ctx context.Context, q explain.Question) (live.Explanation, error)
}

// Keys finds the key with a secret.
type Keys interface {
	Find(secret string) (apikey.Key, bool)
}

// A Meter reads all metrics. The result writes them.
type Meter interface {
	Read(ctx context.Context) (write func(io.Writer, expfmt.Format) error, err error)
}

// Limits of a request and of a connection.
const (
	maxHeader  = 16 << 10 // bytes of the request line and the headers
	maxBody    = 16 << 20 // bytes
	maxList    = 32 << 20 // bytes of a body with a list: half a million IPv6 networks in full
	sendTime   = 10 * time.Second
	answerTime = time.Minute // until the client has read the answer
	idleTime   = time.Minute
)

// headerSlop is added to MaxHeaderBytes by net/http.
const headerSlop = 4096

// A Server answers requests. The fields must be set before the first one.
type Server struct {
	Farms   Farms
	Writer  Writer
	Applier Applier
	Health  *manage.Health
	Keys    Keys
	Events  *event.Stream // nil: there are none
	Meter   Meter         // of GET /metrics; nil: there is none

	Overview Overview // of GET /v1/overview and /v1/changes; nil: there is none
	Examiner Examiner // of GET /v1/doctor; nil: there is none

	Pages http.Handler // of pagesPath; it checks keys itself; nil: there are none

	Log func(format string, args ...any)

	heartbeat, streamWrite time.Duration   // heartbeatTime, streamWriteTime
	ending                 context.Context // ends with the server

	routes   []Route
	mux      *http.ServeMux
	document func() []byte // of GET /v1/openapi.json

	ask func(context.Context, http.ResponseWriter, relay.Request) error // of Ask: here, or behind a socket

	described map[string]description // descriptions
	lists     listDigest
	nftlb     *nftlbWriter // nil: there is no API of nftlb
	failed    attempts
	throttle  throttle
	bodies    bodyBudget
	conns     *admission
	serving   *http.Server
}

// NewServer returns a server with all routes.
func NewServer(farms Farms, writer Writer, keys Keys, logf func(format string, args ...any)) *Server {
	s := newServer(farms, keys, logf, Routes())
	s.Writer = writer
	return s
}

func newServer(farms Farms, keys Keys, logf func(format string, args ...any), routes []Route) *Server {
	s := &Server{Farms: farms, Keys: keys, Log: logf, routes: routes}
	s.failed = attempts{missing: steadyLog{log: logf}, wrong: steadyLog{log: logf}, pause: time.Second}
	s.throttle = newThrottle()
	s.ask = s.askHere
	s.Health = manage.NewHealth(farms.Current,
		func(ctx context.Context, by string, writes []live.Write) []live.WriteResult {
			return s.Writer.WriteAll(ctx, by, writes)
		})
	s.described = descriptions()
	s.mux = s.newMux()
	s.document = sync.OnceValue(func() []byte { return openAPI(routes) })
	s.heartbeat, s.streamWrite = heartbeatTime, streamWriteTime
	ending, end := context.WithCancel(context.Background())
	s.ending = ending
	s.conns = newAdmission(maxConnections, maxStreams)
	s.serving = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: sendTime,
		ReadTimeout:       sendTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader - headerSlop,
		ErrorLog:          log.New(&steadyLog{log: logf}, "", 0),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return withConn(ctx, c) },
		ConnState:         forgetRequest,

		DisableGeneralOptionsHandler: true,
		Protocols:                    new(http.Protocols),
	}
	s.serving.RegisterOnShutdown(end)  // streams have no other end
	s.serving.Protocols.SetHTTP1(true) // a connection of HTTP/2 has hundreds of requests at once
	return s
}

// Serve answers requests of a listener until ctx is done. Then it ends all requests within a second, and closes the
// listener. Listeners can be served at once, if they end together.
func (s *Server) Serve(ctx context.Context, l net.Listener) {
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.serving.Serve(s.conns.limit(l)); !errors.Is(err, http.ErrServerClosed) {
			s.Log("API: %v", err)
		}
	})
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.serving.Shutdown(ending) != nil {
		s.serving.Close()
	}
	all.Wait()
}

// ServeHTTP answers a request: form of the request, key, throttle, route, permission, handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	key, identified := s.identify(r)
	client := peerOf(r)
	if identified {
		client = "key " + key.Name
	}
	out, body := &statusWriter{ResponseWriter: w}, &countedBody{ReadCloser: r.Body}
	r.Body = body
	if err := s.throttle.wait(w, r, client); err != nil {
		s.refuse(out, r, err)
		return
	}
	if err := s.malformed(w, r); err != nil {
		s.refuse(out, r, err)
	} else {
		s.serve(out, r, key, identified)
	}
	if isRefusal(out.status) {
		s.throttle.refused(client, body.read)
	}
}

// serve answers a request that is well formed.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, key apikey.Key, identified bool) {
	if s.Pages != nil && isPage(r.URL.Path) {
		s.Pages.ServeHTTP(w, withTLS(r))
		return
	}
	_, pattern := s.mux.Handler(r)
	if pattern == healthPath {
		s.mux.ServeHTTP(w, r)
		return
	}
	if !identified {
		s.failed.slow(r)
		s.refuse(w, r, problem{status: http.StatusUnauthorized})
		return
	}
	if c := connOf(r.Context()); c != nil {
		c.setBusy(true)
		defer c.setBusy(false)
	}
	r = r.WithContext(withKey(r.Context(), key))
	if pattern == eventsPath && key.May(eventsNeed, "") {
		s.stream(w, r)
		return
	}
	if pattern == statePath && r.URL.Query().Has("wait") {
		s.await(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// malformed returns an error for requests that two programs can understand in two ways, and for paths that name no
// resource: "//", "/./", "/../", an encoded slash, or a control character.
func (s *Server) malformed(w http.ResponseWriter, r *http.Request) error {
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
		if c := connOf(r.Context()); c != nil && c.sentLength() {
			return problem{status: http.StatusBadRequest, message: "Content-Length beside Transfer-Encoding"}
		}
	}
	p := r.URL.Path
	if p == pagesPath || isNFTLB(p) && len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return problem{status: http.StatusBadRequest, message: "the request names no path"}
	case strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return problem{status: http.StatusBadRequest, message: "the path has a control character"}
	case path.Clean(p) != p, strings.Contains(strings.ToLower(r.URL.EscapedPath()), "%2f"), strings.Contains(p, "\\"):
		return errNoRoute
	}
	return nil
}

package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/relay"
)

// relayed is the variable that has newSite put a front before the server.
const relayed = "FARMC_TEST_RELAY"

// serveRelay serves a private socket until the end of the test, and returns its path.
func (s *site) serveRelay(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // the path of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := Listen(t.Context(), Address{Path: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	behind := s.Server
	all.Go(func() { behind.ServeRelay(ctx, l) })
	t.Cleanup(func() {
		stop()
		all.Wait()
		os.RemoveAll(dir)
	})
	return socket
}

// forwarder returns the forwarder of a front.
func (s *site) forwarder(socket string) *forwarder {
	return &forwarder{socket: socket, unreachable: steadyLog{log: s.log}, validate: 50 * time.Millisecond}
}

// A server behind a front answers as one with sockets of its own.
func TestFrontAnswersTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the other tests once more")
	}
	t.Setenv(relayed, "1")
	for name, test := range map[string]func(*testing.T){
		"roles": TestRoles, "every route needs a key": TestEveryRouteNeedsAKey, "keys": TestKeysOfRequests,
		"unauthorized": TestUnauthorizedTellsNothing, "revoked key": TestRevokedKey,
		"guesses": TestGuessesAreSlowedAndLogged, "root": TestRootNeedsNoKey,
		"farm": TestFarm, "farm ETag": TestFarmETag, "farms ETag": TestFarmsETag, "backend": TestBackend,
		"faults": TestFarmsWithFaults,
		"farms":  TestListFarms, "script": TestScript, "lists": TestLists, "check": TestCheckFindsAllFaults,
		"check refuses": TestCheckRefusesDocuments, "check accepts": TestCheckAcceptsFarms,
		"injections": TestCheckInjections, "paths": TestPaths, "parameters": TestParametersOfReads,
		"methods":       TestMethods,
		"content types": TestContentTypes, "bodies": TestBodies, "large bodies": TestLargeBodies,
		"chunks": TestChunkedBody, "smuggling": TestSmuggling, "chunks end": TestChunksEndTheConnection,
		"lengths": TestLengthOfTheRequestBefore, "slow connections": TestManySlowConnections,
		"busy connections": TestBusyConnections, "TLS": TestTLS,
		"events": TestEvents, "lasting events": TestEventsOutlastTheRequest, "keys of events": TestEventsNeedTheirKey,
		"end of events": TestEventsEndWithTheServer, "slots of events": TestEventSlots,
		"slow follower": TestSlowFollower, "overview": TestOverview, "script lines": TestScriptLines,
		"questions": TestExplainRefusesQuestions, "parameters of overviews": TestOverviewRefusesParameters,
	} {
		t.Run(name, test)
	}
}

// The side with network privileges does not believe in a permission: it checks the role, and the path.
func TestRelayedRequestIsCheckedAgain(t *testing.T) {
	s := newSite(t, siteFiles, Route{"PUT", "/v1/any/{farm}", apikey.WriteAll, done})
	socket := s.serveRelay(t)
	for _, c := range []struct {
		method, path string
		key          apikey.Key
		want         int
	}{
		{"GET", "/v1/farms/web", apikey.Key{Name: "a", Role: apikey.Read}, 200},
		{"PUT", "/v1/any/web", apikey.Key{Name: "a", Role: apikey.Read}, 403},
		{"PUT", "/v1/any/web", apikey.Key{Name: "a", Role: apikey.Write}, 204},
		{"GET", "/v1/status", apikey.Key{Name: "a", Role: apikey.Health}, 403},
		{"GET", "/v1/../v1/status", apikey.Root(), 404},
		{"GET", "/v1/farms/web\x00", apikey.Root(), 400},
		{"BREW", "/v1/farms", apikey.Root(), 405},
	} {
		w := &recorder{header: http.Header{}}
		err := relay.Do(t.Context(), socket, relay.Request{Method: c.method, Path: c.path, Key: c.key}, w)
		if err != nil || w.status != c.want {
			t.Errorf("%s %q as %+v: %d, want %d, %v", c.method, c.path, c.key, w.status, c.want, err)
		}
	}
}

// A recorder records the status of a reply.
type recorder struct {
	header http.Header
	status int
}

func (w *recorder) Header() http.Header            { return w.header }
func (w *recorder) WriteHeader(status int)         { w.status = status }
func (w *recorder) Write(text []byte) (int, error) { return len(text), nil }

// An answer that never ends passes in pieces, beyond the time of an ordinary request, and ends when the client leaves.
func TestFrontPassesStreams(t *testing.T) {
	t.Setenv(relayed, "1")
	ended := make(chan struct{})
	s := newSite(t, siteFiles, Route{"GET", "/v1/stream", apikey.ReadAll,
		func(_ *Server, w http.ResponseWriter, r *http.Request) error {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Time{}) != nil || control.SetWriteDeadline(time.Time{}) != nil {
				t.Error("no deadlines")
			}
			_, _ = io.WriteString(w, "one\n")
			_ = control.Flush()
			time.Sleep(500 * time.Millisecond)
			_, _ = io.WriteString(w, "two\n")
			_ = control.Flush()
			<-r.Context().Done()
			close(ended)
			return nil
		}})
	s.serving.ReadTimeout, s.serving.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	s.address = s.serve(t, listen(t))
	c := s.dial(t, "127.0.0.1")
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(c, s.head("GET", "/v1/stream")+"\r\n")
	awaitText(t, c, "one\n", "two\n")
	select {
	case <-ended:
		t.Error("the request ended although the client waits")
	case <-time.After(300 * time.Millisecond):
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the request goes on without a client")
	}
}

// awaitText reads until each text has arrived. Texts arrive in reads of their own.
func awaitText(t *testing.T, c net.Conn, texts ...string) {
	t.Helper()
	all := ""
	for into := make([]byte, 4096); len(texts) > 0; {
		n, err := c.Read(into)
		all += string(into[:n])
		if strings.Contains(all, texts[0]) {
			if len(texts) > 1 && strings.Contains(all, texts[1]) {
				t.Errorf("%q arrives with %q", texts[0], texts[1])
			}
			texts = texts[1:]
		}
		if err != nil {
			t.Fatalf("no %q: %v: %q", texts[0], err, all)
		}
	}
}

// A request that lasts ends when its key is deleted. The handler sees a valid key until then.
func TestFrontEndsRequestsOfADeletedKey(t *testing.T) {
	t.Setenv(relayed, "1")
	waits := make(chan bool, 1)
	s := start(t, siteFiles, Route{"GET", "/v1/wait", apikey.ReadAll,
		func(s *Server, _ http.ResponseWriter, r *http.Request) error {
			key, ok := s.identify(r)
			waits <- ok && key.Name == "reader"
			<-r.Context().Done()
			return nil
		}})
	answer := make(chan exchange, 1)
	go func() {
		defer close(answer)
		answer <- s.do(t, exchange{key: "reader", path: "/v1/wait"})
	}()
	if !<-waits {
		t.Error("the handler sees no key")
	}
	select {
	case x := <-answer:
		t.Fatalf("the request ends with its key: %d", x.status)
	case <-time.After(200 * time.Millisecond):
	}
	if err := os.WriteFile(s.keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if x := <-answer; x.status != 401 {
		t.Errorf("%d %s", x.status, x.answer)
	}
}

// A stream of events has a regular end when the key is deleted; any other answer is cut, so that it does not look
// complete.
func TestFrontEndsStreams(t *testing.T) {
	t.Setenv(relayed, "1")
	for kind, whole := range map[string]bool{eventStream: true, "text/plain": false} {
		begun := make(chan bool, 1)
		s := start(t, siteFiles, Route{"GET", "/v1/stream", apikey.ReadAll,
			func(_ *Server, w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Type", kind)
				_, _ = io.WriteString(w, "data: one\n\n")
				_ = http.NewResponseController(w).Flush()
				begun <- true
				<-r.Context().Done()
				return nil
			}})
		c := s.dial(t, "127.0.0.1")
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, s.head("GET", "/v1/stream")+"Connection: close\r\n\r\n")
		<-begun
		if err := os.WriteFile(s.keys, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		ends := strings.HasSuffix(string(text), "\r\n0\r\n\r\n")
		if ends != whole || !strings.Contains(string(text), "one") {
			t.Errorf("%s: %v, %q", kind, err, text)
		}
	}
}

func TestFrontWithoutServer(t *testing.T) {
	t.Setenv(relayed, "1")
	s := newSite(t, siteFiles)
	s.Server = newFront(s.forwarder(filepath.Join(t.TempDir(), "none")), s.Keys, Routes())
	s.address = s.serve(t, listen(t))
	x := s.do(t, exchange{key: "reader", path: "/v1/farms"})
	if x.status != 503 || x.got.Get("Retry-After") == "" || !strings.Contains(x.answer, "does not answer the API") {
		t.Errorf("%d %q", x.status, x.answer)
	}
	if x = s.do(t, exchange{path: "/v1/farms"}); x.status != 401 {
		t.Errorf("without a key: %d", x.status)
	}
	if x = s.do(t, exchange{path: healthPath}); x.status != 200 {
		t.Errorf("liveness: %d", x.status)
	}
	if logs := s.logs(); strings.Count(logs, "does not answer the API") != 1 {
		t.Errorf("the log is %q", logs)
	}
}

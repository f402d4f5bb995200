package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/overview"
	"farmc/cmd/internal/statedir"
)

// A site is a server with farms that nothing was loaded from, and a key of each role.
type site struct {
	*Server
	behind  *Server // has the farms; another one than Server with a front before it
	address string  // of TCP
	keys    string  // file
	secret  map[string]string

	mu     sync.Mutex
	logged []string
}

const webFarm = `listen = "192.0.2.10:80"
state = "down"
[backends.b1]
address = "10.0.0.11"
weight = 3
[backends.b2]
address = "10.0.0.12"
`

// siteFiles are farms of which one has a drop-in, and a list.
var siteFiles = map[string]string{
	"web.toml":           webFarm,
	"web.toml.d/50.toml": "backends.b1.state = \"drain\"\n",
	"mail.toml":          "listen = \"192.0.2.11:25\"\nbackends.b1.address = \"10.0.0.13\"\n",
	"bad.list":           "# of last week\n198.51.100.0/24 ; a network\n203.0.113.9\n",
}

// start starts a server for the files, with more routes than the program has.
func start(t *testing.T, files map[string]string, more ...Route) *site {
	t.Helper()
	s := newSite(t, files, more...)
	s.address = s.serve(t, listen(t))
	return s
}

// newSite is start without the socket.
func newSite(t *testing.T, files map[string]string, more ...Route) *site {
	t.Helper()
	s := &site{keys: filepath.Join(t.TempDir(), "api.keys"), secret: map[string]string{}}
	for _, k := range []apikey.Key{{Name: "reader", Role: apikey.Read}, {Name: "writer", Role: apikey.Write},
		{Name: "stater", Role: apikey.State}, {Name: "checker", Role: apikey.Health},
		{Name: "limited", Role: apikey.State, Farms: []string{"web"}}} {
		secret, err := apikey.Create(s.keys, k)
		if err != nil {
			t.Fatal(err)
		}
		s.secret[k.Name] = secret
	}
	keys := apikey.NewFile(func() (io.ReadCloser, error) { return os.Open(s.keys) }, s.log)
	routes := append(Routes(), more...)
	farms := reader(t, files)
	s.Server = newServer(farms, keys, s.log, routes)
	s.Overview = overview.New(farms)
	s.behind = s.Server
	if os.Getenv(relayed) != "" {
		s.Server = newFront(s.forwarder(s.serveRelay(t)), keys, slices.Clone(routes))
	}
	s.failed.pause = 10 * time.Millisecond
	return s
}

// reader returns a reader of the files, which nothing was loaded from.
func reader(t *testing.T, files map[string]string) *live.Reader {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := &live.Engine{Log: t.Logf, Store: statedir.NewStore(t.TempDir()), Insecure: true}
	e.Nft.Path = "/bin/true" // accepts every script
	e.Dirs = append(e.Dirs, live.Dir(dir))
	r := live.NewReader(e)
	p, diagnostics, err := e.Plan(t.Context())
	e.Publish(r, p, diagnostics, err)
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve answers requests of a listener until the end of the test, and returns its address.
func (s *site) serve(t *testing.T, l net.Listener) string {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { s.Serve(ctx, l) })
	t.Cleanup(func() {
		stop()
		all.Wait()
	})
	return l.Addr().String()
}

func (s *site) log(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logged = append(s.logged, fmt.Sprintf(format, args...))
}

func (s *site) logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.logged, "\n")
}

// An exchange is a request, and the answer after do.
type exchange struct {
	key, method, path, body string
	header                  map[string]string

	status int
	answer string
	got    http.Header
}

// do sends the request on a new connection.
func (s *site) do(t *testing.T, x exchange) exchange {
	t.Helper()
	if x.method == "" {
		x.method = "GET"
	}
	r, err := http.NewRequestWithContext(t.Context(), x.method, "http://"+s.address+x.path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	if x.key != "" {
		r.Header.Set("Key", s.secret[x.key])
	}
	for name, value := range x.header {
		r.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", x.method, x.path, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", x.method, x.path, err)
	}
	x.status, x.answer, x.got = a.StatusCode, string(text), a.Header
	if err := fits(t, r, x); err != nil {
		t.Errorf("%s %s: %d %s: %v", x.method, x.path, x.status, x.answer, err)
	}
	return x
}

// get sends GET with the key of the role read, wants 200, and decodes the answer.
func (s *site) get(t *testing.T, path string) (document map[string]any, x exchange) {
	t.Helper()
	x = s.do(t, exchange{key: "reader", path: path})
	if x.status != 200 {
		t.Fatalf("%s: %d %s", path, x.status, x.answer)
	}
	if err := json.Unmarshal([]byte(x.answer), &document); err != nil {
		t.Fatalf("%s: %v: %s", path, err, x.answer)
	}
	return document, x
}

// at returns the value at a path of keys in a document.
func at(document any, path ...string) any {
	for _, key := range path {
		object, _ := document.(map[string]any)
		document = object[key]
	}
	return document
}

// raw sends bytes on a connection from a loopback address, and returns the statuses of the answers until the server
// closes the connection.
func (s *site) raw(t *testing.T, from, text string) []string {
	t.Helper()
	c := s.dial(t, from)
	defer c.Close()
	go func() { _, _ = io.WriteString(c, text) }()
	return statuses(t, c)
}

// dial opens a connection from an address of this machine.
func (s *site) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// statuses reads answers until the server closes the connection.
func statuses(t *testing.T, c net.Conn) (out []string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for in := bufio.NewReader(c); ; {
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			return out
		}
		out = append(out, a.Status)
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			return out
		}
	}
}

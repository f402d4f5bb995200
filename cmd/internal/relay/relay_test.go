package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
)

// A site is a server on a socket.
type site struct {
	*Server
	socket string

	mu     sync.Mutex
	logged string
}

func (s *site) log(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logged += fmt.Sprintf(format, args...) + "\n"
}

func (s *site) logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged
}

// start serves a socket that all users can connect to, until the end of the test or the call of stop.
func start(t *testing.T, handle Handler) (s *site, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // the path of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s = &site{socket: filepath.Join(dir, "s")}
	s.Server = &Server{Handle: handle, Log: s.log}
	l, err := net.Listen("unix", s.socket)
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.Chmod(s.socket, 0o666)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { s.Serve(ctx, l) })
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		os.RemoveAll(dir)
	})
	t.Cleanup(stop)
	return s, stop
}

var someKey = apikey.Key{Name: "ops", Role: apikey.State, Farms: []string{"web"}}

func TestRequestAndReplyPass(t *testing.T) {
	var got Request
	s, _ := start(t, func(_ context.Context, w http.ResponseWriter, r Request) {
		got = r
		w.Header().Set("ETag", `"x"`)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(bytes.Repeat([]byte("y"), 3*maxData+1))
	})
	sent := Request{Method: "PUT", Path: "/v1/farms/<&\"é", Query: "dry-run&a=%20<>", Key: someKey,
		Header: http.Header{"If-Match": {`"a"`, `"b"`}}, Body: bytes.Repeat([]byte("\x00\xff"), MaxBody/2)}
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "no-store")
	if err := Do(t.Context(), s.socket, sent, w); err != nil {
		t.Fatal(err)
	}
	sent.Size = len(sent.Body)
	if !bytes.Equal(sent.Body, got.Body) {
		t.Errorf("the body of %d bytes arrived as %d others", len(sent.Body), len(got.Body))
	}
	sent.Body, got.Body = nil, nil // text of every byte would take seconds
	if a, b := fmt.Sprintf("%+v", sent), fmt.Sprintf("%+v", got); a != b {
		t.Errorf("%s arrived as %s", a, b)
	}
	if w.Code != 201 || w.Body.Len() != 3*maxData+1 || w.Header().Get("ETag") != `"x"` ||
		w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

func TestRepliesWithoutData(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
	}{{"HEAD", 200}, {"GET", 204}, {"GET", 304}} {
		s, _ := start(t, func(_ context.Context, w http.ResponseWriter, _ Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, "text")
		})
		w := httptest.NewRecorder()
		err := Do(t.Context(), s.socket, Request{Method: c.method, Path: "/", Key: someKey}, w)
		if err != nil || w.Code != c.status || w.Body.Len() > 0 {
			t.Errorf("%s %d: %d %q, %v", c.method, c.status, w.Code, w.Body, err)
		}
	}
}

// frameOf is a frame of any kind and length.
func frameOf(k byte, length int, payload string) string {
	return string(binary.BigEndian.AppendUint32([]byte{k}, uint32(length))) + payload
}

// requestFrame is the frame of a request as JSON.
func requestFrame(json string) string { return frameOf('Q', len(json), json) }

// keyFrame is the frame of a request with a key as JSON.
func keyFrame(json string) string {
	return requestFrame(`{"method": "GET", "path": "/", "key": ` + json + `}`)
}

const key = `"key": {"Name": "ops", "Role": "read"}`

// A front that is not the program that it should be gets no answer to anything else than a request.
func TestServerRefusesFrames(t *testing.T) {
	s, _ := start(t, func(_ context.Context, w http.ResponseWriter, r Request) {
		_, _ = io.WriteString(w, "done")
	})
	if got := s.exchange(t, requestFrame(`{"method": "GET", "path": "/", `+key+`}`)); !strings.Contains(got, "done") {
		t.Fatalf("a request is answered by %q", got)
	}
	for rule, text := range map[string]string{
		"nothing":          "",
		"HTTP":             "GET / HTTP/1.1\r\n\r\n",
		"a reply":          frameOf('H', 2, "{}"),
		"data":             frameOf('D', 2, "{}"),
		"an unknown kind":  frameOf('X', 0, ""),
		"a huge frame":     frameOf('Q', 1<<32-1, "{}"),
		"a long head":      frameOf('Q', maxHead+1, strings.Repeat(" ", maxHead+1)),
		"no JSON":          requestFrame("GET /"),
		"two values":       requestFrame(`{"method": "GET", "path": "/", ` + key + `} {}`),
		"an unknown key":   requestFrame(`{"method": "GET", "path": "/", "host": "x", ` + key + `}`),
		"a digest":         keyFrame(`{"Name": "a", "Role": "read", "digest": ""}`),
		"no key":           requestFrame(`{"method": "GET", "path": "/"}`),
		"an unknown role":  keyFrame(`{"Name": "ops", "Role": "root"}`),
		"a name":           keyFrame(`{"Name": "a\nb", "Role": "read"}`),
		"a limited writer": keyFrame(`{"Name": "a", "Role": "write", "Farms": ["x"]}`),
		"no path":          requestFrame(`{"method": "GET", "path": "*", ` + key + `}`),
		"no method":        requestFrame(`{"path": "/", ` + key + `}`),
		"a header":         requestFrame(`{"method": "GET", "path": "/", "header": {"Host": ["x"]}, ` + key + `}`),
		"a negative size":  requestFrame(`{"method": "PUT", "path": "/", "size": -1, ` + key + `}`),
		"a large body":     requestFrame(fmt.Sprintf(`{"method": "PUT", "path": "/", "size": %d, %s}`, MaxBody+1, key)),
		"half a body":      requestFrame(`{"method": "PUT", "path": "/", "size": 3, `+key+`}`) + "xx",
	} {
		if got := s.exchange(t, text); got != "" {
			t.Errorf("%s is answered by %q", rule, got)
		}
	}
	if used := s.bodies.Load(); used != 0 {
		t.Errorf("%d bytes of bodies stay counted", used)
	}
}

// exchange sends text, and returns the answer.
func (s *site) exchange(t *testing.T, text string) string {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(c, text)
	if !strings.HasSuffix(text, "}") { // the end of a request's sending would end the request
		_ = c.(*net.UnixConn).CloseWrite()
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func TestFrontRefusesText(t *testing.T) {
	for _, r := range []Request{{Method: "GET", Path: "/\xff"}, {Method: "GET", Path: "/", Query: "\xc0\xaf"},
		{Method: "GET", Path: "/", Header: http.Header{"Accept": {"\xff"}}}} {
		if err := Do(t.Context(), "/nowhere", r, httptest.NewRecorder()); !errors.Is(err, ErrText) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// Other users than root and the user of the front are refused, also if the mode of the socket admits them.
func TestServerRefusesUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, c := range []struct {
		users []uint32
		want  string
	}{{[]uint32{1}, "the user 65534 is not that of farmc api"}, {[]uint32{65534}, "a frame 'G'"}} {
		s, stop := start(t, func(context.Context, http.ResponseWriter, Request) { t.Error("answered") })
		s.Users = c.users
		cmd := exec.Command("curl", "-sS", "-m", "10", "--unix-socket", s.socket, "http://farmc/v1/farms")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("answered: %s", out)
		}
		stop()
		if !strings.Contains(s.logs(), c.want) {
			t.Errorf("the log is %q, want %q", s.logs(), c.want)
		}
	}
}

// A front sends no request, which has the rights of a key, to a server of another user.
func TestFrontRefusesServersOfOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	l := listenAs(t, 65534, filepath.Join(dir, "s"))
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the server never answers
	defer cancel()
	err = Do(ctx, l.Addr().String(), Request{Method: "GET", Path: "/", Key: someKey}, httptest.NewRecorder())
	if !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), "the user 65534") {
		t.Errorf("the error is %v", err)
	}
}

// listenAs listens as another user, which the kernel notes for those who connect.
func listenAs(t *testing.T, user uintptr, path string) net.Listener {
	t.Helper()
	runtime.LockOSThread() // the system call concerns one thread
	defer runtime.UnlockOSThread()
	const keep = ^uintptr(0)
	if _, _, err := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, user, keep); err != 0 {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if _, _, backErr := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, 0, keep); backErr != 0 {
		panic(backErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPanicEndsOneRequest(t *testing.T) {
	s, _ := start(t, func(_ context.Context, w http.ResponseWriter, r Request) {
		if r.Path == "/panic" {
			panic("a fault")
		}
	})
	err := Do(t.Context(), s.socket, Request{Method: "GET", Path: "/panic", Key: someKey}, httptest.NewRecorder())
	if !errors.Is(err, ErrBroken) || !strings.Contains(s.logs(), "a fault") {
		t.Errorf("%v, %q", err, s.logs())
	}
	err = Do(t.Context(), s.socket, Request{Method: "GET", Path: "/", Key: someKey}, httptest.NewRecorder())
	if err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// The end of the server ends handlers that wait, and answers that no one reads.
func TestServerEnds(t *testing.T) {
	waits := make(chan struct{}, 1)
	s, stop := start(t, func(ctx context.Context, w http.ResponseWriter, r Request) {
		waits <- struct{}{}
		if r.Path == "/wait" {
			<-ctx.Done()
			return
		}
		for range 1000 {
			_, _ = w.Write(make([]byte, maxData))
		}
	})
	wait := make(chan error, 1)
	go func() {
		wait <- Do(t.Context(), s.socket, Request{Method: "GET", Path: "/wait", Key: someKey}, httptest.NewRecorder())
	}()
	<-waits
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, requestFrame(`{"method": "GET", "path": "/", `+key+`}`))
	<-waits
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end takes %s", took)
	}
	<-wait
}

func TestFullServer(t *testing.T) {
	release := make(chan struct{})
	s, _ := start(t, func(context.Context, http.ResponseWriter, Request) { <-release })
	defer close(release)
	s.bodies.Add(maxBodies)
	r := Request{Method: "PUT", Path: "/", Key: someKey, Body: []byte("x")}
	if err := Do(t.Context(), s.socket, r, httptest.NewRecorder()); !errors.Is(err, ErrBusy) {
		t.Errorf("with all memory occupied: %v", err)
	}
	s.bodies.Add(-maxBodies)
	for range maxRequests {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	r.Body = nil
	if err := Do(t.Context(), s.socket, r, httptest.NewRecorder()); !errors.Is(err, ErrBusy) {
		t.Errorf("with all places occupied: %v", err)
	}
}

// FuzzRead: no bytes of a front panic the server, or make it allocate more than a request may have.
func FuzzRead(f *testing.F) {
	f.Add([]byte(requestFrame(`{"method": "PUT", "path": "/", "size": 3, `+key+`}`) + "abc"))
	f.Add([]byte(frameOf('Q', 5, "{}")))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Server
		r, err := s.read(bytes.NewReader(text))
		if err == nil && (r.validate() != nil || len(r.Body) != r.Size) {
			t.Errorf("%+v", r)
		}
	})
}

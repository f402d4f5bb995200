package packettest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// checked is a balancer with farmc watch and farmc health, and two farms with the same three backends on port 8085.
// Farm web has its clients anywhere, and farm shop keeps them. The server of b1 can be killed: its host then refuses
// checks at once. The timeout is for backends that are healthy, on a busy machine.
type checked struct {
	*testbed
	t              *testing.T
	dir, run       string
	state, socket  string
	program        string
	watch, checker *watcher
	server         *netlab.Server // of b1
}

const checkedBackends = `
	health = { type = "tcp", interval = "200ms", timeout = "2s", rise = 2, fall = 2, panic = "50%" }
	backends.b1 = { address = "10.2.0.11", port = 8085 }
	backends.b2 = { address = "10.2.0.12", port = 8085 }
	backends.b3 = { address = "10.2.0.13", port = 8085 }
`

func newChecked(t *testing.T) *checked {
	t.Helper()
	b := &checked{testbed: newTestbed(t, netlab.Options{}), t: t, dir: t.TempDir(), run: t.TempDir(),
		state: t.TempDir(), program: farmc(t)}
	b.socket = filepath.Join(b.run, "api.sock")
	for _, h := range b.Backends[1:] {
		_, err := h.Serve(8085)
		must(t, err)
	}
	b.serveAgain()
	must(t, writeFile(filepath.Join(b.dir, "web.toml"), "listen = \"192.0.2.1:80/tcp,udp\"\n"+checkedBackends))
	must(t, writeFile(filepath.Join(b.dir, "shop.toml"),
		"listen = \"192.0.2.2:80\"\npersistence.timeout = \"1h\"\n"+checkedBackends))
	b.startWatch()
	b.startChecker()
	return b
}

// serveAgain starts the server of b1.
func (b *checked) serveAgain() {
	b.t.Helper()
	var err error
	b.server, err = b.Backends[0].Serve(8085)
	must(b.t, err)
}

func (b *checked) startWatch() {
	b.t.Helper()
	os.Remove(b.socket) // of a process that was killed
	b.watch = startFarmc(b.t, b.testbed, b.program, "watch", "--dir", b.dir, "--dir", b.run, "--state-dir", b.state,
		"--api", "unix:"+b.socket)
	must(b.t, eventually{stepFunc(func(*testbed) error {
		c, err := net.Dial("unix", b.socket)
		if err == nil {
			c.Close()
		}
		return err
	})}.do(b.testbed))
}

// startChecker starts farmc health, and waits until each backend had a check.
func (b *checked) startChecker() {
	b.t.Helper()
	b.checker = startFarmc(b.t, b.testbed, b.program, "health", "--socket", b.socket, "--name", "checker", "--key",
		"/dev/null")
	must(b.t, eventually{stepFunc(func(*testbed) error {
		for _, farm := range []string{"web", "shop"} {
			for _, backend := range []string{"b1", "b2", "b3"} {
				if err := hasWord(b.socket, farm, backend); err != nil {
					return err
				}
			}
		}
		return nil
	})}.do(b.testbed))
}

func (b *checked) end() {
	b.t.Helper()
	must(b.t, errors.Join(b.checker.stop(), b.watch.stop()))
}

// wordTime is the time at which the last word about b1 of farm web was loaded; zero if b1 is not out. The drop-in of a
// word is written after its load.
func (b *checked) wordTime() time.Time {
	info, err := os.Stat(filepath.Join(b.run, "web.toml.d/zz-farmc.health-b1.toml"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// awaitWord waits until b1 is out of both farms, or back in them.
func (b *checked) awaitWord(out bool) {
	b.t.Helper()
	must(b.t, eventually{stepFunc(func(*testbed) error {
		for _, farm := range []string{"web", "shop"} {
			_, err := os.Stat(filepath.Join(b.run, farm+".toml.d/zz-farmc.health-b1.toml"))
			if out != (err == nil) {
				return fmt.Errorf("farm %s: b1 is out: %t; farmc health says\n%s", farm, err == nil,
					b.checker.said.String())
			}
		}
		return nil
	})}.do(b.testbed))
}

// udpSocketTo is a socket of a client whose datagrams reach a backend.
func (b *checked) udpSocketTo(backend string) net.Conn {
	b.t.Helper()
	q := b.targets("", "udp", "192.0.2.1:80")[0]
	for range 200 {
		c, err := q.dial(b.newClient(q.from, q.to.Addr()))
		must(b.t, err)
		name, err := ask(c)
		must(b.t, err)
		if name == backend {
			return c
		}
		c.Close()
	}
	b.t.Fatalf("none of 200 clients of UDP has backend %s", backend)
	return nil
}

// servedAgain asks until another backend answers, and then gives the time; no time if none does for long. Datagrams
// that a server has not read when it is closed get neither an answer nor a refusal.
func (b *checked) servedAgain(socket net.Conn, but string) <-chan time.Time {
	out := make(chan time.Time, 1)
	go func() {
		defer close(out)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if name, err := askWithin(socket, time.Second); err == nil && name != but {
				out <- time.Now()
				return
			}
		}
		b.t.Error("a client of UDP is not served again")
	}()
	return out
}

// ask sends a datagram, and returns the name of the backend that answers.
func ask(c net.Conn) (string, error) { return askWithin(c, answerTimeout) }

func askWithin(c net.Conn, timeout time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte("who?")); err != nil {
		return "", err
	}
	answer, err := netlab.ReadAnswer(c)
	return answer.Backend, err
}

// An arrival is one connection of a client.
type arrival struct {
	began, ended time.Time
	loaded       bool // the word was loaded before the connection began
	err          error
}

// arrivals are 100 connections per second.
type arrivals struct {
	*checked
	end chan struct{}
	all sync.WaitGroup
	mu  sync.Mutex
	had []arrival
}

func startArrivals(b *checked, to string) *arrivals {
	a := &arrivals{checked: b, end: make(chan struct{})}
	q := b.targets("", "tcp", to)[0]
	a.all.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-a.end:
				tick.Stop()
				return
			case <-tick.C:
				as := b.newClient(q.from, q.to.Addr())
				a.all.Go(func() { a.connect(q, as) })
			}
		}
	})
	return a
}

func (a *arrivals) connect(q target, as netip.AddrPort) {
	one := arrival{loaded: !a.wordTime().IsZero(), began: time.Now()}
	_, one.err = q.request(as)
	one.ended = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.had = append(a.had, one)
}

// await waits until n of the ended connections are of a kind.
func (a *arrivals) await(n int, isOfKind func(arrival) bool) {
	a.t.Helper()
	must(a.t, eventually{stepFunc(func(*testbed) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		had := 0
		for _, one := range a.had {
			if isOfKind(one) {
				had++
			}
		}
		if had < n {
			return fmt.Errorf("only %d of %d connections", had, n)
		}
		return nil
	})}.do(a.testbed))
}

// stop ends the connections, and logs how many failed, and when.
func (a *arrivals) stop(by string, killed time.Time) {
	close(a.end)
	a.all.Wait()
	failed, last := 0, time.Duration(0)
	for _, one := range a.had {
		if one.err != nil {
			failed++
			last = max(last, one.began.Sub(killed))
		}
	}
	a.t.Logf("%s: %d of %d connections failed, the last one began %s after the failure of the backend", by, failed,
		len(a.had), last.Round(time.Millisecond))
}

// check returns an error if a connection failed before the failure of the backend, or began after its word was loaded.
func (a *arrivals) check(killed time.Time) error {
	for _, one := range a.had {
		if one.err != nil && (one.loaded || one.ended.Before(killed)) {
			return fmt.Errorf("a connection failed that began %s after the failure of the backend, the word was "+
				"loaded: %t: %w", one.began.Sub(killed), one.loaded, one.err)
		}
	}
	return nil
}

// haproxy has the backends of farm web, with the same checks. Its clients connect to another port.
const haproxyConfig = `
defaults
	mode tcp
	retries 0
	timeout connect 1s
	timeout client 1m
	timeout server 1m
	timeout check 2s
listen web
	bind 192.0.2.1:8090
	balance random
	default-server check inter 200ms rise 2 fall 2
	server b1 10.2.0.11:8085
	server b2 10.2.0.12:8085
	server b3 10.2.0.13:8085
`

// startHAProxy starts HAProxy beside farmc, for its figures; nil if it is not installed.
func (b *checked) startHAProxy() *arrivals {
	b.t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		b.t.Log("haproxy is not installed")
		return nil
	}
	config := filepath.Join(b.t.TempDir(), "haproxy.cfg")
	must(b.t, os.WriteFile(config, []byte(haproxyConfig), 0o600))
	startFarmc(b.t, b.testbed, "haproxy", "-db", "-f", config)
	q := b.targets("", "tcp", "192.0.2.1:8090")[0]
	must(b.t, eventually{stepFunc(func(*testbed) error {
		_, err := q.request(b.newClient(q.from, q.to.Addr()))
		return err
	})}.do(b.testbed))
	return startArrivals(b, "192.0.2.1:8090")
}

// hasWord returns an error if farmc watch has no word about a backend.
func hasWord(socket, farm, backend string) error {
	healthy, err := wordOf(socket, farm, backend)
	if err == nil && healthy == nil {
		err = fmt.Errorf("no word about backend %s of farm %s", backend, farm)
	}
	return err
}

// wordOf returns whether a backend is healthy by the first word about it; nil: there is no word.
func wordOf(socket, farm, backend string) (healthy *bool, err error) {
	c := unixClient(socket)
	defer c.CloseIdleConnections()
	answer, err := c.Get("http://farmc/v1/farms/" + farm + "/backends/" + backend + "/health")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var document struct{ Words []struct{ Healthy bool } }
	err = json.NewDecoder(answer.Body).Decode(&document)
	if err != nil || len(document.Words) == 0 {
		return nil, err
	}
	return &document.Words[0].Healthy, nil
}

// awaitWords waits until the words about all backends say the same.
func (b *checked) awaitWords(healthy bool) {
	b.t.Helper()
	must(b.t, eventually{stepFunc(func(*testbed) error {
		for _, backend := range []string{"b1", "b2", "b3"} {
			for _, farm := range []string{"web", "shop"} {
				if word, err := wordOf(b.socket, farm, backend); err != nil || word == nil || *word != healthy {
					return fmt.Errorf("the word about %s of %s is not yet %t: %w", backend, farm, healthy, err)
				}
			}
		}
		return nil
	})}.do(b.testbed))
}

// status is the output of farmc status.
func (b *checked) status() string {
	b.t.Helper()
	out, err := b.Balancer.Run(b.ctx, "", b.program, "status", "--dir", b.dir, "--dir", b.run, "--state-dir", b.state)
	must(b.t, err)
	return out
}

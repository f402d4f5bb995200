package packettest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestHealthWords: the word of a checker is in force with the reply, in spite of stale, faulty and empty drop-ins.
// The clients of the other backends stay. A healthy backend gets new clients.
func TestHealthWords(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, run := t.TempDir(), t.TempDir()
	socket := filepath.Join(run, "api.sock")
	web := "persistence.timeout = \"1h\"\n" + farmWithStates("up", "up", "up")
	must(t, writeFile(filepath.Join(dir, "web.toml"), web))
	must(t, writeFile(filepath.Join(dir, "mail.toml"), oneBackend("snat", `"192.0.2.2:25/tcp"`, "b1", 0)))
	w := startFarmc(t, s, farmc(t), "watch", "--dir", dir, "--dir", run, "--state-dir", t.TempDir(),
		"--api", "unix:"+socket)
	must(t, eventually{w.says("2 farms loaded")}.do(s))
	for name, text := range map[string]string{
		"web.toml.d/10-stale.toml":   "[backends.b9]\nstate = \"down\"\n",
		"web.toml.d/20-empty.toml":   "",
		"mail.toml.d/30-faulty.toml": "[backends.b1\nstate = ",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	say := func(word string) step {
		return stepFunc(func(*testbed) error {
			return put(socket, "/v1/farms/web/backends/b1/health", `{"by": "probe", "healthy": `+word+`}`)
		})
	}
	must(t, steps{
		sameBackends{"before", "tcp", "192.0.2.1:80"},
		say("false"),
		othersStay{"before", "b1", "192.0.2.1:80"},
		say("true"),
		newClient{"b1", "192.0.2.1:80"},
	}.do(s))
	must(t, w.stop())
}

// TestCutOfDrainingBackend: a drain leaves open connections, and cut ends those of the backend alone.
func TestCutOfDrainingBackend(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir := t.TempDir()
	socket := filepath.Join(t.TempDir(), "api.sock")
	must(t, writeFile(filepath.Join(dir, "web.toml"), oneBackend("snat", listen1, "b1", 8081)))
	must(t, writeFile(filepath.Join(dir, "mail.toml"), oneBackend("snat", `"192.0.2.2:80/tcp"`, "b1", 8081)))
	w := startFarmc(t, s, farmc(t), "watch", "--dir", dir, "--state-dir", t.TempDir(), "--api", "unix:"+socket)
	must(t, eventually{w.says("2 farms loaded")}.do(s))
	state := func(document string) step {
		return stepFunc(func(*testbed) error { return put(socket, "/v1/farms/web/backends/b1/state", document) })
	}
	must(t, steps{hold{by: "tcp", to: "192.0.2.1:80 192.0.2.2:80"}, state(`{"state": "drain"}`), echo{}}.do(s))
	must(t, state(`{"state": "drain", "cut": true}`).do(s))
	if err := (echo{}).do(s); err == nil || !strings.Contains(err.Error(), "20 of 40 connections broke") {
		t.Errorf("after the cut of 20 connections: %v", err)
	}
	must(t, w.stop())
}

// put sends a request to the API on a unix socket, and wants the status 200.
func put(socket, path, body string) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest("PUT", "http://farmc"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s %s", path, answer.Status, text)
	}
	return err
}

// othersStay sends requests from the clients of a step sameBackends. The clients of the backend that left have other
// backends, and the other clients have the same ones.
type othersStay struct{ name, left, to string }

func (o othersStay) do(s *testbed) error {
	q := s.targets("", "tcp", o.to)[0]
	s.meetings++
	movers := 0
	for client, before := range s.backendOf[o.name] {
		answer, err := q.request(netip.AddrPortFrom(client, uint16(20000+s.meetings)))
		if err != nil {
			return q.wrap(err)
		}
		now := fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port())
		switch leaves := strings.HasPrefix(before, o.left+":"); {
		case leaves:
			movers++
			if now == before {
				return q.wrap(fmt.Errorf("client %s still has backend %s", client, now))
			}
		case now != before:
			return q.wrap(fmt.Errorf("client %s has backend %s instead of %s", client, now, before))
		}
	}
	if movers == 0 {
		return q.wrap(fmt.Errorf("no client had backend %s", o.left))
	}
	return nil
}

// newClient: one of the clients that sent nothing before reaches the backend.
type newClient struct{ backend, to string }

func (n newClient) do(s *testbed) error {
	q := s.targets("", "tcp", n.to)[0]
	s.meetings++
	for _, client := range s.clients(q.to.Addr())[100:140] {
		answer, err := q.request(netip.AddrPortFrom(client, uint16(20000+s.meetings)))
		if err != nil || answer.Backend == n.backend {
			return q.wrap(err)
		}
	}
	return q.wrap(fmt.Errorf("none of 40 clients has backend %s", n.backend))
}

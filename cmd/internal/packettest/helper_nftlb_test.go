package packettest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/nftlb"
)

// nftlbFarms loads the farms of a configuration of nftlb.
type nftlbFarms string

func (text nftlbFarms) do(s *testbed) error {
	r := nftlb.Import(convert.Input{Name: "nftlb.json", Text: []byte(text)})
	all := farms{}
	for _, f := range r.Finish() {
		all[strings.TrimSuffix(f.Name, ".toml")] = string(f.Text)
		if strings.HasSuffix(f.Name, ".incomplete") {
			return fmt.Errorf("%s: %v", f.Name, r.Losses)
		}
	}
	return all.do(s)
}

// nftlbBackends are b1 with weight 3 and b2, with further attributes.
func nftlbBackends(b1, b2 string) string {
	return fmt.Sprintf(`"backends": [{"name": "b1", "ip-addr": "10.2.0.11", "weight": "3", %s "state": "up"},
		{"name": "b2", "ip-addr": "10.2.0.12", %s "state": "up"}]`, b1, b2)
}

// An nftlbClient is a client of the API of nftlb on the balancer.
type nftlbClient struct {
	*http.Client
	dir string
}

// startNFTLB runs farmc watch without farms. Those of the names may take the ports of the testbed's servers.
func startNFTLB(t *testing.T, s *testbed, words string, names ...string) (*nftlbClient, *watcher) {
	t.Helper()
	dir, socket := t.TempDir(), filepath.Join(t.TempDir(), "api.sock")
	for _, name := range names {
		must(t, os.Mkdir(filepath.Join(dir, name+".toml.d"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name+".toml.d", "take-over.toml"), []byte("take-over = true\n"), 0o644))
	}
	w := startFarmc(t, s, farmc(t), "watch", "--isolate", "--dir", dir, "--state-dir", t.TempDir(), "--api",
		"unix:"+socket, "--api-nftlb="+words)
	c := &nftlbClient{unixClient(socket), dir}
	must(t, eventually{stepFunc(func(*testbed) error {
		status, answer, err := c.ask("GET", "farms", "")
		if err == nil && status != http.StatusOK {
			err = errors.New(answer)
		}
		return err
	})}.do(s))
	return c, w
}

// ask sends a request, and returns the status and the reply.
func (c *nftlbClient) ask(method, path, body string) (int, string, error) {
	r, err := http.NewRequest(method, "http://farmc/"+strings.Trim(path, "/"), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d does
	a, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, string(text), err
}

// An nftlbStep is a request, and the status and the reply that it gets.
type nftlbStep struct {
	method, path, body string
	status             int
	reply              string
}

// tell sends requests one after the other.
func (c *nftlbClient) tell(t *testing.T, all ...nftlbStep) {
	t.Helper()
	for _, s := range all {
		status, reply, err := c.ask(s.method, s.path, s.body)
		must(t, err)
		if s.status == 0 {
			s.status, s.reply = http.StatusOK, `{"response": "success"`
		}
		if status != s.status || !strings.HasPrefix(reply, s.reply) {
			t.Errorf("%s %s %s: %d %s, want %d %s", s.method, s.path, s.body, status, reply, s.status, s.reply)
		}
	}
}

// list returns the listing of a path.
func (c *nftlbClient) list(t *testing.T, path string) string {
	t.Helper()
	status, listing, err := c.ask("GET", path, "")
	must(t, err)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, status, listing)
	}
	return listing
}

// returned posts listings back, and reports a change of a file or of a listing.
func (c *nftlbClient) returned(t *testing.T, step string) {
	t.Helper()
	for _, what := range []string{"policies", "addresses", "farms"} {
		before, files := c.list(t, what), c.files(t)
		c.tell(t, nftlbStep{"POST", what, before, http.StatusOK, `{"response": "success`})
		if c.list(t, what) != before || c.files(t) != files {
			t.Errorf("%s: GET, then POST of %s has changed something\n%s\n%s", step, what, before, c.list(t, what))
		}
	}
}

// files returns the names, texts and times of all files.
func (c *nftlbClient) files(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	entries, err := os.ReadDir(c.dir)
	must(t, err)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		must(t, err)
		text, err := os.ReadFile(filepath.Join(c.dir, e.Name()))
		must(t, err)
		fmt.Fprintf(&out, "%s %v\n%s", e.Name(), info.ModTime(), text)
	}
	return out.String()
}

// has reports a file that is missing, or lacks a line.
func (c *nftlbClient) has(t *testing.T, file, line string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil || !strings.Contains(string(text), "\n"+line+"\n") {
		t.Errorf("%s has no line %s: %v\n%s", file, line, err, text)
	}
}

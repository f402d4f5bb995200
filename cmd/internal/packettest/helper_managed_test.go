package packettest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/statedir"
)

// A managed is farmc watch with the API, on a balancer with traffic.
type managed struct {
	*traffic
	root   string
	farmc  string
	watch  *watcher
	models []map[string]any // of the clients: their farms as they must be; nil: deleted

	changed, updated, outdated, busy atomic.Int64
}

// newManaged starts farmc watch with the farms of traffic, and one that counts updates.
func newManaged(t *testing.T, plan trafficPlan) *managed {
	t.Helper()
	m := prepareManaged(t, newTraffic(t, plan))
	must(t, errors.Join(os.MkdirAll(m.at("run.d/web.toml.d"), 0o755), os.MkdirAll(m.at("run.d/c0.toml.d"), 0o755)))
	m.writeFarms(changingFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}})
	m.write("farms.d/shared.toml", "listen = '192.0.2.1:3000'\n[backends]\nb1.address = '10.9.0.0' # counts updates\n")
	m.startWatch()
	return m
}

// prepareManaged makes the directories, and the route to the clients' backends.
func prepareManaged(t *testing.T, c *traffic) *managed {
	t.Helper()
	m := &managed{traffic: c, farmc: farmc(t)}
	var err error
	m.root, err = os.MkdirTemp("/var/lib", "farmc-test-") // only root can write on the way to it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(m.root) })
	for _, dir := range []string{"farms.d", "run.d", "state"} {
		must(t, os.Mkdir(m.at(dir), 0o755))
	}
	_, err = m.Balancer.Run(m.ctx, "", "ip", "route", "add", "10.8.0.0/13", "via", "10.2.0.11")
	must(t, err)
	return m
}

// startWatch starts farmc watch, and waits until the API answers.
func (m *managed) startWatch() {
	m.t.Helper()
	m.watch = startFarmc(m.t, m.testbed, m.farmc,
		append([]string{"watch", "--isolate", "--api", "unix:" + m.at("api")}, m.dirs()...)...)
	c := &apiClient{managed: m, Client: unixClient(m.at("api"))}
	must(m.t, eventually{stepFunc(func(*testbed) error {
		a, err := c.Get("http://farmc/v1/farms")
		if err == nil && a.StatusCode != http.StatusOK {
			err = errors.New(a.Status)
		}
		return err
	})}.do(m.testbed))
}

func (m *managed) at(path string) string { return filepath.Join(m.root, path) }

func (m *managed) dirs() []string {
	return []string{"--dir", m.at("farms.d"), "--dir", m.at("run.d"), "--state-dir", m.at("state")}
}

// write replaces a file, as an editor does.
func (m *managed) write(path, text string) {
	m.t.Helper()
	must(m.t, errors.Join(writeFile(m.at(path+".new"), text), os.Rename(m.at(path+".new"), m.at(path))))
}

func (m *managed) writeFarms(f changingFarms) {
	f.others = 0
	for name, text := range f.farms() {
		m.write("farms.d/"+name+".toml", text)
	}
}

// play runs the clients and the edits for a time.
func (m *managed) play(clients int, long time.Duration) {
	ctx, end := context.WithTimeout(m.ctx, long)
	defer end()
	var all sync.WaitGroup
	m.models = make([]map[string]any, clients)
	for i := range clients {
		c := &apiClient{managed: m, name: fmt.Sprint("c", i), n: i, random: rand.New(rand.NewPCG(7, uint64(i)))}
		c.Client = unixClient(m.at("api"))
		all.Go(func() {
			for ctx.Err() == nil {
				c.act()
			}
			m.models[i] = c.model
		})
	}
	all.Go(func() { m.edit(ctx) })
	all.Go(func() { m.flap(ctx) })
	all.Wait()
}

// edit changes files of farms by hand.
func (m *managed) edit(ctx context.Context) {
	random := rand.New(rand.NewPCG(8, 8))
	state := changingFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}}
	for n := 0; ctx.Err() == nil; n++ {
		state.change(random)
		state.web[1] = max(state.web[1], 1) // one backend stays, as the drop-in of flap drains another one
		m.writeFarms(state)
		const hand = "listen = '192.0.2.1:3001'\nbackends.b1.address = '10.8.0.%d'\n"
		m.write("farms.d/hand.toml", fmt.Sprintf(hand, n%250))
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
	}
}

// flap writes and removes drop-ins, as a health checker does that knows old backends, and one that writes nonsense.
func (m *managed) flap(ctx context.Context) {
	random := rand.New(rand.NewPCG(9, 9))
	for n := 0; ctx.Err() == nil; n++ {
		state := "backends.b1.state = \"drain\"\n"
		if n%5 == 4 {
			state = "backends.b1.state = \"ill\"\n"
		}
		m.write("run.d/web.toml.d/health.toml", state)
		m.write("run.d/c0.toml.d/health.toml", "backends.old.state = \"down\"\n")
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		must(m.t, errors.Join(os.Remove(m.at("run.d/web.toml.d/health.toml"))))
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
	os.Remove(m.at("run.d/c0.toml.d/health.toml"))
}

// agree checks that kernel, files, listing and the clients have the same farms.
func (m *managed) agree() {
	m.t.Helper()
	difference := "unknown"
	for began := time.Now(); difference != "" && time.Since(began) < 20*time.Second; {
		difference = m.difference()
	}
	if difference != "" {
		m.t.Errorf("kernel and files differ: %s; farmc watch said\n%s", difference, m.watch.said.String())
	}
	for i, model := range m.models {
		m.compare(fmt.Sprint("c", i), model)
	}
	m.compareListing()
	if left, _ := filepath.Glob(m.at("*/.farmc-*")); len(left) > 0 {
		m.t.Errorf("%v are left", left)
	}
	if _, err := os.Stat(m.at("state/writes.json")); err == nil {
		m.t.Error("the journal is left")
	}
	m.compareCounter()
	must(m.t, m.watch.stop())
}

// difference returns what the kernel has other than the files; "": nothing.
func (m *managed) difference() string {
	m.t.Helper()
	var out strings.Builder
	for _, verb := range []string{"diff", "check"} {
		text, err := m.Balancer.Run(m.ctx, "", m.farmc, append([]string{verb, "--quiet"}, m.dirs()...)...)
		if text != "" || err != nil {
			fmt.Fprintf(&out, "farmc %s: %v %s", verb, err, text)
		}
	}
	must(m.t, m.Balancer.Do(func() error {
		kernel, err := m.engine.Nft.Loaded(m.ctx)
		last, lastErr := statedir.NewStore(m.at("state")).Loaded()
		if kernel != last.Digest {
			fmt.Fprintf(&out, "the kernel has %.12s, the state directory %.12s", kernel, last.Digest)
		}
		return errors.Join(err, lastErr)
	}))
	return out.String()
}

// compare compares the file of a client's farm with the farm as it must be.
func (m *managed) compare(name string, model map[string]any) {
	m.t.Helper()
	text, err := os.ReadFile(m.at("farms.d/" + name + ".toml"))
	if model == nil {
		if err == nil {
			m.t.Errorf("farm %s was deleted, and its file is\n%s", name, text)
		}
		return
	}
	document, _ := edit.Read(text)
	if got := normal(document); !reflect.DeepEqual(got, normal(model)) {
		m.t.Errorf("farm %s is in its file\n%v\nwant\n%v", name, got, model)
	}
}

// compareListing compares the farms of the API with those of the files.
func (m *managed) compareListing() {
	m.t.Helper()
	c := &apiClient{managed: m, Client: unixClient(m.at("api"))}
	var listing struct {
		Farms []struct {
			Name   string
			Farm   map[string]any
			Loaded bool
			Faults []any
		}
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) { // until watch has looked at the last drop-in
		c.ask("GET", "/v1/farms", nil, "", &listing)
		files, _ := filepath.Glob(m.at("farms.d/*.toml"))
		wrong := fmt.Sprintf("%d farms, want %d", len(listing.Farms), len(files))
		if len(files) == len(listing.Farms) {
			wrong = ""
		}
		for _, f := range listing.Farms {
			text, _ := os.ReadFile(m.at("farms.d/" + f.Name + ".toml"))
			document, _ := edit.Read(text)
			if !f.Loaded || len(f.Faults) > 0 || !reflect.DeepEqual(normal(f.Farm), normal(document)) {
				wrong += fmt.Sprintf(" %+v", f)
			}
		}
		if wrong == "" {
			return
		}
		if time.Since(began) > 20*time.Second {
			m.t.Errorf("the listing differs from the files: %s", wrong)
			return
		}
	}
}

// compareCounter compares the number of updates with If-Match with the counter that they increased.
func (m *managed) compareCounter() {
	m.t.Helper()
	text, err := os.ReadFile(m.at("farms.d/shared.toml"))
	must(m.t, err)
	n := m.updated.Load()
	if want := fmt.Sprintf("b1.address = \"10.9.%d.%d\" # counts updates", n/256, n%256); !strings.Contains(
		strings.ReplaceAll(string(text), "'", `"`), want) {
		m.t.Errorf("after %d updates the file is\n%s", n, text)
	}
}

// normal returns a document as JSON decodes it.
func normal(document map[string]any) (out map[string]any) {
	text, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

// An apiClient is a client of the API, with a farm of its own.
type apiClient struct {
	*managed
	*http.Client
	name   string
	n      int
	random *rand.Rand
	model  map[string]any // nil: the farm does not exist
}

func unixClient(socket string) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
}

// ask sends a request, and returns the status and the ETag. It decodes the answer into a document that is not nil.
func (c *apiClient) ask(method, path string, body any, match string, into any) (status int, tag string) {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	r, err := http.NewRequestWithContext(c.ctx, method, "http://farmc"+path, bytes.NewReader(text))
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	a, err := c.Do(r)
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
		return 0, ""
	}
	defer a.Body.Close()
	answer, _ := io.ReadAll(a.Body)
	if a.StatusCode == 503 {
		c.busy.Add(1)
		time.Sleep(50 * time.Millisecond)
	} else if a.StatusCode >= 400 && a.StatusCode != 412 && a.StatusCode != 404 {
		c.t.Errorf("%s %s %s: %d %s", method, path, text, a.StatusCode, answer)
	}
	if into != nil && a.StatusCode == 200 {
		if err := json.Unmarshal(answer, into); err != nil {
			c.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return a.StatusCode, a.Header.Get("ETag")
}

// act makes one request that changes something. Sometimes it checks that the next answer has the change.
func (c *apiClient) act() {
	action := c.random.IntN(6)
	if c.model == nil && c.random.IntN(4) > 0 {
		action = min(action, 1)
	}
	switch action {
	case 0:
		c.count()
	case 1:
		model := c.newFarm()
		c.do("PUT", "", model, model, map[bool]int{true: 201, false: 200}[c.model == nil])
	case 2:
		c.do("DELETE", "", nil, nil, 200)
	case 3:
		weight := 1 + c.random.IntN(100)
		c.do("PATCH", "/backends/b1", map[string]any{"weight": weight}, c.with("b1", "weight", weight), 200)
	case 4:
		address := fmt.Sprintf("10.11.%d.%d", c.n, c.random.IntN(250))
		backend := map[string]any{"address": address}
		_, exists := c.backends()["b2"]
		c.do("PUT", "/backends/b2", backend, c.with("b2", "", backend), map[bool]int{true: 200, false: 201}[exists])
	case 5:
		if _, exists := c.backends()["b2"]; exists || c.model == nil {
			c.do("DELETE", "/backends/b2", nil, c.with("b2", "", nil), 200)
		}
	}
}

// count increases the shared counter. An update by another client in between refuses this one.
func (c *apiClient) count() {
	const path = "/v1/farms/shared/backends/b1"
	var now struct{ Backend struct{ Address string } }
	status, tag := c.ask("GET", path, nil, "", &now)
	var high, low int
	if _, err := fmt.Sscanf(now.Backend.Address, "10.9.%d.%d", &high, &low); status != 200 || err != nil {
		return
	}
	next := high*256 + low + 1
	patch := map[string]any{"address": fmt.Sprintf("10.9.%d.%d", next/256, next%256)}
	switch status, _ := c.ask("PATCH", path, patch, tag, nil); status {
	case 200:
		c.updated.Add(1)
	case 412:
		c.outdated.Add(1)
	}
}

// do sends a request about the client's farm. With the wanted status the farm must be the model after it.
func (c *apiClient) do(method, path string, body any, model map[string]any, want int) {
	if c.model == nil && (method != "PUT" || path != "") {
		want = 404
	}
	status, tag := c.ask(method, "/v1/farms/"+c.name+path, body, "", nil)
	switch {
	case status == 503:
		return
	case status != want:
		c.t.Errorf("%s %s%s: %d, want %d", method, c.name, path, status, want)
		return
	case want == 404:
		return
	}
	c.model = model
	c.changed.Add(1)
	if c.random.IntN(3) == 0 {
		c.look(path, tag)
	}
}

// look checks that the API shows the client's farm as it must be, with the ETag of the last reply.
func (c *apiClient) look(path, tag string) {
	var now struct {
		Farm   map[string]any
		Loaded bool
	}
	status, current := c.ask("GET", "/v1/farms/"+c.name, nil, "", &now)
	switch {
	case c.model == nil && status != 404:
		c.t.Errorf("farm %s was deleted, and GET gives %d", c.name, status)
	case c.model != nil && (status != 200 || !now.Loaded || !reflect.DeepEqual(normal(now.Farm), normal(c.model))):
		c.t.Errorf("farm %s is %d %+v, want %v", c.name, status, now, c.model)
	case c.model != nil && path == "" && tag != current:
		c.t.Errorf("farm %s has the ETag %s, and its reply had %s", c.name, current, tag)
	}
}

func (c *apiClient) newFarm() map[string]any {
	return map[string]any{
		"listen": fmt.Sprintf("192.0.2.1:%d", 2000+c.n),
		"backends": map[string]any{"b1": map[string]any{"address": fmt.Sprintf("10.10.%d.%d", c.n, c.random.IntN(250)),
			"weight": 1 + c.random.IntN(100)}},
	}
}

func (c *apiClient) backends() map[string]any {
	backends, _ := c.model["backends"].(map[string]any)
	return backends
}

// with returns the model with another backend, or another key of it. A nil value removes it.
func (c *apiClient) with(backend, key string, value any) map[string]any {
	if c.model == nil {
		return nil
	}
	out := normal(c.model)
	backends := out["backends"].(map[string]any)
	switch {
	case key != "":
		backends[backend].(map[string]any)[key] = value
	case value == nil || reflect.ValueOf(value).IsZero():
		delete(backends, backend)
	default:
		backends[backend] = value
	}
	return out
}

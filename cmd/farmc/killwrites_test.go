package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/statedir"
)

// After a kill of watch during writes of the API, the next watch makes kernel, files and state directory agree. A write
// that was answered is in all of them; the one in progress is in all or in none. STRESS=1 kills it 300 times (make
// stress).
func TestKilledWrites(t *testing.T) {
	skipShort(t)
	t.Parallel()
	needMachine(t)
	defer sweep()
	k := newKilledWrites(t)
	kills, busy := rounds(20, 300), 0
	for n := range kills {
		when := moment{clock: time.Duration(k.random.IntN(1000)) * time.Millisecond}
		if n%2 == 1 {
			when = moment{event: 1 + k.random.IntN(120)}
		}
		k.run(when)
		if k.pending != nil {
			busy++
		}
		k.check(when)
	}
	t.Logf("killed %d times, %d times during a write, after %d answered writes", kills, busy, k.answered)
	if busy < kills/5 || k.answered < kills/2 {
		t.Error("too little happened")
	}
}

// killedWrites are writes to a watch that is killed again and again.
type killedWrites struct {
	*killings
	random   *rand.Rand
	client   *http.Client
	watch    *exec.Cmd
	farms    map[string]map[string]any // as they must be, by name
	pending  *write                    // the request without an answer; nil: none
	answered int
	serial   int
}

// A write is a request that makes a farm this document; nil deletes the farm.
type write struct {
	farm     string
	document map[string]any
}

func newKilledWrites(t *testing.T) *killedWrites {
	k := &killedWrites{killings: &killings{T: t, dir: t.TempDir()}, random: rand.New(rand.NewPCG(5, 6)),
		farms: map[string]map[string]any{}}
	k.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(k.dir, "api"))
		}}}
	for _, dir := range []string{k.in(""), k.state()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	k.farms["first"] = map[string]any{"listen": "192.0.2.250:80",
		"backends": map[string]any{"b1": map[string]any{"address": "10.0.0.250"}}}
	const first = "listen = '192.0.2.250:80'\nbackends.b1.address = '10.0.0.250'\n" // else an early kill leaves no farm
	if err := os.WriteFile(k.in("first.toml"), []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	k.begin()
	k.write() // before any farm watch loads nothing, and a kill before the first answer leaves it so
	return k
}

func (k *killedWrites) in(name string) string { return filepath.Join(k.dir, "farms.d", name) }

func (k *killedWrites) dirs() []string { return []string{"--dir", k.in(""), "--state-dir", k.state()} }

// begin starts watch, and waits until the API answers after its first look.
func (k *killedWrites) begin() {
	k.Helper()
	args := []string{"watch", "--isolate", "--insecure-permissions", "--api", "unix:" + filepath.Join(k.dir, "api")}
	k.watch = exec.Command("farmc", append(args, k.dirs()...)...)
	if err := k.watch.Start(); err != nil {
		k.Fatal(err)
	}
	for began := time.Now(); k.ask("GET", "/v1/farms", nil) != 200; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			k.Fatal("the API does not answer")
		}
	}
}

// run writes until the moment of the kill.
func (k *killedWrites) run(when moment) {
	k.Helper()
	dead := make(chan struct{})
	kill := func() { _ = k.watch.Process.Kill() }
	seen := k.listen(when.event, kill)
	if when.event == 0 {
		defer time.AfterFunc(when.clock, kill).Stop()
	}
	go func() {
		defer close(dead)
		_ = k.watch.Wait()
	}()
	for k.pending = nil; k.pending == nil; {
		select {
		case <-dead:
			seen()
			return
		default:
			k.write()
		}
	}
	<-dead
	seen()
}

// write makes a random change. Without an answer it stays pending.
func (k *killedWrites) write() {
	k.Helper()
	k.serial++
	w := &write{farm: fmt.Sprint("farm", k.random.IntN(4))}
	method, want := "PUT", 201
	switch exists := k.farms[w.farm] != nil; {
	case exists && k.random.IntN(4) == 0:
		method, want = "DELETE", 200
	case exists:
		want = 200
		fallthrough
	default:
		w.document = map[string]any{"listen": fmt.Sprintf("192.0.2.1%s:80", w.farm[4:]), "backends": map[string]any{
			"b1": map[string]any{"address": fmt.Sprintf("10.0.%d.%d", k.serial/250, k.serial%250)}}}
	}
	switch status := k.ask(method, "/v1/farms/"+w.farm, w.document); status {
	case 0:
		k.pending = w
	case want:
		k.farms[w.farm] = w.document
		k.answered++
	default:
		k.Fatalf("%s %s: %d, want %d", method, w.farm, status, want)
	}
}

// ask returns the status of an answer; 0 without one.
func (k *killedWrites) ask(method, path string, document map[string]any) int {
	var body bytes.Buffer
	if document != nil {
		_ = json.NewEncoder(&body).Encode(document)
	}
	r, err := http.NewRequestWithContext(k.Context(), method, "http://farmc"+path, &body)
	if err != nil {
		k.Fatal(err)
	}
	a, err := k.client.Do(r)
	if err != nil {
		return 0
	}
	a.Body.Close()
	return a.StatusCode
}

// check starts the next watch, and compares kernel, files and state directory.
func (k *killedWrites) check(when moment) {
	k.Helper()
	k.begin()
	if words := k.killings.run("farmc", append([]string{"diff"}, k.dirs()...)...); len(words) > 0 {
		k.Errorf("%v: diff says\n%s", when, words)
	}
	kernel, err := (nft.Nft{}).Loaded(k.Context())
	last, lastErr := statedir.NewStore(k.state()).Loaded()
	if err != nil || lastErr != nil || kernel != last.Digest {
		k.Errorf("%v: the kernel has %.12s, the state directory %.12s (%v, %v)",
			when, kernel, last.Digest, err, lastErr)
	}
	for n := range 4 {
		k.checkFarm(when, fmt.Sprint("farm", n))
	}
	left, _ := filepath.Glob(k.in(".farmc-*"))
	journal, _ := filepath.Glob(filepath.Join(k.state(), "writes.json*"))
	if len(left)+len(journal) > 0 {
		k.Errorf("%v: %v %v are left", when, left, journal)
	}
}

// checkFarm compares a file with the farm as it must be. The pending write may be in the file.
func (k *killedWrites) checkFarm(when moment, name string) {
	k.Helper()
	var got map[string]any
	if text, err := os.ReadFile(k.in(name + ".toml")); err == nil {
		document, _ := edit.Read(text)
		got = document
	}
	switch {
	case sameFarm(got, k.farms[name]):
	case k.pending != nil && k.pending.farm == name && sameFarm(got, k.pending.document):
		k.farms[name] = k.pending.document
	default:
		k.Errorf("%v: %s has %v, want %v, or the pending %+v", when, name, got, k.farms[name], k.pending)
	}
}

func sameFarm(a, b map[string]any) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A managedWatch is a running farmc watch with the API, and plain farms.
type managedWatch struct {
	*bench
	*watchProcess
	client *http.Client
	key    string // of hostile clients
	farms  int
	dirs   []string // the options with directories
	random *rand.Rand
}

// The samples of a watch are the durations of one task, and the processor time of the watch meanwhile, without nft.
type samples struct {
	took      []time.Duration
	processor time.Duration
}

// managedTasks are the changes and questions that are measured.
var managedTasks = []struct {
	name   string
	share  int                                // of -changes: one of so many
	others func(w *managedWatch) (end func()) // clients that ask meanwhile; nil: none
	do     func(w *managedWatch, n int) (time.Duration, error)
}{
	{"farmc drain and up, start to commit", 4, nil, (*managedWatch).drain},
	{"PATCH of a weight", 1, nil, (*managedWatch).patch},
	{"the same beside 4 writers", 1, (*managedWatch).write, (*managedWatch).patch},
	{"the same beside hostile clients", 1, (*managedWatch).attack, (*managedWatch).patch},
	{"GET /metrics", 20, nil, func(w *managedWatch, _ int) (time.Duration, error) { return w.get("/metrics") }},
	{"GET /v1/status", 20, nil, func(w *managedWatch, _ int) (time.Duration, error) { return w.get("/v1/status") }},
	{"farmc status", 20, nil, (*managedWatch).status},
}

// manage measures changes of farms by a running farmc watch, in turn with the same changes by an older farmc.
func manage(o options, farmc string) error {
	programs := []string{farmc}
	if o.old != "" {
		programs = append(programs, o.old)
	}
	if err := printMachine("processor: time of farmc watch for one task, and for its later work."); err != nil {
		return err
	}
	for _, n := range o.manage {
		if err := manageFarms(o, programs, n); err != nil {
			return fmt.Errorf("%d farms: %w", n, err)
		}
	}
	return nil
}

func manageFarms(o options, programs []string, farms int) error {
	var watches []*managedWatch
	for _, program := range programs {
		w, err := newManagedWatch(program, farms)
		if err != nil {
			return err
		}
		defer w.close()
		watches = append(watches, w)
	}
	columns := strings.Repeat(fmt.Sprintf("%7s%7s%7s%10s", "median", "p99", "most", "processor"), len(programs))
	fmt.Printf("\n%-36s%7s%s\n", fmt.Sprintf("%d farms, in ms", farms), "number", columns)
	for _, t := range managedTasks {
		if !slices.ContainsFunc(strings.Split(o.only, ","), func(part string) bool {
			return strings.Contains(t.name, part)
		}) {
			continue
		}
		number := max(o.changes/t.share, 5)
		all, err := measureManaged(watches, number, t.others, t.do)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		printSamples(t.name, number, all)
	}
	return nil
}

// turn is the number of times that a task is done on one watch, before the other one gets its turn.
const turn = 10

// measureManaged does a task on each watch in turn, beside other clients.
func measureManaged(watches []*managedWatch, number int, others func(*managedWatch) (end func()),
	do func(*managedWatch, int) (time.Duration, error)) ([]samples, error) {
	all := make([]samples, len(watches))
	for first := 0; first < number; first += turn {
		for i, w := range watches {
			end := func() {}
			if others != nil {
				end = others(w)
			}
			err := all[i].add(w, first, min(first+turn, number), do)
			end()
			if err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// add does a task several times on a watch.
func (s *samples) add(w *managedWatch, first, end int, do func(*managedWatch, int) (time.Duration, error)) error {
	before := processorTime(w.cmd.Process.Pid)
	for n := first; n < end; n++ {
		took, err := do(w, n)
		if err != nil {
			return err
		}
		s.took = append(s.took, took)
	}
	s.processor += processorTime(w.cmd.Process.Pid) - before
	return nil
}

// printSamples prints a line of the table.
func printSamples(name string, number int, all []samples) {
	fmt.Printf("  %-34s%7d", name, number)
	for _, of := range all {
		took := slices.Sorted(slices.Values(of.took))
		for _, at := range []int{len(took) / 2, len(took) * 99 / 100, len(took) - 1} {
			fmt.Printf("%7.0f", took[at].Seconds()*1000)
		}
		fmt.Printf("%10.0f", of.processor.Seconds()*1000/float64(number))
	}
	fmt.Println()
}

func unixClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
}

// newManagedWatch starts a farmc watch, and returns once its API has the farms.
func newManagedWatch(farmc string, farms int) (*managedWatch, error) {
	b, err := newBench(farmc, 1)
	if err != nil {
		return nil, err
	}
	w := &managedWatch{bench: b, farms: farms, random: rand.New(rand.NewPCG(1, 2)), client: unixClient(b.path("api")),
		dirs: []string{"--dir", b.path("farms.d"), "--dir", b.path("run.d"), "--state-dir", b.path("state"),
			"--nft", b.nft}}
	backends, router := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("10.2.0.11")
	if err = b.lab.Balancer.AddRoute(backends, router); err == nil { // else each backend is a finding
		err = plain.write(b.path("farms.d"), farms)
	}
	if err == nil {
		err = os.Mkdir(b.path("run.d"), 0o755)
	}
	if err == nil {
		err = w.makeKey()
	}
	if err == nil {
		w.watchProcess, err = b.startWatch(append(w.dirs, "--api", "unix:"+b.path("api"), "--api",
			hostileTarget.String(), "--api-keys", b.path("keys"))...)
	}
	if err == nil {
		_, err = w.get("/v1/farms?select=name")
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *managedWatch) close() {
	if w.watchProcess != nil {
		w.stop()
	}
	w.bench.close()
}

// drain measures the time from the start of a command to the transaction in the kernel. The command changes a state:
// drain and up take turns.
func (w *managedWatch) drain(n int) (took time.Duration, err error) {
	time.Sleep(pauseAfterCommand / 3)
	words := []string{[]string{"drain", "up"}[n%2], fmt.Sprintf("farm-%05d", n/2*7919%w.farms), "b1"}
	ended := make(chan error, 1)
	began := time.Now()
	_, err = w.timeToCommit(func() error {
		began = time.Now()
		go func() {
			_, err := w.measure(w.farmc, append(words, w.dirs...)...)
			ended <- err
		}()
		return nil
	})
	took = time.Since(began)
	if failed := <-ended; failed != nil {
		err = failed
	}
	return took, err
}

// patch changes the weight of a backend. The reply comes when the kernel and the files have the change.
func (w *managedWatch) patch(n int) (time.Duration, error) {
	return w.patchOf(w.random.IntN(w.farms), n)
}

func (w *managedWatch) patchOf(farm, n int) (time.Duration, error) {
	path := fmt.Sprintf("/v1/farms/farm-%05d/backends/b%d", farm, 1+n%backendsPerFarm)
	body := fmt.Sprintf(`{"weight": %d}`, 2+(n/backendsPerFarm)%50)
	return w.ask(http.MethodPatch, path, body)
}

func (w *managedWatch) get(path string) (time.Duration, error) {
	return w.ask(http.MethodGet, path, "")
}

// ask sends a request, and measures the time until the whole answer is read.
func (w *managedWatch) ask(method, path, body string) (time.Duration, error) {
	r, err := http.NewRequest(method, "http://farmc"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	answer, err := w.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	took := time.Since(began)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.500s", method, path, answer.Status, text)
	}
	return took, err
}

// status measures a command in a new process.
func (w *managedWatch) status(int) (time.Duration, error) {
	c, err := w.measure(w.farmc, append([]string{"status"}, w.dirs...)...)
	return c.Time, err
}

// write has four clients change farms until end is called. Their farms are not those of patch: with ten farms they wait
// for the same ones now and then, as other programs do.
func (w *managedWatch) write() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				_, _ = w.patchOf((i*37+n*101)%w.farms, n) // an error shows in the measured requests, too
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

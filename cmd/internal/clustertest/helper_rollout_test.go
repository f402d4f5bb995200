package clustertest

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// farmsOfEtcd is the prefix of the farms of all balancers.
const farmsOfEtcd = "/farmc/farms/"

// A rollout changes the farms of all balancers by etcd. Each of its transactions changes five farms, and nothing of the
// farms that have traffic.
type rollout struct {
	*store
	dir     string // the files that are pushed
	changes int
	random  *rand.Rand
	loads   *loads
}

// newRollout makes a site with etcd. No balancer has power.
func newRollout(s *site) *rollout {
	s.t.Helper()
	r := &rollout{store: newStore(s), dir: filepath.Join(s.dir, "pushed"), random: rand.New(rand.NewPCG(1, 2)),
		loads: s.followLoads()}
	r.writeRevision()
	return r
}

// firstRevision is the port of backends before the first change.
const firstRevision = 20000

// revision is the port that backends of the last change have.
func (r *rollout) revision() int { return firstRevision + r.changes }

// otherFarms are the five farms that each change changes.
func (r *rollout) otherFarms() map[string]string {
	out := map[string]string{}
	for i := range 5 {
		out[fmt.Sprintf("other%d.toml", i)] = farm(fmt.Sprintf("192.0.2.%d:80", 101+i), r.revision())
	}
	return out
}

// writeRevision writes the five farms for the next push.
func (r *rollout) writeRevision() {
	for name, text := range r.otherFarms() {
		r.write(name, text)
	}
}

// write writes a file for the next push.
func (r *rollout) write(name, text string) { r.writeText(filepath.Join(r.dir, name), text) }

// change pushes all files, with the five farms of the next revision.
func (r *rollout) change() {
	r.t.Helper()
	r.changes++
	r.writeRevision()
	r.push(r.dir, farmsOfEtcd)
}

// powerOn starts all programs of a balancer, of which the mirror brings the farms.
func (r *rollout) powerOn(b *balancer) {
	r.t.Helper()
	must(r.t, r.PlugAgain(b.Host))
	r.mirror(b)
	r.startWatch(b)
	r.startBird(b)
}

// mirror starts the mirror of a balancer.
func (r *rollout) mirror(b *balancer) {
	b.mirror = r.startMirror(b, farmsOfEtcd, r.farms(b), []string{r.farms(b)})
}

// powerOff takes the power of a balancer: its rules and routes are gone, too.
func (r *rollout) powerOff(b *balancer) {
	r.t.Helper()
	r.site.powerOff(b)
	b.mirror.kill()
	r.flushHost(b.Host)
}

// killSomething kills a mirror, a node of etcd, or a balancer, and starts it again.
func (r *rollout) killSomething() {
	r.t.Helper()
	if r.random.IntN(3) > 0 {
		r.killProgram()
		return
	}
	b := r.balancers[r.random.IntN(3)]
	r.powerOff(b)
	r.awaitBalancers(2)
	r.powerOn(b)
	r.awaitBalancers(3)
}

// killProgram kills a mirror or a node of etcd, and starts it again.
func (r *rollout) killProgram() {
	r.t.Helper()
	i := r.random.IntN(3)
	if r.random.IntN(2) == 0 {
		r.nodes[i].kill()
		time.Sleep(time.Second)
		r.startNode(i)
		time.Sleep(2 * time.Second)
		return
	}
	b := r.balancers[i]
	b.mirror.kill()
	time.Sleep(time.Duration(r.random.IntN(1000)) * time.Millisecond)
	r.mirror(b)
	time.Sleep(time.Second)
}

// changeUnderKills makes n changes while mirrors, nodes of etcd and balancers are killed. It waits for no balancer, so
// changes come while others are loaded.
func (r *rollout) changeUnderKills(n int) {
	r.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.changeQuickly(n)
	}()
	for kills := 0; ; kills++ {
		select {
		case <-done:
			r.t.Logf("%d changes, %d kills", n, kills)
			return
		default:
			r.killSomething()
		}
	}
}

// changeQuickly makes n changes, each twentieth by farmc-etcd push.
func (r *rollout) changeQuickly(n int) {
	client := r.gateway()
	defer client.CloseIdleConnections()
	for i := range n {
		if r.t.Failed() {
			return
		}
		if i%20 == 0 {
			r.change()
		} else {
			r.changes++
			r.put(client, farmsOfEtcd, r.otherFarms())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// changeTraffic changes the farms with traffic, and waits until all balancers have loaded the change. Meanwhile a
// mirror or a node of etcd dies.
func (r *rollout) changeTraffic(backends ...string) {
	r.t.Helper()
	r.writeTraffic(r.dir, backends...)
	r.change()
	r.killProgram()
	r.awaitStatus(3)
}

// remember switches persistence on or off, and waits until all balancers have loaded the change.
func (r *rollout) remember(on bool) {
	r.t.Helper()
	for _, m := range []mode{dsr, stateless} {
		text := "# off\n"
		if on {
			text = remember
		}
		r.write(m.name+".toml.d/persistence.toml", text)
	}
	r.change()
	r.awaitStatus(3)
}

// changeWithPersistence changes the backends while persistence is on.
func (r *rollout) changeWithPersistence(backends ...string) {
	r.t.Helper()
	r.remember(true)
	time.Sleep(silence)
	if slices.Contains(backends, "b3") {
		r.changeTraffic("b1", "b2", "b3 down") // known to all balancers before it has connections
	}
	r.changeTraffic(backends...)
}

// checkEnd fails the test if a load had files of two revisions, or if a balancer has other files than were pushed last,
// or has not loaded them.
func (r *rollout) checkEnd() {
	r.t.Helper()
	r.awaitStatus(3)
	r.loads.check(r.site)
	pushed := r.files(r.dir)
	for _, b := range r.balancers {
		if got := r.loads.last(b); got != fmt.Sprint(r.revision()) {
			r.t.Errorf("%s has loaded revision %s, want %d", b.Name, got, r.revision())
		}
		if !maps.Equal(r.files(r.farms(b)), pushed) {
			r.t.Errorf("%s has other files than were pushed", b.Name)
		}
	}
}

// files are the texts in a directory and its directories, by path.
func (s *site) files(dir string) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	must(s.t, fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		out[path] = string(text)
		return err
	}))
	return out
}

// lostElsewhere counts lost connections of a mode whose backend is not the given one.
func (fs *flows) lostElsewhere(m mode, backend string) (lost, opened int) {
	for _, f := range fs.all {
		if f.mode == m && strings.HasPrefix(f.network, "tcp") && f.backend != backend {
			opened++
			if f.lost != nil {
				lost++
			}
		}
	}
	return lost, opened
}

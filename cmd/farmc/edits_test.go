package main

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// After edits of any kind the kernel has the rules of the files once these are quiet, and watch leaks neither
// descriptors nor memory. STRESS=1 makes 1,000 rounds (make stress).
func TestEditsWatched(t *testing.T) {
	skipShort(t)
	t.Parallel()
	needMachine(t)
	defer sweep()
	e := newEdits(t, 3)
	w := e.watch()
	defer w.stop()
	many := rounds(40, 1000)
	var before resources
	for n := range many {
		name := e.some()
		e.agreed(w, fmt.Sprintf("round %d, %s", n, name))
		if n == 15 {
			before = w.resources(t)
		}
	}
	after := w.resources(t)
	for began := time.Now(); after.moreThan(before) && time.Since(began) < time.Minute; after = w.resources(t) {
		time.Sleep(10 * time.Millisecond) // resources of the last load are released soon; leaks stay
	}
	t.Logf("after %d rounds %+v, after 15 %+v; %v from the last edit to the kernel, at most %v",
		many, after, before, e.total/time.Duration(many), e.longest)
	if after.moreThan(before) {
		t.Errorf("%d descriptors and %d KiB more than after 15 rounds",
			after.descriptors-before.descriptors, after.memory-before.memory)
	}
}

// rounds returns few, or many with STRESS set (make stress).
func rounds(few, many int) int {
	if os.Getenv("STRESS") != "" {
		return many
	}
	return few
}

// edits makes random edits to a directory of farms, as people and programs do.
type edits struct {
	*testing.T
	root    string
	random  *rand.Rand
	ways    []way
	serial  int
	total   time.Duration
	longest time.Duration
}

// A way is the way in which one editor or program changes a farm. Some need a program.
type way struct {
	name string
	edit func(e *edits, path, text string)
}

func newEdits(t *testing.T, seed uint64) *edits {
	e := &edits{T: t, root: t.TempDir(), random: rand.New(rand.NewPCG(seed, seed)), ways: ways}
	e.must(os.MkdirAll(e.at("farms.d"), 0o755))
	e.write("web.toml", e.farm(1))
	return e
}

func (e *edits) at(path string) string { return filepath.Join(e.root, path) }
func (e *edits) in(name string) string { return filepath.Join(e.root, "farms.d", name) }

func (e *edits) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *edits) write(name, text string) { e.must(os.WriteFile(e.in(name), []byte(text), 0o644)) }

func (e *edits) run(name string, args ...string) {
	e.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = e.at("farms.d")
	if out, err := cmd.CombinedOutput(); err != nil {
		e.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// farm returns a farm on the nth address, with a backend address that is used once.
func (e *edits) farm(n int) string {
	e.serial++
	return fmt.Sprintf("listen = '192.0.2.%d:80'\n[backends.b1]\naddress = '10.%d.%d.1'\n",
		n, e.serial/256, e.serial%256)
}

// some makes up to three edits, and returns the name of the last one.
func (e *edits) some() (name string) {
	for range 1 + e.random.IntN(3) {
		w, n := e.ways[e.random.IntN(len(e.ways))], 1+e.random.IntN(4)
		name = w.name
		w.edit(e, e.in(fmt.Sprintf("farm%d.toml", n)), e.farm(n))
	}
	return name
}

// put writes a file in place.
func (e *edits) put(path, text string) { e.must(os.WriteFile(path, []byte(text), 0o644)) }

// there makes sure that the farm exists as a regular file.
func (e *edits) there(path string) {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return
	}
	os.Remove(path)
	e.put(path, e.farm(int(path[len(path)-6]-'0')))
}

var ways = []way{
	{"create", func(e *edits, path, text string) { os.Remove(path); e.put(path, text) }},
	{"edit in place", func(e *edits, path, text string) { e.there(path); e.put(path, text) }},
	{"write in pieces", func(e *edits, path, text string) {
		os.Remove(path)
		f, err := os.Create(path)
		e.must(err)
		for _, line := range strings.SplitAfter(text, "\n") {
			_, err := f.WriteString(line)
			e.must(err)
		}
		e.must(f.Close())
	}},
	{"append", func(e *edits, path, text string) {
		e.there(path)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		e.must(err)
		_, err = f.WriteString("# " + strings.ReplaceAll(text, "\n", " ") + "\n")
		e.must(err)
		e.must(f.Close())
	}},
	{"rename over", func(e *edits, path, text string) {
		e.put(path+".new", text)
		e.must(os.Rename(path+".new", path))
	}},
	{"rename over from elsewhere", func(e *edits, path, text string) {
		e.put(e.at("new"), text)
		e.must(os.Rename(e.at("new"), path))
	}},
	{"delete", func(e *edits, path, _ string) { os.Remove(path) }},
	{"move away", func(e *edits, path, _ string) { e.there(path); e.must(os.Rename(path, e.at("away"))) }},
	{"move aside and back", func(e *edits, path, _ string) {
		e.there(path)
		e.must(os.Rename(path, path+".off"))
		e.must(os.Rename(path+".off", path))
	}},
	{"chmod", func(e *edits, path, _ string) {
		e.there(path)
		e.must(os.Chmod(path, []fs.FileMode{0o600, 0o644, 0o400}[e.random.IntN(3)]))
	}},
	{"mask", func(e *edits, path, _ string) { os.Remove(path); e.must(os.Symlink("/dev/null", path)) }},
	{"link", func(e *edits, path, text string) {
		e.put(e.at("target"+filepath.Base(path)), text)
		os.Remove(path)
		e.must(os.Symlink(e.at("target"+filepath.Base(path)), path))
	}},
	{"write behind a link", func(e *edits, path, text string) {
		os.Remove(path)
		e.put(e.at("target"+filepath.Base(path)), e.farm(int(path[len(path)-6]-'0')))
		e.must(os.Symlink("../target"+filepath.Base(path), path))
		e.put(e.at("target"+filepath.Base(path)), text)
	}},
	{"swap a link", func(e *edits, path, text string) {
		e.put(path+"~target", text)
		e.must(os.Symlink(filepath.Base(path)+"~target", path+"~link"))
		e.must(os.Rename(path+"~link", path))
	}},
	{"drop-in", func(e *edits, path, _ string) {
		e.must(os.MkdirAll(path+".d", 0o755))
		e.put(path+".d/weight.toml", fmt.Sprintf("backends.b1.weight = %d\n", 1+e.random.IntN(9)))
	}},
	{"no drop-ins", func(e *edits, path, _ string) { e.must(os.RemoveAll(path + ".d")) }},
	{"drop-ins moved there", func(e *edits, path, _ string) {
		e.must(os.MkdirAll(e.at("made"), 0o755))
		e.put(e.at("made/state.toml"), "backends.b1.state = 'drain'\n")
		e.must(os.RemoveAll(path + ".d"))
		e.must(os.Rename(e.at("made"), path+".d"))
	}},
	{"vim", func(e *edits, path, text string) { // backupcopy=no
		e.there(path)
		swap := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".swp")
		e.put(swap, "b0VIM")
		e.put(e.in("4913"), "")
		e.must(os.Remove(e.in("4913")))
		e.must(os.Rename(path, path+"~"))
		e.put(path, text)
		e.must(os.Chmod(path, 0o644))
		e.must(os.Remove(path + "~"))
		e.must(os.Remove(swap))
	}},
	{"vim with backupcopy", func(e *edits, path, text string) {
		e.there(path)
		e.put(path+"~", "before")
		e.put(path, text)
		e.must(os.Remove(path + "~"))
	}},
	{"nano", func(e *edits, path, text string) {
		lock := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".swp")
		e.put(lock, "nano")
		e.put(path, "")
		e.put(path, text)
		e.must(os.Remove(lock))
	}},
	{"emacs", func(e *edits, path, text string) {
		e.there(path)
		dir, name := filepath.Split(path)
		lock, auto := filepath.Join(dir, ".#"+name), filepath.Join(dir, "#"+name+"#")
		e.must(os.Symlink("root@host.1:2", lock))
		e.put(auto, text)
		os.Remove(path + "~")
		e.must(os.Rename(path, path+"~"))
		e.put(path, text)
		e.must(os.Remove(auto))
		e.must(os.Remove(lock))
	}},
	{"sed -i", func(e *edits, path, _ string) {
		e.there(path)
		address := fmt.Sprintf("10.200.%d.%d", e.random.IntN(256), e.random.IntN(256))
		e.run("sed", "-i", fmt.Sprintf("s/address = .*/address = '%s'/", address), path)
	}},
	{"cp", func(e *edits, path, text string) {
		e.there(path)
		e.put(e.at("copy"), text)
		e.run("cp", e.at("copy"), path)
	}},
	{"cp -a", func(e *edits, path, text string) {
		os.Remove(path)
		e.put(e.at("copy"), text)
		e.run("cp", "-a", e.at("copy"), path)
	}},
	{"rsync", func(e *edits, path, text string) {
		temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".x7Tq2k")
		e.put(temporary, text)
		e.must(os.Chtimes(temporary, time.Time{}, time.Unix(1_700_000_000, 0)))
		e.must(os.Rename(temporary, path))
	}},
	{"dpkg", func(e *edits, path, text string) {
		e.there(path)
		e.put(path+".dpkg-new", text)
		os.Remove(path + ".dpkg-tmp")
		e.must(os.Link(path, path+".dpkg-tmp"))
		e.must(os.Rename(path+".dpkg-new", path))
		e.must(os.Remove(path + ".dpkg-tmp"))
	}},
	{"ConfigMap", func(e *edits, path, text string) {
		name := filepath.Base(path)
		version := fmt.Sprintf("..2026_%d", e.serial)
		e.must(os.MkdirAll(e.in(version), 0o755))
		if before, err := os.Readlink(e.in("..data")); err == nil {
			e.must(os.CopyFS(e.in(version), os.DirFS(e.in(before))))
			defer os.RemoveAll(e.in(before))
		}
		os.Remove(e.in(version + "/" + name))
		e.put(e.in(version+"/"+name), text)
		e.must(os.Symlink(version, e.in("..data_tmp")))
		e.must(os.Rename(e.in("..data_tmp"), e.in("..data")))
		os.Remove(path)
		e.must(os.Symlink("..data/"+name, path))
	}},
	{"directory made again", func(e *edits, path, text string) {
		e.must(os.RemoveAll(e.at("farms.d")))
		e.must(os.Mkdir(e.at("farms.d"), 0o755))
		e.put(path, text)
	}},
	{"directory swapped", func(e *edits, path, text string) {
		e.must(os.MkdirAll(e.at("other"), 0o755))
		e.put(filepath.Join(e.at("other"), filepath.Base(path)), text)
		e.must(os.Rename(e.at("farms.d"), e.at("old")))
		e.must(os.Rename(e.at("other"), e.at("farms.d")))
		e.must(os.RemoveAll(e.at("old")))
	}},
	{"a typo, corrected", func(e *edits, path, text string) { e.put(path, "lisen = 1\n"); e.put(path, text) }},
}

// A watcherProcess is farmc watch as a process.
type watcherProcess struct {
	*exec.Cmd
	said string // path of its log
	end  func()
}

func (e *edits) watch() *watcherProcess {
	e.Helper()
	log, err := os.OpenFile(e.at("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	e.must(err)
	defer log.Close()
	ctx, end := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "farmc", "watch", "--dir", e.at("farms.d"), "--state-dir", e.at("state"))
	w := &watcherProcess{Cmd: cmd, said: log.Name(), end: end}
	w.Stderr = log
	e.must(w.Start())
	return w
}

func (w *watcherProcess) stop() { w.end(); w.Wait() }

// agreed waits until the kernel has the rules of the directory.
func (e *edits) agreed(w *watcherProcess, after string) {
	e.Helper()
	script, diagnostics := compiler.Compile([]farm.Dir{live.Dir(e.at("farms.d"))})
	if script == nil {
		e.Fatalf("after %s the farms have faults: %v", after, diagnostics)
	}
	began := time.Now()
	for time.Since(began) < time.Minute {
		if digest, err := (nft.Nft{}).Loaded(e.Context()); err == nil && digest == script.Digest {
			e.total += time.Since(began)
			e.longest = max(e.longest, time.Since(began))
			if time.Since(began) > 2*time.Second {
				e.Logf("after %s it takes %v\n%s", after, time.Since(began), w.last(20))
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	files, _ := exec.Command("ls", "-laR", e.at("farms.d")).Output()
	e.Fatalf("after %s the kernel has other rules\n%s\n%s", after, w.last(20), files)
}

// last returns the last n lines of the log.
func (w *watcherProcess) last(n int) string {
	said, _ := os.ReadFile(w.said)
	lines := strings.SplitAfter(string(said), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "")
}

// resources are the descriptors and the memory of a process.
type resources struct {
	descriptors int
	memory      int // RssAnon, in KiB
}

// moreThan reports whether the process has more descriptors, or 16 MiB more memory.
func (r resources) moreThan(before resources) bool {
	return r.descriptors > before.descriptors || r.memory-before.memory > 16<<10
}

func (w *watcherProcess) resources(t *testing.T) (r resources) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", w.Process.Pid)
	descriptors, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		t.Fatal(err)
	}
	_, anonymous, _ := strings.Cut(string(status), "RssAnon:")
	fmt.Sscan(anonymous, &r.memory)
	r.descriptors = len(descriptors)
	return r
}

// A storm of 10,000 changes causes few loads, one each two seconds on an idle machine, and the last one has the final
// files.
func TestStorm(t *testing.T) {
	skipShort(t)
	t.Parallel()
	needMachine(t)
	defer sweep()
	e := newEdits(t, 2)
	w := e.watch()
	defer w.stop()
	e.agreed(w, "the start")
	began := time.Now()
	e.must(os.Remove(e.in("web.toml"))) // it has the address of farm1
	for n := range 5_000 {
		path := e.in(fmt.Sprintf("farm%d.toml", 1+n%50))
		e.put(path+".new", e.farm(1+n%50))
		e.must(os.Rename(path+".new", path))
	}
	took := time.Since(began)
	e.agreed(w, "the storm")
	said, err := os.ReadFile(w.said)
	e.must(err)
	loads := strings.Count(string(said), " loaded in ")
	t.Logf("10,000 changes in %v are %d loads", took, loads-1)
	if loads > 100 {
		t.Errorf("%d loads\n%s", loads, said)
	}
}

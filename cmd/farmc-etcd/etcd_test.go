package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// inside is the environment variable of a process in a network namespace of its own, asProgram that of one which is
// farmc-etcd.
const (
	inside    = "FARMC_ETCD_TEST_NAMESPACE"
	asProgram = "FARMC_ETCD_TEST_PROGRAM"
)

// TestMain runs the tests in a network namespace of their own: etcd listens on its loopback interface.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	if os.Getenv(inside) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			panic(string(out))
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A store is an etcd of one node.
type store struct {
	t      testing.TB
	dir    string
	port   int
	args   []string // further ones of etcd
	config config   // of its client, without endpoints
	cmd    *exec.Cmd
	client *clientv3.Client
}

var (
	ports     = 2379
	portsLock sync.Mutex
)

// newStore starts etcd. It ends with the test.
func newStore(t testing.TB) *store { return newStoreWith(t, config{}) }

// newStoreWith starts etcd, whose clients have a configuration.
func newStoreWith(t testing.TB, of config, args ...string) *store {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("etcd is missing: apt install etcd-server")
		}
		t.Skip("etcd is missing: apt install etcd-server")
	}
	portsLock.Lock()
	s := &store{t: t, dir: t.TempDir(), port: ports, config: of, args: args}
	ports += 2
	portsLock.Unlock()
	s.start()
	t.Cleanup(s.kill)
	var err error
	of.Endpoints = []string{s.url()}
	if s.client, err = of.connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.await("etcd", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := s.client.Get(ctx, "x")
		return err == nil
	})
	return s
}

func (s *store) url() string {
	if s.config.CACert != "" {
		return fmt.Sprintf("https://127.0.0.1:%d", s.port)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", s.port)
}

func (s *store) start() {
	peer := fmt.Sprintf("http://127.0.0.1:%d", s.port+1)
	s.cmd = exec.Command("etcd", append(s.args, "--data-dir", s.dir, "--listen-client-urls", s.url(),
		"--advertise-client-urls", s.url(), "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", "default="+peer, "--unsafe-no-fsync")...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// put writes files of a prefix in one transaction; an empty text removes one.
func (s *store) put(prefix string, files map[string]string) {
	s.t.Helper()
	var operations []clientv3.Op
	for name, text := range files {
		if text == "" {
			operations = append(operations, clientv3.OpDelete(prefix+name))
		} else {
			operations = append(operations, clientv3.OpPut(prefix+name, text))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if _, err := s.client.Txn(ctx).Then(operations...).Commit(); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until a condition holds.
func (s *store) await(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within 30s", what)
		}
	}
}

// A process is a farmc-etcd that runs.
type process struct {
	*exec.Cmd
	log *lockedBuffer
}

// A lockedBuffer takes writes and reads of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// mirror starts farmc-etcd mirror.
func (s *store) mirror(dir string, args ...string) *process {
	s.t.Helper()
	p := &process{log: new(lockedBuffer)}
	p.Cmd = exec.Command(os.Args[0], append([]string{"mirror", "--endpoints", s.url(), "--dir", dir}, args...)...)
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Stdout, p.Stderr = p.log, p.log
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	p.Process.Kill()
	p.Wait()
}

// command runs another command of farmc-etcd.
func (s *store) command(args ...string) (status int, out string) {
	var b bytes.Buffer
	status = run(context.Background(), append(args, "--endpoints", s.url()), &b, &b)
	return status, b.String()
}

// has reports whether a directory has these files, and no others.
func has(dir string, files map[string]string) bool {
	c, err := readDir(dir + "/.")
	return err == nil && maps.Equal(c.files, files)
}

func (s *store) awaitFiles(dir string, files map[string]string) {
	s.t.Helper()
	s.await(fmt.Sprint("files ", files), func() bool { return has(dir, files) })
}

// TestMirror follows a prefix from its first key on.
func TestMirror(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := filepath.Join(t.TempDir(), "farms")
	p := s.mirror(dir, "--host", "")
	s.await("the empty prefix is told", func() bool { return strings.Contains(p.log.String(), "has no keys") })
	if _, err := os.Lstat(dir); err == nil {
		t.Fatal("there is a directory before the first key")
	}
	files := map[string]string{"web.toml": "1", "web.toml.d/state.toml": "2", "bad.list": "3", "_defaults.toml": "4"}
	s.put(farmsPrefix, files)
	s.awaitFiles(dir, files)
	target, _ := os.Readlink(dir)

	// One change is a rename, several are a new directory.
	s.put(farmsPrefix, map[string]string{"web.toml": "5"})
	files["web.toml"] = "5"
	s.awaitFiles(dir, files)
	if now, _ := os.Readlink(dir); now != target {
		t.Errorf("one change has switched the link from %s to %s", target, now)
	}
	s.put(farmsPrefix, map[string]string{"bad.list": ""})
	delete(files, "bad.list")
	s.awaitFiles(dir, files)
	inode := inodeOf(t, dir+"/_defaults.toml")
	s.put(farmsPrefix, map[string]string{"web.toml": "6", "mail.toml": "7"})
	files["web.toml"], files["mail.toml"] = "6", "7"
	s.awaitFiles(dir, files)
	if now, _ := os.Readlink(dir); now == target {
		t.Errorf("two changes have not switched the link from %s", target)
	}
	if inodeOf(t, dir+"/_defaults.toml") != inode {
		t.Error("an unchanged file is no hard link")
	}

	// Keys that are no files of farms stop their revision, and the next good one is taken.
	for _, key := range []string{"../x.toml", "web.toml.d/../../x.toml", ".web.toml", "web.toml.d/a/b.toml", "x.sh",
		"a b.toml"} {
		s.put(farmsPrefix, map[string]string{key: "8", "web.toml": key})
		told := fmt.Sprintf("key %q is", key)
		s.await("the key "+key+" is told", func() bool { return strings.Contains(p.log.String(), told) })
		if !has(dir, files) {
			t.Fatalf("the key %q has changed the files", key)
		}
		s.put(farmsPrefix, map[string]string{key: ""})
		files["web.toml"] = key
		s.awaitFiles(dir, files)
	}
	if strings.Count(p.log.String(), "has no keys") != 1 {
		t.Errorf("the log is\n%s", p.log)
	}

	// A prefix that was deleted is not taken.
	if _, err := s.client.Delete(context.Background(), farmsPrefix, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	s.await("the deletion is told", func() bool { return strings.Count(p.log.String(), "has no keys") == 2 })
	if !has(dir, files) {
		t.Error("the deletion of the prefix has changed the files")
	}

	// The next mirror takes over the directory.
	p.kill()
	target, _ = os.Readlink(dir)
	s.put(farmsPrefix, files)
	p = s.mirror(dir, "--host", "")
	files["web.toml"] = "9"
	s.put(farmsPrefix, map[string]string{"web.toml": "9"})
	s.awaitFiles(dir, files)
	if now, _ := os.Readlink(dir); now != target {
		t.Errorf("a new mirror has switched the link from %s to %s", target, now)
	}

	// etcd goes, comes, and compacts meanwhile.
	s.kill()
	time.Sleep(time.Second)
	if !has(dir, files) {
		t.Error("the end of etcd has changed the files")
	}
	s.start()
	p.Process.Signal(syscall.SIGSTOP)
	for i := range 20 {
		s.awaitPut(map[string]string{"web.toml": fmt.Sprint("c", i), "mail.toml": fmt.Sprint("c", i)})
	}
	r, err := s.client.Get(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Compact(context.Background(), r.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	p.Process.Signal(syscall.SIGCONT)
	files["web.toml"], files["mail.toml"] = "c19", "c19"
	s.awaitFiles(dir, files)
}

// TestWriteAgain: files that found no room are written when there is some, without a further change in etcd.
func TestWriteAgain(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "size=64k")
	s := newStore(t)
	log := new(lockedBuffer)
	m := &mirror{options: &options{prefix: farmsPrefix, stderr: log}, client: s.client,
		tree: newTree(filepath.Join(disk, "farms")), look: 100 * time.Millisecond}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.run(ctx) })
	t.Cleanup(func() { end(); running.Wait() })
	files := map[string]string{"web.toml": "1"}
	s.put(farmsPrefix, files)
	s.awaitFiles(m.tree.link, files)

	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal("the disk is not full: ", err)
	}
	files["web.toml"], files["mail.toml"] = "2", "3"
	s.put(farmsPrefix, files)
	s.await("the full disk is told", func() bool { return strings.Contains(log.String(), "no space left") })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.awaitFiles(m.tree.link, files)
}

// TestBehind: a comparison with etcd finds changes that a watch has not told, also ones that keep the number of files.
func TestBehind(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	m := &mirror{options: &options{prefix: farmsPrefix}, client: s.client}
	s.put(farmsPrefix, map[string]string{"web.toml": "1", "mail.toml": "1"})
	for _, missed := range []map[string]string{
		nil,
		{"web.toml": "2"},
		{"web.toml": ""},
		{"news.toml": "1"},
		{"news.toml": "", "web.toml": "3"},
	} {
		now, err := read(t.Context(), s.client, farmsPrefix, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.put(farmsPrefix, missed)
		s.put("/farmc/other/", map[string]string{"web.toml": "1"})
		var want error
		if missed != nil {
			want = errBehind
		}
		if err := m.compare(t.Context(), now); !errors.Is(err, want) {
			t.Errorf("missed %v: %v, want %v", missed, err, want)
		}
	}
}

// awaitPut writes files as soon as etcd answers.
func (s *store) awaitPut(files map[string]string) {
	s.t.Helper()
	s.await("a put", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := s.client.Get(ctx, "x"); err != nil {
			return false
		}
		s.put(farmsPrefix, files)
		return true
	})
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// TestNeverMixed: a reader that opens the directory sees the files of one transaction, while the mirror is killed again
// and again.
func TestNeverMixed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	dir := filepath.Join(t.TempDir(), "farms")
	last := ""
	p := s.mirror(dir, "--host", "")
	for round := range 30 {
		files := map[string]string{}
		last = fmt.Sprint("round ", round)
		for i := range 100 {
			files[fmt.Sprintf("farm%d.toml", i)] = last
		}
		s.put(farmsPrefix, files)
		time.Sleep(time.Duration(round*7%40) * time.Millisecond)
		p.kill()
		checkOneRound(t, dir)
		p = s.mirror(dir, "--host", "")
	}
	s.await("the last round", func() bool { return checkOneRound(t, dir) == last })
	p.kill()
	old, err := filepath.Glob(dir + ".rev-*")
	if err != nil || len(old) > 3 {
		t.Errorf("left are %q (%v)", old, err)
	}
}

// checkOneRound returns the text that all files of a directory have.
func checkOneRound(t *testing.T, dir string) (text string) {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	c, err := readDir(dir + "/.")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, text = range c.files {
		seen[text] = true
	}
	if len(seen) != 1 || len(c.files) != 100 {
		t.Fatalf("%d files of %d transactions", len(c.files), len(seen))
	}
	return text
}

// TestCommands pushes, promotes and rolls back, with a farmc that answers as the test says.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	work := t.TempDir()
	farmc := filepath.Join(work, "farmc")
	says := func(check int, status string) {
		const script = "#!/bin/sh\n[ $1 = status ] && echo '%s' && exit 1\necho faulty >&2; exit %d\n"
		text := fmt.Sprintf(script, status, check)
		if err := os.WriteFile(farmc, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(work, "d")
	write := func(files map[string]string) {
		os.RemoveAll(dir)
		written := newTree(dir)
		for name, text := range files {
			if err := written.writeFile(filepath.Join(dir, name), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := func(want int, text string, args ...string) {
		t.Helper()
		if status, out := s.command(args...); status != want || !strings.Contains(out, text) {
			t.Fatalf("%q: exit status %d, want %d; no %q in\n%s", args, status, want, text, out)
		}
	}
	const canary = "/farmc/canary/"
	push := []string{"push", dir, "--prefix", canary, "--farmc", farmc}

	says(1, "{}")
	write(map[string]string{"web.toml": "weight = 1\n"})
	command(1, "nothing is pushed", push...)
	says(0, `{"readAt": "2999-01-01T00:00:00Z", "agree": true}`)
	command(0, "+weight = 1", push...)
	command(0, "has these files already", push...)
	write(map[string]string{"web.sh": "1"})
	command(1, `key "web.sh" is no name`, push...)
	command(0, "no machine mirrors", "status")
	command(1, "no machine mirrors "+canary, "promote", "--wait", "100ms")

	mirrored := filepath.Join(work, "canary")
	p := s.mirror(mirrored, "--prefix", canary, "--host", "lb1", "--farmc", farmc)
	s.awaitFiles(mirrored, map[string]string{"web.toml": "weight = 1\n"})
	command(0, farmsPrefix+": 1 file changed", "promote")
	command(0, "loaded", "status")

	// An answer from before the change says nothing.
	says(0, `{"readAt": "2026-01-01T00:00:00Z", "agree": true}`)
	s.put(canary, map[string]string{"web.toml": "weight = 3\n"})
	s.awaitFiles(mirrored, map[string]string{"web.toml": "weight = 3\n"})
	command(1, "not loaded by lb1", "promote", "--wait", "2s")
	says(0, `{"readAt": "2999-01-01T00:00:00Z", "agree": true}`)
	s.put(canary, map[string]string{"web.toml": "weight = 1\n"})
	command(0, "has these files already", "promote")
	before := s.revision(farmsPrefix)

	// A fault on the canary keeps the others from it.
	says(0, `{"readAt": "2999-01-01T00:00:00Z", "faults": [{"file": "web.toml", "line": 7, "message": "wrong"}]}`)
	write(map[string]string{"web.toml": "weight = 2\n", "mail.toml": "x\n"})
	command(0, "-weight = 1\n+weight = 2", push...)
	command(1, "lb1: web.toml:7: wrong", "promote")
	command(1, "web.toml:7: wrong", "status")
	if now := s.revision(farmsPrefix); now != before {
		t.Errorf("the fault has changed %s: %d, before %d", farmsPrefix, now, before)
	}
	says(0, `{"readAt": "2999-01-01T00:00:00Z", "agree": true}`)
	s.await("another report", func() bool { status, _ := s.command("status"); return status == 0 })
	command(0, "+weight = 2", "promote")
	command(0, "-weight = 2\n+weight = 1", "rollback", "--to", fmt.Sprint(before))
	command(1, "not yet at 999999", "rollback", "--to", "999999")
	command(2, "not a revision", "rollback")
	if _, err := s.client.Compact(context.Background(), s.revision(farmsPrefix)); err != nil {
		t.Fatal(err)
	}
	command(1, "has compacted revision", "rollback", "--to", fmt.Sprint(before))

	// More files than a transaction takes.
	many := map[string]string{}
	for i := range 250 {
		many[fmt.Sprintf("farm%d.toml", i)] = "x\n"
	}
	write(many)
	command(0, "252 files: etcd takes 120 in a transaction", push...) // mail.toml and web.toml go
	s.awaitFiles(mirrored, many)
	p.kill()
}

// TestFault: a fault without a line has its file alone as the place.
func TestFault(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]fault{
		"web.toml:7: wrong":           {"web.toml", 7, "wrong"},
		"web.toml: listen is missing": {"web.toml", 0, "listen is missing"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestConcurrentPush: the second of two changes that began at one revision is refused.
func TestConcurrentPush(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	o := &options{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}
	now, err := read(context.Background(), s.client, farmsPrefix, 0)
	if err != nil {
		t.Fatal(err)
	}
	wanted := newContents()
	wanted.put("web.toml", "1", 0)
	for i, refused := range []bool{false, true} {
		_, err := newChange(farmsPrefix, now, wanted).commit(context.Background(), o, s.client)
		if (err != nil) != refused {
			t.Errorf("change %d: %v", i, err)
		}
	}
}

func (s *store) revision(prefix string) int64 {
	r, err := latestOf(context.Background(), s.client, prefix)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// TestReportVanishes: the report of a machine that is gone does not stay.
func TestReportVanishes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.put(farmsPrefix, map[string]string{"web.toml": "1"})
	p := s.mirror(filepath.Join(t.TempDir(), "farms"), "--host", "lb1", "--farmc", "true")
	s.await("a report", func() bool {
		reports, err := readReports(context.Background(), s.client)
		return err == nil && len(reports) == 1 && reports[0].Host == "lb1" && reports[0].Revision > 0
	})
	p.kill()
	r, err := s.client.Leases(context.Background())
	if err != nil || len(r.Leases) != 1 {
		t.Fatalf("leases: %v, %v", r, err)
	}
	ttl, err := s.client.TimeToLive(context.Background(), r.Leases[0].ID, clientv3.WithAttachedKeys())
	const key = hostsPrefix + "lb1/farmc-farms"
	if err != nil || ttl.GrantedTTL != 60 || len(ttl.Keys) != 1 || string(ttl.Keys[0]) != key {
		t.Errorf("the lease is %+v (%v)", ttl, err)
	}
	var told report
	kv, err := s.client.Get(context.Background(), key)
	if err != nil || json.Unmarshal(kv.Kvs[0].Value, &told) != nil || told.Loaded {
		t.Errorf("told is %+v (%v)", told, err)
	}
}

// TestSlowFarmc: the report of a machine stays while farmc takes longer to answer than a lease lasts.
func TestSlowFarmc(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	work := t.TempDir()
	farmc, slow := filepath.Join(work, "farmc"), filepath.Join(work, "slow")
	write(t, farmc, fmt.Sprintf("#!/bin/sh\n[ ! -e %[1]s ] || exec sleep 60\ntouch %[1]s\n", slow))
	if err := os.Chmod(farmc, 0o755); err != nil {
		t.Fatal(err)
	}
	r := newReporter(&options{prefix: farmsPrefix, host: "lb1", farmc: farmc, stderr: t.Output()}, s.client)
	r.lifetime = 2 * time.Second // the shortest that etcd grants
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	t.Cleanup(func() { end(); running.Wait() })
	reported := func() bool {
		reports, err := readReports(context.Background(), s.client)
		return err == nil && len(reports) == 1
	}
	s.await("a report", reported)
	r.taken(1, time.Now(), nil)
	for began := time.Now(); time.Since(began) < 4*r.lifetime; time.Sleep(100 * time.Millisecond) {
		if !reported() {
			t.Fatalf("the report is gone after %s", time.Since(began))
		}
	}
}

// TestReportsShared: farmc is asked for a third of the time at most, however fast changes come.
func TestReportsShared(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	work := t.TempDir()
	farmc, asked := filepath.Join(work, "farmc"), filepath.Join(work, "asked")
	const script = "#!/bin/sh\ndate +%%s%%N >> %[1]s\nsleep 0.2\necho '%[2]s'\ndate +%%s%%N >> %[1]s\n"
	write(t, farmc, fmt.Sprintf(script, asked, `{"readAt": "2999-01-01T00:00:00Z", "agree": true}`))
	if err := os.Chmod(farmc, 0o755); err != nil {
		t.Fatal(err)
	}
	s.mirror(filepath.Join(work, "farms"), "--host", "lb1", "--farmc", farmc)
	for i := range 40 {
		s.put(farmsPrefix, map[string]string{"web.toml": fmt.Sprint(i)})
		time.Sleep(50 * time.Millisecond)
	}
	s.await("the last change is reported", func() bool {
		reports, err := readReports(context.Background(), s.client)
		return err == nil && len(reports) == 1 && reports[0].Loaded && reports[0].Revision == s.revision(farmsPrefix)
	})
	text, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	var times []int // in pairs: begin and end of an answer
	for line := range strings.Lines(string(text)) {
		at, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at)
	}
	if len(times) < 4 {
		t.Fatalf("asked once: %q", text)
	}
	for i := 2; i+1 < len(times); i += 2 {
		took, pause := time.Duration(times[i-1]-times[i-2]), time.Duration(times[i]-times[i-1])
		if pause < 2*took {
			t.Errorf("an answer took %s, and the next question came after %s", took, pause)
		}
	}
}

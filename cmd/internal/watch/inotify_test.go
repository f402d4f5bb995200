package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A scene is a directory with files to watch, and a sentry at its farms.d, if the test wants one.
type scene struct {
	*testing.T
	root   string
	sentry *sentry
	rings  int
}

// given makes a scene of files: by their paths, of directories where these end with "/", and of links "PATH -> TARGET".
func given(t *testing.T, files ...string) *scene {
	sc := &scene{T: t, root: t.TempDir()}
	sc.make(files...)
	return sc
}

// watched is given the same, and a sentry watches it.
func watched(t *testing.T, files ...string) *scene {
	sc := given(t, append(files, "bell/")...)
	var err error
	if sc.sentry, err = post([]string{sc.at("farms.d"), sc.at("bell")}, &unfinished{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sc.sentry.close)
	return sc
}

func (sc *scene) at(path string) string { return filepath.Join(sc.root, path) }

func (sc *scene) must(err error) {
	sc.Helper()
	if err != nil {
		sc.Fatal(err)
	}
}

func (sc *scene) make(files ...string) {
	sc.Helper()
	for _, file := range files {
		path, target, link := strings.Cut(file, " -> ")
		sc.must(os.MkdirAll(filepath.Dir(sc.at(path)), 0o755))
		switch {
		case link:
			sc.must(os.Symlink(target, sc.at(path)))
		case strings.HasSuffix(path, "/"):
			sc.must(os.MkdirAll(sc.at(path), 0o755))
		default:
			sc.must(os.WriteFile(sc.at(path), []byte("text"), 0o644))
		}
	}
}

func (sc *scene) remove(path string) {
	sc.Helper()
	sc.must(os.RemoveAll(sc.at(path)))
}

func (sc *scene) rename(from, to string) {
	sc.Helper()
	sc.must(os.Rename(sc.at(from), sc.at(to)))
}

// matters says whether the sentry cares for anything that has happened so far. inotify keeps the order of events,
// so all of it has been heard when the bell is; a survey may miss the bell, so it is rung again.
func (sc *scene) matters() (matters bool) {
	sc.Helper()
	for sc.ring(); ; {
		select {
		case event := <-sc.sentry.watcher.Events:
			if event.Name == sc.bell() {
				return matters
			}
			if filepath.Dir(event.Name) == sc.at("bell") {
				continue
			}
			wanted, err := sc.sentry.hear(event)
			sc.must(err)
			if wanted {
				matters = true
				sc.ring()
			}
		case <-sc.sentry.lost:
			matters = true
			sc.must(sc.sentry.survey())
			sc.ring()
		}
	}
}

func (sc *scene) bell() string { return sc.at(fmt.Sprint("bell/", sc.rings)) }

func (sc *scene) ring() {
	sc.Helper()
	sc.rings++
	sc.must(os.Mkdir(sc.bell(), 0o755))
}

// seen reports a change that the sentry doesn't care for.
func (sc *scene) seen(what string) {
	sc.Helper()
	if !sc.matters() {
		sc.Error("not seen:", what)
	}
}

func (sc *scene) unseen(what string) {
	sc.Helper()
	if sc.matters() {
		sc.Error("seen:", what)
	}
}

func TestFiles(t *testing.T) {
	sc := watched(t, "farms.d/")
	sc.make("farms.d/web.toml")
	sc.seen("create")
	sc.make("farms.d/web.toml")
	sc.seen("write in place")
	sc.make("new")
	sc.rename("new", "farms.d/web.toml")
	sc.seen("rename over")
	sc.must(os.Chmod(sc.at("farms.d/web.toml"), 0o600))
	sc.seen("chmod")
	sc.remove("farms.d/web.toml")
	sc.seen("delete")
}

func TestLeftovers(t *testing.T) {
	sc := watched(t, "farms.d/")
	sc.make("farms.d/.web.toml.swp", "farms.d/web.toml~", "farms.d/#web.toml#", "farms.d/web.toml.dpkg-new", "farms.d/.toml.d/")
	sc.unseen("leftovers")
	sc.make("farms.d.bak/", "other", "farms.d.bak/web.toml")
	sc.unseen("neighbours")
}

func TestDropIns(t *testing.T) {
	sc := watched(t, "farms.d/old.toml.d/")
	sc.make("farms.d/old.toml.d/x.toml")
	sc.seen("a file in drop-ins that were there")
	sc.make("farms.d/web.toml.d/")
	sc.seen("drop-ins")
	sc.make("farms.d/web.toml.d/health.toml")
	sc.seen("a file in them")
	sc.remove("farms.d/web.toml.d")
	sc.seen("their removal")
	sc.make("farms.d/web.toml.d/")
	sc.seen("their return")
	sc.make("farms.d/web.toml.d/health.toml")
	sc.seen("a file in them then")
	sc.make("farms.d/other/", "elsewhere/")
	sc.seen("another directory")
	sc.make("farms.d/other/x.toml")
	sc.unseen("a file in a directory that holds no drop-ins")
}

func TestDropInsMovedThere(t *testing.T) {
	sc := watched(t, "farms.d/", "made/health.toml")
	sc.rename("made", "farms.d/web.toml.d")
	sc.seen("drop-ins")
	sc.make("farms.d/web.toml.d/health.toml")
	sc.seen("a write to a file that came with them")
}

func TestDirectoryMadeAgain(t *testing.T) {
	sc := watched(t, "farms.d/web.toml")
	sc.remove("farms.d")
	sc.seen("its removal")
	sc.make("farms.d/")
	sc.seen("its return")
	sc.make("farms.d/web.toml")
	sc.seen("a file in it")
}

func TestDirectoryMadeAgainAtOnce(t *testing.T) {
	sc := watched(t, "farms.d/web.toml.d/")
	sc.remove("farms.d")
	sc.make("farms.d/web.toml.d/")
	sc.seen("its return")
	sc.make("farms.d/web.toml.d/health.toml")
	sc.seen("a file in its drop-ins")
}

func TestDirectoryThatAppearsLater(t *testing.T) {
	sc := watched(t)
	sc.sentry.dirs[0] = sc.at("run/farmc/farms.d")
	sc.must(sc.sentry.survey())
	sc.make("run/")
	sc.seen("a directory on the way")
	sc.make("run/farmc/farms.d/")
	sc.seen("the directory")
	sc.make("run/farmc/farms.d/web.toml")
	sc.seen("a file in it")
	sc.rename("run", "run.old")
	sc.make("run/farmc/farms.d/")
	sc.seen("another way")
	sc.make("run.old/farmc/farms.d/web.toml")
	sc.unseen("a file where the directory was")
	sc.make("run/farmc/farms.d/web.toml")
	sc.seen("a file where it is")
}

func TestLinkSwap(t *testing.T) {
	sc := watched(t, "v1/web.toml", "v2/web.toml", "farms.d -> v1")
	sc.make("v1/web.toml")
	sc.seen("a write behind the link")
	sc.make("new -> v2")
	sc.rename("new", "farms.d")
	sc.seen("the swap")
	sc.make("v1/web.toml")
	sc.unseen("a write where the link led")
	sc.make("v2/web.toml")
	sc.seen("a write where it leads")
	if slices.Contains(sc.sentry.watcher.WatchList(), sc.at("v1")) {
		t.Error("still watches where the link led")
	}
}

func TestLinkOnTheWay(t *testing.T) {
	sc := watched(t, "v1/here/farms/", "v2/here/farms/", "current -> v1", "farms.d -> ./current/here/../here/farms")
	sc.make("new -> v2")
	sc.rename("new", "current")
	sc.seen("the swap")
	sc.make("v2/here/farms/web.toml")
	sc.seen("a file where it leads")
}

// As Kubernetes lays out a ConfigMap.
func TestConfigMap(t *testing.T) {
	sc := watched(t, "farms.d/..1/web.toml", "farms.d/..2/web.toml", "farms.d/..data -> ..1", "farms.d/web.toml -> ..data/web.toml")
	sc.make("farms.d/..data_tmp -> ..2")
	sc.rename("farms.d/..data_tmp", "farms.d/..data")
	sc.seen("the swap")
	sc.make("farms.d/..2/web.toml")
	sc.seen("a write where it leads")
}

func TestLinkedFile(t *testing.T) {
	sc := watched(t, "available/web.toml", "farms.d/", "farms.d/web.toml -> ../available/web.toml")
	sc.make("available/web.toml")
	sc.seen("a write behind the link")
	sc.make("available/other.toml")
	sc.unseen("its neighbour")
	sc.rename("available/other.toml", "available/web.toml")
	sc.seen("a rename over it")
	sc.make("available/mail.toml", "farms.d/mail.toml -> "+sc.at("available/mail.toml"))
	sc.seen("a new link")
	sc.make("available/mail.toml")
	sc.seen("a write behind the new link")
}

func TestLinkedDropIns(t *testing.T) {
	sc := watched(t, "farms.d/", "shared/")
	sc.make("farms.d/web.toml.d -> ../shared")
	sc.seen("the link")
	sc.make("shared/health.toml")
	sc.seen("a file behind it")
}

func TestMaskedFarm(t *testing.T) {
	sc := watched(t, "farms.d/", "farms.d/web.toml -> /dev/null", "farms.d/web.toml.d -> /dev/null")
	sc.must(os.WriteFile(os.DevNull, []byte("text"), 0))
	sc.unseen("a write to /dev/null")
	if watches := sc.sentry.watcher.WatchList(); slices.Contains(watches, "/dev") {
		t.Error("watches", watches)
	}
}

func TestLinkThatLeadsToItself(t *testing.T) {
	sc := watched(t, "farms.d -> farms.d")
	sc.remove("farms.d")
	sc.make("farms.d/")
	sc.seen("a directory in its place")
}

// Where a directory is moved and removed, fsnotify has an error to tell and keeps its lock until somebody hears it.
func TestMovedAndRemoved(t *testing.T) {
	sc := watched(t, "farms.d/web.toml.d/x.toml")
	sc.rename("farms.d/web.toml.d", "x")
	sc.remove("x")
	for event := range sc.sentry.watcher.Events {
		if event.Name == sc.at("farms.d/web.toml.d") {
			break
		}
	}
	sc.must(sc.sentry.survey())
	sc.make("farms.d/web.toml")
	sc.seen("a file")
}

func TestOverflow(t *testing.T) {
	sc := watched(t, "farms.d/a~", "farms.d/b~")
	for range 11_000 { // 22,000 events: 16,384 fit into the queue, 4,096 into fsnotify's buffer
		sc.must(os.Chmod(sc.at("farms.d/a~"), 0o600))
		sc.must(os.Chmod(sc.at("farms.d/b~"), 0o600))
	}
	sc.make("farms.d/web.toml.d/")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for matters := false; !matters; {
		var err error
		matters, err = sc.sentry.next(ctx)
		sc.must(errors.Join(err, ctx.Err()))
	}
	sc.make("farms.d/web.toml.d/health.toml")
	sc.seen("a file in drop-ins that came unheard")
}

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

// A tree is a directory with files, and perhaps a watcher of its directory farms.d.
type tree struct {
	*testing.T
	root    string
	watcher *inotifyWatcher
	markers int
}

// newTree creates files by their paths, directories by paths that end with "/", and symlinks by "PATH -> TARGET".
func newTree(t *testing.T, files ...string) *tree {
	tr := &tree{T: t, root: t.TempDir()}
	tr.make(files...)
	return tr
}

// newWatchedTree creates a tree that is watched.
func newWatchedTree(t *testing.T, files ...string) *tree {
	tr := newTree(t, append(files, "marker/")...)
	var err error
	if tr.watcher, err = newInotifyWatcher([]string{tr.at("farms.d"), tr.at("marker")}, &writers{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.watcher.close)
	return tr
}

func (tr *tree) at(path string) string { return filepath.Join(tr.root, path) }

func (tr *tree) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

func (tr *tree) make(files ...string) {
	tr.Helper()
	for _, file := range files {
		path, target, link := strings.Cut(file, " -> ")
		tr.must(os.MkdirAll(filepath.Dir(tr.at(path)), 0o755))
		switch {
		case link:
			tr.must(os.Symlink(target, tr.at(path)))
		case strings.HasSuffix(path, "/"):
			tr.must(os.MkdirAll(tr.at(path), 0o755))
		default:
			tr.must(os.WriteFile(tr.at(path), []byte("text"), 0o644))
		}
	}
}

func (tr *tree) remove(path string) {
	tr.Helper()
	tr.must(os.RemoveAll(tr.at(path)))
}

func (tr *tree) rename(from, to string) {
	tr.Helper()
	tr.must(os.Rename(tr.at(from), tr.at(to)))
}

// relevant tells whether any change so far is relevant. inotify keeps the order of events, so all of them were handled
// when the event of the marker arrives. watchAll may lose the marker, so there is a new one after it.
func (tr *tree) relevant() (relevant bool) {
	tr.Helper()
	for tr.mark(); ; {
		select {
		case event := <-tr.watcher.watcher.Events:
			if event.Name == tr.marker() {
				return relevant
			}
			if filepath.Dir(event.Name) == tr.at("marker") {
				continue
			}
			wanted, err := tr.watcher.handle(event)
			tr.must(err)
			if wanted {
				relevant = true
				tr.mark()
			}
		case <-tr.watcher.overflow:
			relevant = true
			tr.must(tr.watcher.watchAll())
			tr.mark()
		}
	}
}

func (tr *tree) marker() string { return tr.at(fmt.Sprint("marker/", tr.markers)) }

func (tr *tree) mark() {
	tr.Helper()
	tr.markers++
	tr.must(os.Mkdir(tr.marker(), 0o755))
}

// expectRelevant reports a change that the watcher does not find relevant.
func (tr *tree) expectRelevant(what string) {
	tr.Helper()
	if !tr.relevant() {
		tr.Error("not relevant:", what)
	}
}

func (tr *tree) expectIgnored(what string) {
	tr.Helper()
	if tr.relevant() {
		tr.Error("relevant:", what)
	}
}

func TestFiles(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/")
	tr.make("farms.d/web.toml")
	tr.expectRelevant("create")
	tr.make("farms.d/web.toml")
	tr.expectRelevant("write in place")
	tr.make("new")
	tr.rename("new", "farms.d/web.toml")
	tr.expectRelevant("rename over")
	tr.must(os.Chmod(tr.at("farms.d/web.toml"), 0o600))
	tr.expectRelevant("chmod")
	tr.remove("farms.d/web.toml")
	tr.expectRelevant("delete")
}

func TestLeftovers(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/")
	tr.make("farms.d/.web.toml.swp", "farms.d/web.toml~", "farms.d/#web.toml#", "farms.d/web.toml.dpkg-new",
		"farms.d/.toml.d/")
	tr.expectIgnored("leftovers")
	tr.make("farms.d.bak/", "other", "farms.d.bak/web.toml")
	tr.expectIgnored("neighbours")
}

func TestDropIns(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/old.toml.d/")
	tr.make("farms.d/old.toml.d/x.toml")
	tr.expectRelevant("a file in drop-ins that were there")
	tr.make("farms.d/web.toml.d/")
	tr.expectRelevant("drop-ins")
	tr.make("farms.d/web.toml.d/health.toml")
	tr.expectRelevant("a file in them")
	tr.remove("farms.d/web.toml.d")
	tr.expectRelevant("their removal")
	tr.make("farms.d/web.toml.d/")
	tr.expectRelevant("their return")
	tr.make("farms.d/web.toml.d/health.toml")
	tr.expectRelevant("a file in them then")
	tr.make("farms.d/other/", "elsewhere/")
	tr.expectRelevant("another directory")
	tr.make("farms.d/other/x.toml")
	tr.expectIgnored("a file in a directory that holds no drop-ins")
}

func TestDropInsMovedThere(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/", "made/health.toml")
	tr.rename("made", "farms.d/web.toml.d")
	tr.expectRelevant("drop-ins")
	tr.make("farms.d/web.toml.d/health.toml")
	tr.expectRelevant("a write to a file that came with them")
}

func TestDirectoryMadeAgain(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/web.toml")
	tr.remove("farms.d")
	tr.expectRelevant("its removal")
	tr.make("farms.d/")
	tr.expectRelevant("its return")
	tr.make("farms.d/web.toml")
	tr.expectRelevant("a file in it")
}

func TestDirectoryMadeAgainAtOnce(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/web.toml.d/")
	tr.remove("farms.d")
	tr.make("farms.d/web.toml.d/")
	tr.expectRelevant("its return")
	tr.make("farms.d/web.toml.d/health.toml")
	tr.expectRelevant("a file in its drop-ins")
}

func TestDirectoryThatAppearsLater(t *testing.T) {
	tr := newWatchedTree(t)
	tr.watcher.dirs[0] = tr.at("run/farmc/farms.d")
	tr.must(tr.watcher.watchAll())
	tr.make("run/")
	tr.expectRelevant("a directory on the way")
	tr.make("run/farmc/farms.d/")
	tr.expectRelevant("the directory")
	tr.make("run/farmc/farms.d/web.toml")
	tr.expectRelevant("a file in it")
	tr.rename("run", "run.old")
	tr.make("run/farmc/farms.d/")
	tr.expectRelevant("another way")
	tr.make("run.old/farmc/farms.d/web.toml")
	tr.expectIgnored("a file where the directory was")
	tr.make("run/farmc/farms.d/web.toml")
	tr.expectRelevant("a file where it is")
}

func TestLinkSwap(t *testing.T) {
	tr := newWatchedTree(t, "v1/web.toml", "v2/web.toml", "farms.d -> v1")
	tr.make("v1/web.toml")
	tr.expectRelevant("a write behind the link")
	tr.make("new -> v2")
	tr.rename("new", "farms.d")
	tr.expectRelevant("the swap")
	tr.make("v1/web.toml")
	tr.expectIgnored("a write where the link led")
	tr.make("v2/web.toml")
	tr.expectRelevant("a write where it leads")
	if slices.Contains(tr.watcher.watcher.WatchList(), tr.at("v1")) {
		t.Error("still watches the old target of the symlink")
	}
}

func TestLinkOnTheWay(t *testing.T) {
	tr := newWatchedTree(t, "v1/here/farms/", "v2/here/farms/", "current -> v1",
		"farms.d -> ./current/here/../here/farms")
	tr.make("new -> v2")
	tr.rename("new", "current")
	tr.expectRelevant("the swap")
	tr.make("v2/here/farms/web.toml")
	tr.expectRelevant("a file where it leads")
}

// The tree has the layout of a ConfigMap of Kubernetes.
func TestConfigMap(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/..1/web.toml", "farms.d/..2/web.toml", "farms.d/..data -> ..1",
		"farms.d/web.toml -> ..data/web.toml")
	tr.make("farms.d/..data_tmp -> ..2")
	tr.rename("farms.d/..data_tmp", "farms.d/..data")
	tr.expectRelevant("the swap")
	tr.make("farms.d/..2/web.toml")
	tr.expectRelevant("a write where it leads")
}

func TestLinkedFile(t *testing.T) {
	tr := newWatchedTree(t, "available/web.toml", "farms.d/", "farms.d/web.toml -> ../available/web.toml")
	tr.make("available/web.toml")
	tr.expectRelevant("a write behind the link")
	tr.make("available/other.toml")
	tr.expectIgnored("its neighbour")
	tr.rename("available/other.toml", "available/web.toml")
	tr.expectRelevant("a rename over it")
	tr.make("available/mail.toml", "farms.d/mail.toml -> "+tr.at("available/mail.toml"))
	tr.expectRelevant("a new link")
	tr.make("available/mail.toml")
	tr.expectRelevant("a write behind the new link")
}

func TestLinkedDropIns(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/", "shared/")
	tr.make("farms.d/web.toml.d -> ../shared")
	tr.expectRelevant("the link")
	tr.make("shared/health.toml")
	tr.expectRelevant("a file behind it")
}

func TestMaskedFarm(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/", "farms.d/web.toml -> /dev/null", "farms.d/web.toml.d -> /dev/null")
	tr.must(os.WriteFile(os.DevNull, []byte("text"), 0))
	tr.expectIgnored("a write to /dev/null")
	if watches := tr.watcher.watcher.WatchList(); slices.Contains(watches, "/dev") {
		t.Error("watches", watches)
	}
}

func TestLinkThatLeadsToItself(t *testing.T) {
	tr := newWatchedTree(t, "farms.d -> farms.d")
	tr.remove("farms.d")
	tr.make("farms.d/")
	tr.expectRelevant("a directory in its place")
}

// If a directory is moved and then deleted, fsnotify sends an error, and holds its lock until the error is received.
func TestMovedAndRemoved(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/web.toml.d/x.toml")
	tr.rename("farms.d/web.toml.d", "x")
	tr.remove("x")
	for event := range tr.watcher.watcher.Events {
		if event.Name == tr.at("farms.d/web.toml.d") {
			break
		}
	}
	tr.must(tr.watcher.watchAll())
	tr.make("farms.d/web.toml")
	tr.expectRelevant("a file")
}

func TestOverflow(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/a~", "farms.d/b~")
	for range 11_000 { // 22,000 events: 16,384 fit into the queue, 4,096 into fsnotify's buffer
		tr.must(os.Chmod(tr.at("farms.d/a~"), 0o600))
		tr.must(os.Chmod(tr.at("farms.d/b~"), 0o600))
	}
	tr.make("farms.d/web.toml.d/")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for relevant := false; !relevant; {
		var err error
		relevant, err = tr.watcher.next(ctx)
		tr.must(errors.Join(err, ctx.Err()))
	}
	tr.make("farms.d/web.toml.d/health.toml")
	tr.expectRelevant("a file in drop-ins that came unheard")
}

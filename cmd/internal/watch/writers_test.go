package watch

import (
	"os"
	"testing"
)

// A file counts as being written while any process has it open for writing.
func TestWriters(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/", "elsewhere/")
	if tr.watcher.writers.open() {
		t.Error("a writer though nothing was written")
	}
	f, err := os.Create(tr.at("farms.d/web.toml"))
	tr.must(err)
	_, err = f.WriteString("listen = ")
	tr.must(err)
	tr.expectRelevant("a write")
	for range 2 {
		if !tr.watcher.writers.open() {
			t.Error("no writer though the file is open")
		}
	}
	tr.must(f.Close())
	if tr.watcher.writers.open() || len(tr.watcher.writers.files) > 0 {
		t.Error("a writer though the file is closed")
	}
	tr.make("new")
	tr.rename("new", "farms.d/web.toml")
	tr.expectRelevant("a rename")
	tr.remove("farms.d/web.toml")
	tr.expectRelevant("a removal")
	if tr.watcher.writers.open() {
		t.Error("a writer though the file is gone")
	}
}

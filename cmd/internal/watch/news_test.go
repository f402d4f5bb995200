package watch

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Each change is known at once, by its path.
func TestNews(t *testing.T) {
	tr := newTree(t, "farms.d/web.toml", "farms.d/mail.toml", "farms.d/web.toml.d/", "other/new.toml")
	news, err := NewNews()
	tr.must(err)
	defer news.Close()
	tr.must(news.Add(tr.at("farms.d")))
	tr.must(news.Add(tr.at("farms.d/web.toml.d")))
	changes := []struct {
		rule   string
		change func()
		paths  string // that must be among the news; "": there are none
	}{
		{"nothing", func() {}, ""},
		{"a text", func() { tr.make("farms.d/web.toml") }, "web.toml"},
		{"a file in a directory of drop-ins", func() { tr.make("farms.d/web.toml.d/a.toml") }, "web.toml.d/a.toml"},
		{"a mode", func() { tr.must(os.Chmod(tr.at("farms.d/mail.toml"), 0o666)) }, "mail.toml"},
		{"a rename", func() { tr.rename("farms.d/mail.toml", "farms.d/post.toml") }, "mail.toml post.toml"},
		{"a file from elsewhere", func() { tr.rename("other/new.toml", "farms.d/new.toml") }, "new.toml"},
		{"a symlink", func() { tr.make("farms.d/gone.toml -> /dev/null") }, "gone.toml"},
		{"a removal", func() { tr.remove("farms.d/new.toml") }, "new.toml"},
		{"a directory", func() { tr.make("farms.d/post.toml.d/") }, "post.toml.d"},
		{"the mode of the directory", func() { tr.must(os.Chmod(tr.at("farms.d"), 0o777)) }, "."},
		{"a directory that goes", func() { tr.remove("farms.d/web.toml.d") }, "web.toml.d"},
		{"the whole directory", func() { tr.rename("farms.d", "old.d") }, "."},
	}
	for _, c := range changes {
		c.change()
		paths, complete := news.Changed()
		if !complete || (len(paths) == 0) != (c.paths == "") {
			t.Errorf("%s: the news are %q, complete: %t", c.rule, paths, complete)
		}
		for _, name := range strings.Fields(c.paths) {
			if !slices.Contains(paths, strings.TrimSuffix(tr.at("farms.d/"+name), "/.")) {
				t.Errorf("%s: the news are %q, without %s", c.rule, paths, name)
			}
		}
	}
}

// News that the kernel had no room for are not complete.
func TestLostNews(t *testing.T) {
	tr := newTree(t, "farms.d/a", "farms.d/b")
	news, err := NewNews()
	tr.must(err)
	defer news.Close()
	tr.must(news.Add(tr.at("farms.d")))
	for range 20_000 { // fs.inotify.max_queued_events is 16,384; equal events in a row are one
		tr.must(os.Chmod(tr.at("farms.d/a"), 0o600))
		tr.must(os.Chmod(tr.at("farms.d/b"), 0o600))
	}
	if _, complete := news.Changed(); complete {
		t.Error("the news are complete")
	}
}

package watch

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestFingerprint(t *testing.T) {
	tr := newTree(t, "farms.d/web.toml", "farms.d/mail.toml.d/x.toml", "v1/dns.toml", "v2/dns.toml", "v -> v1",
		"farms.d/dns.toml -> ../v/dns.toml")
	p := poller{dirs: []string{tr.at("farms.d"), tr.at("run")}}
	p.changed()
	for _, c := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"nothing", func() {}, false},
		{"leftovers", func() { tr.make("farms.d/.web.toml.swp", "farms.d/web.toml~") }, false},
		{"create", func() { tr.make("farms.d/new.toml") }, true},
		{"same-size-other-file", func() { tr.make("new"); tr.rename("new", "farms.d/new.toml") }, true},
		{"delete", func() { tr.remove("farms.d/new.toml") }, true},
		{"chmod", func() { tr.must(os.Chmod(tr.at("farms.d/web.toml"), 0)) }, true},
		{"drop-in", func() { tr.make("farms.d/mail.toml.d/y.toml") }, true},
		{"drop-in-write-of-same-size", func() { tr.rewrite("farms.d/mail.toml.d/y.toml") }, true},
		{"link-on-the-way", func() { tr.make("new -> v2"); tr.rename("new", "v") }, true},
		{"link", func() { tr.make("new -> ../v2/dns.toml"); tr.rename("new", "farms.d/dns.toml") }, true},
		{"directory-appears", func() { tr.make("run/") }, true},
		{"directory-goes", func() { tr.remove("farms.d") }, true},
	} {
		c.change()
		if got := p.changed(); got != c.want {
			t.Errorf("%s: changed is %v", c.name, got)
		}
	}
}

// rewrite writes the file unchanged until its ctime differs; older kernels count milliseconds.
func (tr *tree) rewrite(path string) {
	var before, after syscall.Stat_t
	tr.must(syscall.Stat(tr.at(path), &before))
	for after.Ctim = before.Ctim; after.Ctim == before.Ctim; {
		tr.make(path)
		tr.must(syscall.Stat(tr.at(path), &after))
	}
}

func TestPoll(t *testing.T) {
	tr := newTree(t, "farms.d/")
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p := poller{dirs: []string{tr.at("farms.d")}}
		changes, unseen := make(chan struct{}), 0
		go func() {
			defer close(changes)
			p.listen(ctx, func() { unseen++ }, changes)
		}()
		<-changes // the first reading
		tr.make("farms.d/web.toml")
		<-changes
		if unseen != 2 {
			t.Errorf("%d changes without an event, of 2", unseen)
		}
		stop()
		for range changes {
			t.Error("a change of nothing")
		}
	})
}

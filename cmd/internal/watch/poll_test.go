package watch

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestFingerprint(t *testing.T) {
	sc := given(t, "farms.d/web.toml", "farms.d/mail.toml.d/x.toml", "v1/dns.toml", "v2/dns.toml", "v -> v1", "farms.d/dns.toml -> ../v/dns.toml")
	p := poll{dirs: []string{sc.at("farms.d"), sc.at("run")}}
	p.changed()
	for _, c := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"nothing", func() {}, false},
		{"leftovers", func() { sc.make("farms.d/.web.toml.swp", "farms.d/web.toml~") }, false},
		{"create", func() { sc.make("farms.d/new.toml") }, true},
		{"same-size-other-file", func() { sc.make("new"); sc.rename("new", "farms.d/new.toml") }, true},
		{"delete", func() { sc.remove("farms.d/new.toml") }, true},
		{"chmod", func() { sc.must(os.Chmod(sc.at("farms.d/web.toml"), 0)) }, true},
		{"drop-in", func() { sc.make("farms.d/mail.toml.d/y.toml") }, true},
		{"drop-in-write-of-same-size", func() { sc.rewrite("farms.d/mail.toml.d/y.toml") }, true},
		{"link-on-the-way", func() { sc.make("new -> v2"); sc.rename("new", "v") }, true},
		{"link", func() { sc.make("new -> ../v2/dns.toml"); sc.rename("new", "farms.d/dns.toml") }, true},
		{"directory-appears", func() { sc.make("run/") }, true},
		{"directory-goes", func() { sc.remove("farms.d") }, true},
	} {
		c.change()
		if got := p.changed(); got != c.want {
			t.Errorf("%s: changed is %v", c.name, got)
		}
	}
}

// rewrite writes the file as it is until that can be told by its time; older kernels count milliseconds.
func (sc *scene) rewrite(path string) {
	var before, after syscall.Stat_t
	sc.must(syscall.Stat(sc.at(path), &before))
	for after.Ctim = before.Ctim; after.Ctim == before.Ctim; {
		sc.make(path)
		sc.must(syscall.Stat(sc.at(path), &after))
	}
}

func TestPoll(t *testing.T) {
	sc := given(t, "farms.d/")
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p := poll{dirs: []string{sc.at("farms.d")}}
		changes := make(chan struct{})
		go func() {
			defer close(changes)
			p.listen(ctx, changes)
		}()
		<-changes // nothing was known
		sc.make("farms.d/web.toml")
		<-changes
		stop()
		for range changes {
			t.Error("a change of nothing")
		}
	})
}

package watch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A poll reads the directories again and again.
type poll struct {
	dirs []string
	last []byte // the fingerprint of what was there
}

// listen sends whenever a reading differs from the one before, until ctx is done. The first one differs from none:
// what happened while nobody listened isn't known.
func (p *poll) listen(ctx context.Context, changes chan<- struct{}) {
	for ctx.Err() == nil {
		begin := time.Now()
		if p.changed() {
			tell(ctx, changes)
		}
		pause(ctx, max(time.Second, 10*time.Since(begin))) // many thousands of farms take a quarter of a second
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (p *poll) changed() bool {
	hash := sha256.New()
	for _, dir := range p.dirs {
		fingerprint(hash, dir, true)
	}
	sum := hash.Sum(nil)
	same := bytes.Equal(sum, p.last)
	p.last = sum
	return !same
}

// fingerprint writes what tells the state of a directory from another: of each entry the name, and what it is.
func fingerprint(w io.Writer, dir string, farms bool) {
	entries, err := os.ReadDir(dir)
	fmt.Fprintf(w, "%q %v\n", dir, err)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if farms && dropIns(entry.Name()) {
			fingerprint(w, path, false)
		}
		if matters(entry.Name()) {
			state(w, path)
		}
	}
}

// state writes what changes with a file: where a link leads, and of what is there device, inode, size, rights and the
// time of the last change (ctime, which no program can set back).
func state(w io.Writer, path string) {
	target, _ := os.Readlink(path)
	fmt.Fprintf(w, "%q %q", path, target)
	if info, err := os.Stat(path); err == nil {
		s := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(w, s.Dev, s.Ino, s.Size, s.Mode, s.Ctim)
	}
}

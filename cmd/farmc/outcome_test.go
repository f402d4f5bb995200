package main

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"farmc/cmd/internal/live"
)

// A load that cannot be kept is told once for each reason, whichever file of the state directory does not fit.
func TestKeysOfUnkeptLoads(t *testing.T) {
	unkept := func(file string, why error) string {
		err := fmt.Errorf("%w: %w", live.ErrUnkept, &fs.PathError{Op: "write", Path: file, Err: why})
		return outcome{err: err}.key()
	}
	first := unkept("loaded.nft.tmp", syscall.ENOSPC)
	if other := unkept("loaded.zip.tmp", syscall.ENOSPC); other != first {
		t.Errorf("a full disk has the keys %q and %q", first, other)
	}
	if other := unkept("loaded.nft.tmp", syscall.EROFS); other == first {
		t.Errorf("a full disk and a read-only one have the key %q", other)
	}
}

package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"farmc/cmd/internal/permission"

	"golang.org/x/sys/unix"
)

// A replacement is the record of a change. Digests are hexadecimal SHA-256; absent is the digest of a missing file.
type replacement struct {
	Path      string `json:"path"`
	Temporary string `json:"temporary"`
	Before    string `json:"before"` // digest of the text that the change was made from
	After     string `json:"after"`  // digest of the new text
	NewDir    bool   `json:"newDir,omitempty"`
}

const absent = ""

// Replace makes one change. A kill leaves the old file or the new one; a hidden file may stay beside it.
func Replace(c Change) error {
	if err := c.verify(); err != nil {
		return err
	}
	r := newReplacement(c)
	if err := r.create(c.Text); err != nil {
		return err
	}
	return errors.Join(r.commit(), syncDir(filepath.Dir(c.Path)))
}

func newReplacement(c Change) replacement {
	dir, base := filepath.Split(c.Path)
	_, err := os.Stat(dir)
	return replacement{Path: c.Path, Temporary: filepath.Join(dir, ".farmc-"+base+".new"), Before: digest(c.Before),
		After: digest(c.Text), NewDir: errors.Is(err, fs.ErrNotExist)}
}

// verify returns ErrChanged if the file does not have the text that the change was made from.
func (c Change) verify() error {
	text, err := readOrAbsent(c.Path)
	if err == nil && (text == nil) == (c.Before == nil) && bytes.Equal(text, c.Before) {
		return nil
	}
	return errors.Join(err, fmt.Errorf("%s: %w", c.Path, ErrChanged))
}

// create writes the new file with the mode and the owner of the old one. A file to be removed has no new file.
func (r replacement) create(text []byte) error {
	if r.After == absent {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(r.Path), 0o755); err != nil {
		return err
	}
	mode, user, group := os.FileMode(0o644), -1, -1
	if old, err := os.Stat(r.Path); err == nil {
		of := old.Sys().(*syscall.Stat_t)
		mode, user, group = old.Mode().Perm(), int(of.Uid), int(of.Gid)
	}
	if err := writeSynced(r.Temporary, text, mode); err != nil {
		return err
	}
	if user < 0 {
		return nil
	}
	return setOwner(r.Temporary, user, group)
}

// setOwner gives a file to a user and a group. A file that has them already is left alone, because the sandbox of
// farmc-watch.service forbids the system call, even without an effect.
func setOwner(path string, user, group int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if now := info.Sys().(*syscall.Stat_t); int(now.Uid) == user && int(now.Gid) == group {
		return nil
	}
	return os.Chown(path, user, group)
}

// Replaceable returns why a new text of a file cannot have the owner and the group of the old one, or nil. Without
// CAP_CHOWN, which the sandbox of farmc-watch.service lacks, a new file has those of the process, or the group of a
// directory with the set-group-ID bit.
func Replaceable(path string) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(path)
	if err != nil || mayChown() {
		return nil
	}
	of := info.Sys().(*syscall.Stat_t)
	if int(of.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %s; to change that: chown %d %[1]s", path,
			permission.UserName(of.Uid), os.Geteuid())
	}
	if now := newGroup(filepath.Dir(path)); int(of.Gid) != now {
		return fmt.Errorf("%s has the group %s; to change that: chgrp %d %[1]s", path,
			permission.GroupName(of.Gid), now)
	}
	return nil
}

// mayChown reports whether this process may give files to others.
func mayChown() bool {
	var sets [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0])
	return err == nil && sets[0].Effective&(1<<unix.CAP_CHOWN) != 0
}

// newGroup returns the group that a new file in a directory has.
func newGroup(dir string) int {
	if info, err := os.Stat(dir); err == nil && info.Mode()&os.ModeSetgid != 0 {
		return int(info.Sys().(*syscall.Stat_t).Gid)
	}
	return os.Getegid()
}

// commit puts the new file in its place, unless that is done already.
func (r replacement) commit() error {
	now, err := readOrAbsent(r.Path)
	switch {
	case err != nil:
		return err
	case digest(now) == r.After:
		return removeFile(r.Temporary)
	case !r.isBefore(now):
		return errors.Join(ErrChanged, removeFile(r.Temporary))
	case r.After == absent:
		return removeFile(r.Path)
	case r.Before == absent:
		return r.put()
	}
	return r.exchange()
}

// put gives the new file its name, unless another program has created a file of that name.
func (r replacement) put() error {
	err := unix.Renameat2(unix.AT_FDCWD, r.Temporary, unix.AT_FDCWD, r.Path, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EEXIST):
		return errors.Join(ErrChanged, removeFile(r.Temporary))
	case isUnsupported(err):
		return os.Rename(r.Temporary, r.Path)
	}
	return err
}

// exchange swaps the old and the new file, and swaps them again if the old one was changed before that.
func (r replacement) exchange() error {
	swap := func() error {
		return unix.Renameat2(unix.AT_FDCWD, r.Temporary, unix.AT_FDCWD, r.Path, unix.RENAME_EXCHANGE)
	}
	err := swap()
	if isUnsupported(err) {
		return os.Rename(r.Temporary, r.Path)
	}
	if err != nil {
		return err
	}
	if old, err := readOrAbsent(r.Temporary); err != nil || !r.isBefore(old) {
		return errors.Join(ErrChanged, err, swap(), removeFile(r.Temporary))
	}
	return removeFile(r.Temporary)
}

// isUnsupported reports whether the file system has no flags of renameat2.
func isUnsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP)
}

func (r replacement) isBefore(text []byte) bool { return digest(text) == r.Before }

// readOrAbsent returns the text of a regular file, and nil if it does not exist.
func readOrAbsent(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	text, err := os.ReadFile(path)
	if text == nil {
		text = []byte{}
	}
	return text, err
}

// digest returns absent for a missing file.
func digest(text []byte) string {
	if text == nil {
		return absent
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

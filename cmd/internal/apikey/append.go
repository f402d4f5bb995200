package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// secretPrefix begins each key, so that programs that look for secrets in texts can find it.
const secretPrefix = "farmc_"

// Create adds a new key to the file at path, and returns its secret, which is stored nowhere. The file is replaced
// atomically, and keeps its group and at most the mode 0640. A new one has mode 0640 and the group farmc, so that
// farmc-api.service can read it, or mode 0600 without such a group. Two calls at once both add their key.
func Create(path string, k Key) (secret string, err error) {
	if err := k.Validate(); err != nil {
		return "", err
	}
	secret = secretPrefix + rand.Text()
	k.digest = sha256.Sum256([]byte(secret))
	if path, err = resolve(path); err != nil {
		return "", err
	}
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	defer unlock()
	return secret, appendKey(path, k)
}

// resolve follows symlinks, so that the target of a link is replaced, and not the link.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, os.MkdirAll(filepath.Dir(path), 0o755)
	}
	return target, err
}

// lockDirectory excludes other processes that add keys to files of the directory.
func lockDirectory(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

func appendKey(path string, k Key) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keys, _ := Parse(string(old)) // farmc watch reports the faults
	if keys.has(k.Name) {
		return fmt.Errorf("%s has a key %s already; delete its line to revoke it", path, k.Name)
	}
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return replace(path, text+k.line())
}

// replace writes a file beside the old one, and gives it the name of the old one.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".farmc-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, share(f, path), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// group is the group of the service that reads the file.
const group = "farmc"

// share gives a new file the group and the mode of the file that it replaces, or those of a first file.
func share(f *os.File, path string) error {
	mode, id := fs.FileMode(0o600), -1
	if old, err := os.Stat(path); err == nil {
		mode, id = old.Mode().Perm()&0o640, int(old.Sys().(*syscall.Stat_t).Gid)
	} else if g, err := user.LookupGroup(group); err == nil && os.Geteuid() == 0 {
		if id, err = strconv.Atoi(g.Gid); err != nil {
			return err
		}
		mode = 0o640
	}
	return errors.Join(f.Chown(-1, id), f.Chmod(mode))
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

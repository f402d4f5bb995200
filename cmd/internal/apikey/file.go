package apikey

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// A File is a file of keys. It is read at each search, so a key that is removed from the file is refused at the next
// request. It can be used by several goroutines at once.
type File struct {
	open func() (io.ReadCloser, error)
	log  func(format string, args ...any)

	mu     sync.Mutex
	text   string
	keys   Keys
	faults string // as logged last
}

// NewFile returns the file that open opens. A missing file has no keys. Faults are logged once until they change.
func NewFile(open func() (io.ReadCloser, error), log func(format string, args ...any)) *File {
	return &File{open: open, log: log}
}

// Find returns the key with a secret, if the file has it now.
func (f *File) Find(secret string) (Key, bool) { return f.current().Find(secret) }

// Has reports whether the file has a key now, with the same secret and the same permissions.
func (f *File) Has(k Key) bool {
	for _, known := range f.current() {
		if subtle.ConstantTimeCompare(known.digest[:], k.digest[:]) == 1 && known.Equal(k) {
			return true
		}
	}
	return false
}

// current returns the keys of the file. A file that cannot be read has none.
func (f *File) current() Keys {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := f.read()
	if err != nil {
		f.text, f.keys = "", nil
		f.report(err)
		return nil
	}
	if text != f.text {
		var errs []error
		f.text = text
		f.keys, errs = Parse(text)
		f.report(errors.Join(errs...))
	}
	return f.keys
}

// maxFile is the largest size of a file of keys, in bytes: about 8,000 keys.
const maxFile = 1 << 20

func (f *File) read() (string, error) {
	opened, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	return string(text), err
}

// report logs the faults of the file if they differ from the ones logged last.
func (f *File) report(err error) {
	faults := ""
	if err != nil {
		faults = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if faults != "" && faults != f.faults {
		f.log("API keys: %s", faults)
	}
	f.faults = faults
}

package probe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// readRegular reads a regular file of at most so many bytes. It does not wait for a file of another kind, such as a
// named pipe without a writer. Errors have no path, because a reason has it in its words where it is needed.
func readRegular(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(content)) > most {
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return content, withoutPath(err)
}

func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

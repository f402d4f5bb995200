package delegate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
)

// ErrDeclined reports that no process of this directory runs the command: there is none, it has other options or
// another version, or it belongs to another user. The caller runs the command itself.
var ErrDeclined = errors.New("no process serves the command")

// Ask has the server of a directory run a command, and returns its exit status. Another error than ErrDeclined means
// that the connection broke, so it is not known whether the command ran. The end of ctx ends the command; Ask still
// waits for its last output.
func Ask(ctx context.Context, dir string, r Request, stdout, stderr io.Writer) (status int, err error) {
	conn, err := dial(dir)
	if err != nil {
		return 0, ErrDeclined
	}
	defer conn.Close()
	if !isSameUser(conn) {
		return 0, ErrDeclined
	}
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return 0, ErrDeclined // the server runs nothing before it has the whole request
	}
	stop := context.AfterFunc(ctx, func() { conn.CloseWrite() })
	defer stop()
	for frames := json.NewDecoder(conn); ; {
		var f frame
		if err := frames.Decode(&f); err != nil {
			return 0, errors.Join(errors.New("farmc watch broke off; run farmc status"), err)
		}
		if f.Decline {
			return 0, ErrDeclined
		}
		_, outErr := stdout.Write(f.Stdout)
		_, err := stderr.Write(f.Stderr)
		if f.Status != nil {
			return *f.Status, nil
		}
		if errors.Join(outErr, err) != nil {
			conn.CloseWrite() // the output has no reader; the server ends the command
		}
	}
}

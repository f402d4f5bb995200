package delegate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// serving serves a directory with a handler until the test ends.
func serving(t *testing.T, run Handler) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/" + strings.Repeat("long", 20) // a longer path than a socket address holds
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { Serve(ctx, listener, run); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return dir
}

// echo prints the arguments, and returns their number as exit status.
func echo(_ context.Context, r Request, stdout, stderr io.Writer) (int, bool) {
	fmt.Fprint(stdout, r.Args)
	fmt.Fprint(stderr, r.Command)
	return len(r.Args), r.Command != "unknown"
}

func TestAsk(t *testing.T) {
	dir := serving(t, echo)
	var stdout, stderr bytes.Buffer
	status, err := Ask(t.Context(), dir, Request{Command: "apply", Args: []string{"a", "\x00\xff"}}, &stdout, &stderr)
	if status != 2 || err != nil || stderr.String() != "apply" || !strings.HasPrefix(stdout.String(), "[a \x00") {
		t.Errorf("Ask gives %d, %v, %q, %q", status, err, &stdout, &stderr)
	}
}

func TestAskDeclined(t *testing.T) {
	if _, err := Ask(t.Context(), t.TempDir(), Request{}, io.Discard, io.Discard); !errors.Is(err, ErrDeclined) {
		t.Errorf("without a server: %v", err)
	}
	dir := serving(t, func(context.Context, Request, io.Writer, io.Writer) (int, bool) { return 0, false })
	if _, err := Ask(t.Context(), dir, Request{}, io.Discard, io.Discard); !errors.Is(err, ErrDeclined) {
		t.Errorf("a declined command: %v", err)
	}
}

// The end of the client's context ends the command, and its last output arrives.
func TestAskInterrupted(t *testing.T) {
	dir := serving(t, func(ctx context.Context, _ Request, _, stderr io.Writer) (int, bool) {
		fmt.Fprint(stderr, "waiting, ")
		<-ctx.Done()
		fmt.Fprint(stderr, "stopped")
		return 1, true
	})
	ctx, stop := context.WithCancel(t.Context())
	var stderr notifying
	stderr.first = stop
	status, err := Ask(ctx, dir, Request{}, io.Discard, &stderr)
	if status != 1 || err != nil || stderr.String() != "waiting, stopped" {
		t.Errorf("Ask gives %d, %v, %q", status, err, stderr.String())
	}
}

// notifying calls first at the first write.
type notifying struct {
	bytes.Buffer
	first func()
}

func (n *notifying) Write(text []byte) (int, error) {
	if len(text) > 0 {
		n.first()
	}
	return n.Buffer.Write(text)
}

// Nonsense, a request that is too large, and clients that say nothing do not keep others from being served.
func TestServeHostileClients(t *testing.T) {
	dir := serving(t, echo)
	for _, text := range []string{"", "\x00\x01", "{", "[]\n", `{"args":"` + strings.Repeat("a", maxRequest) + `"}`} {
		conn, err := dial(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, text)
		if text != "" && text != "{" {
			answer, _ := io.ReadAll(conn)
			if !strings.Contains(string(answer), `"decline":true`) {
				t.Errorf("the answer to %.10q is %q", text, answer)
			}
		}
	}
	status, err := Ask(t.Context(), dir, Request{Command: "apply", Args: []string{"a"}}, io.Discard, io.Discard)
	if status != 1 || err != nil {
		t.Errorf("Ask gives %d, %v", status, err)
	}
}

func TestListenOnlyOnce(t *testing.T) {
	dir := serving(t, echo)
	if _, err := Listen(dir); !errors.Is(err, ErrServed) {
		t.Errorf("a second Listen gives %v", err)
	}
	left := t.TempDir()
	first, err := Listen(left)
	if err != nil {
		t.Fatal(err)
	}
	first.Close() // the socket stays, as after a kill
	second, err := Listen(left)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestSocketIsForThisUserAlone(t *testing.T) {
	dir := serving(t, echo)
	info, err := os.Stat(dir + "/" + Name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	conn, err := dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !isSameUser(conn) {
		t.Error("this user counts as another")
	}
}

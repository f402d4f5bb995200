package peer

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestUser(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	user, err := User(conn.(*net.UnixConn))
	if err != nil || int(user) != os.Geteuid() {
		t.Errorf("the user is %d, %v", user, err)
	}
	conn.Close()
	if user, err := User(conn.(*net.UnixConn)); err == nil {
		t.Errorf("the user of a closed connection is %d", user)
	}
}

func TestIsOwn(t *testing.T) {
	own := uint32(os.Geteuid())
	for user, want := range map[uint32]bool{0: true, own: true, own + 1: false} {
		if got := IsOwn(user); got != want {
			t.Errorf("user %d: %t", user, got)
		}
	}
}

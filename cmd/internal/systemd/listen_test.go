package systemd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The test runs itself with a socket as the service manager passes it, through a shell that knows its process ID.
func TestListeners(t *testing.T) {
	if os.Getenv("FARMC_TEST_SOCKET") != "" {
		all, err := Listeners()
		if err != nil || len(all) != 1 || os.Getenv("LISTEN_FDS") != "" {
			t.Fatalf("%d sockets, %v, LISTEN_FDS=%s", len(all), err, os.Getenv("LISTEN_FDS"))
		}
		fmt.Println("listens on", all[0].Addr())
		if again, err := Listeners(); len(again) > 0 || err != nil {
			t.Errorf("%d sockets at the second call, %v", len(again), err)
		}
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", "/proc/"+fmt.Sprint(os.Getpid())+"/exe",
		"-test.run=^TestListeners$")
	cmd.Env = append(os.Environ(), "FARMC_TEST_SOCKET=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=api.socket")
	cmd.ExtraFiles = []*os.File{socket}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "listens on "+l.Addr().String()+"\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestListenersOfAnotherProcess(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if all, err := Listeners(); len(all) > 0 || err != nil {
		t.Errorf("%d sockets, %v", len(all), err)
	}
}

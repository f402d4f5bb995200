package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstSocket is the descriptor of the first socket that the service manager passes (SD_LISTEN_FDS_START).
const firstSocket = 3

// Listeners gives the sockets that the service manager opened for this process (socket activation,
// sd_listen_fds(3)). It unsets the variables, and children do not inherit the sockets.
func Listeners() ([]net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	n, err := strconv.Atoi(count)
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	var out []net.Listener
	var errs []error
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), fmt.Sprintf("socket %d of the service manager", fd))
		l, err := net.FileListener(f) // duplicates the descriptor
		if errs = append(errs, err, f.Close()); err == nil {
			out = append(out, l)
		}
	}
	return out, errors.Join(errs...)
}

package machine

import (
	"os"
	"runtime"
	"testing"

	"farmc/cmd/internal/netlab"
)

// The main thread has the network namespace of the process. It stays with the goroutine that starts the tests, so no
// test moves it to another namespace.
func init() { runtime.LockOSThread() }

// NetFile names the file of the thread's network namespace, which has other links than that of the process.
func TestNetFile(t *testing.T) {
	t.Parallel()
	if own := NetFile("dev"); os.Geteuid() == 0 && own != "/proc/self/net/dev" {
		t.Errorf("in the namespace of the process: %s", own)
	}
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	var path string
	if err := lab.Client.Do(func() error { path = NetFile("dev"); return nil }); err != nil {
		t.Fatal(err)
	}
	if path != "/proc/thread-self/net/dev" {
		t.Errorf("in another namespace: %s", path)
	}
}

package netlab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// A program runs in the namespace of its host, and the rest of the process does not.
func TestRun(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	out, err := l.Backends[1].Run(t.Context(), "", "ip", "-brief", "address", "show", "eth0")
	if err != nil || !strings.Contains(out, "10.2.0.12/24") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := l.Client.Run(t.Context(), "in", "cat"); err != nil || out != "in" {
		t.Errorf("cat: %q, %v", out, err)
	}
	_, err = l.Client.Run(t.Context(), "", "sh", "-c", "echo why >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("a program that fails: %v", err)
	}
}

// Run kills a program at its deadline.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := l.Client.Run(ctx, "", "sleep", "60"); err == nil || time.Since(start) > patience {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

// Sysctl changes one host only.
func TestSysctl(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	if err := l.Client.Sysctl("net.ipv4.conf.eth0.accept_local", "1"); err != nil {
		t.Fatal(err)
	}
	for h, want := range map[*Host]string{l.Client: "1\n", l.Balancer: "0\n"} {
		err := h.Do(func() error {
			is, err := os.ReadFile("/proc/sys/net/ipv4/conf/eth0/accept_local")
			if string(is) != want {
				t.Errorf("%s: %q, want %q", h.Name, is, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A call of Do inside another runs on the inner host; after it the thread is on the outer one again.
func TestDoNests(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	at := func() string { return link(t, ownNamespace) }
	var outer, inner, again string
	err := l.Client.Do(func() error {
		outer = at()
		err := l.Balancer.Do(func() error {
			inner = at()
			return nil
		})
		again = at()
		return err
	})
	if err != nil || outer == inner || again != outer || at() == outer {
		t.Errorf("outer %s, inner %s, again %s, then %s; %v", outer, inner, again, at(), err)
	}
}

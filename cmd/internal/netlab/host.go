package netlab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Host is one machine of a Lab: a network namespace, with addresses, routes, sockets and programs of its own.
type Host struct {
	Name     string
	IP4, IP6 []netip.Addr // on its links; the first one is its source address by default

	lab *Lab
	ns  namespace
	net *netlink.Handle

	mark int // of the sockets that dial opens; 0: none
}

// Marked gives the host as a program whose sockets carry a mark (SO_MARK).
func (h *Host) Marked(mark int) *Host {
	marked := *h
	marked.mark = mark
	return &marked
}

// Do calls f on a thread that is in the host's namespace. Sockets and programs that f creates stay in it; goroutines
// that f starts are not in it.
func (h *Host) Do(f func() error) error {
	return h.ns.do(f)
}

// runLimit is the time limit for programs.
const runLimit = time.Minute

// Run runs a program on the host, with the given standard input, and gives its standard output. The error holds its
// standard error. Run kills the program after a minute; a program without a limit is started by Do(cmd.Start).
func (h *Host) Run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	defer context.AfterFunc(h.lab.ctx, cancel)()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaint
	cmd.WaitDelay = time.Second
	if err := h.Do(cmd.Start); err != nil {
		return "", fmt.Errorf("%s on %s: %w", name, h.Name, err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s on %s: %w: %s", name, h.Name, err, complaint.String())
	}
	return out.String(), nil
}

// Sysctl sets a kernel parameter of the host, as in Sysctl("net.ipv4.conf.eth0.accept_local", "1").
func (h *Host) Sysctl(name, value string) error {
	return h.Do(func() error { return sysctl(name, value) })
}

// sysctl sets a parameter of the thread's namespace, because /proc/sys/net belongs to that one.
func sysctl(name, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
	return os.WriteFile(path, []byte(value+"\n"), 0)
}

type setting struct{ name, value string }

// commonSysctls are the parameters of all hosts. A value for "default" applies to links that are created later.
var commonSysctls = []setting{
	{"net.ipv4.conf.all.rp_filter", "0"}, // new namespaces inherit it from the machine
	{"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv4.conf.lo.rp_filter", "0"},
	{"net.ipv4.conf.all.send_redirects", "0"},
	{"net.ipv4.conf.default.send_redirects", "0"},
	{"net.ipv4.conf.all.accept_redirects", "0"},
	{"net.ipv4.conf.default.accept_redirects", "0"},
	{"net.ipv6.conf.all.accept_redirects", "0"},
	{"net.ipv6.conf.default.accept_redirects", "0"},
	{"net.ipv6.conf.default.accept_ra", "0"},
	{"net.ipv6.conf.all.accept_dad", "0"}, // the greater of "all" and the link's counts
	{"net.ipv6.conf.default.accept_dad", "0"},
	{"net.ipv6.ip_nonlocal_bind", "1"}, // bind to addresses of an owned network, see ownNetwork
	{"net.ipv4.icmp_ratemask", "0"},    // no kind of error is limited
	{"net.ipv6.icmp.ratemask", ""},
	{"net.ipv4.ping_group_range", "0 0"}, // ping sockets
}

func (h *Host) sysctls(settings ...setting) error {
	return h.Do(func() error {
		for _, s := range settings {
			if err := sysctl(s.name, s.value); err != nil {
				return fmt.Errorf("on %s: %w", h.Name, err)
			}
		}
		return nil
	})
}

// newHost creates a host with no link but lo.
func (l *Lab) newHost(name string, ttl int) (*Host, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, lab: l, ns: ns}
	l.hosts = append(l.hosts, h)
	if err := h.Do(func() (err error) {
		h.net, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	}); err != nil {
		return nil, err
	}
	if err := h.sysctls(append(commonSysctls,
		setting{"net.ipv4.ip_default_ttl", fmt.Sprint(ttl)},
		setting{"net.ipv6.conf.default.hop_limit", fmt.Sprint(ttl)})...); err != nil {
		return nil, err
	}
	return h, h.up("lo")
}

func (h *Host) close() error {
	if h.net != nil {
		h.net.Close()
	}
	return h.ns.file.Close()
}

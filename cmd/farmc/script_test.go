package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestMain runs one of the programs of the scenarios if the binary has its name. Without root, tests run in a user
// namespace.
func TestMain(m *testing.M) {
	programs := map[string]func(){
		"farmc": calmly, "until": until, "plainly": plainly, "manager": manager, "terminal": terminal,
		"answer": answer, "converse": converse, "dnsserver": dnsServer}
	if programs[filepath.Base(os.Args[0])] == nil {
		if err := netlab.Enter(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // where nft is, on a plain user's PATH or not
	}
	testscript.Main(m, programs)
}

// TestScript runs the scenarios. Each has a network namespace in which farms work, and a mount namespace of its own.
//
// Beside testscript's own commands there are
//
//	exits STATUS COMMAND...         run it, and see that it ends with just this status
//	until [-count=N] PATTERN COMMAND...
//	                                run it again and again until its output matches (N times)
//	plainly farmc ARGUMENTS...      run farmc as a plain user, where this is [root]
//	manager SOCKET                  print the messages of services to systemd
//	terminal COMMAND...             run it on a terminal of its own; output to /dev/tty goes to standard error
//	answer ADDRESS                  answer on TCP connections with the bytes that arrive; print when it listens
//	converse ADDRESS                open a TCP connection, send a byte ten times a second; print when one returns
//	signal NAME                     send a signal to all background commands
//	tmpfs DIR OPTIONS               mount a file system
//
// and NFT is the real nft, for fakes that run it. Log lines about steps longer than a second are left out unless the
// environment has SLOW=told, because on a busy machine every step can take that long.
//
// With -short only the scenarios of quickScenarios run.
func TestScript(t *testing.T) {
	p := testscript.Params{
		Dir:                "testdata/script",
		Setup:              machine,
		Deadline:           time.Now().Add(15 * time.Minute), // of all together, on a machine that is busy
		RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"signal": signalAll,
			"tmpfs":  tmpfs,
		},
		Condition: condition,
	}
	if testing.Short() {
		for _, name := range strings.Fields(quickScenarios) {
			p.Files = append(p.Files, filepath.Join(p.Dir, name+".txtar"))
		}
		p.Dir = ""
	}
	testscript.Run(t, p)
}

// quickScenarios are the names of scenarios that take half a second at most, and of two that take little more: a load
// of changes alone, and by farmc watch.
const quickScenarios = `
apply-again-calls-no-nft apply-changes-without-rules apply-creates-state-directory apply-first
apply-keeps-previous apply-state-directory-read-only apply-without-root apply-without-state compile-unwritable
completion-zsh-and-fish default-directories diff-changes diff-errors diff-the-first-time explain-gateway
explain-per-packet graph hostile-names interface-came-back lenient-lists loads-only-changes mark-replies
marked-sources nft-crashes nft-fails-at-the-load nft-missing nft-refuses-a-line nft-refuses-without-reason
one-typo-in-twenty-farms persistence-group pipe-into-nft probe quiet schema state-directory-changed
unreadable-files version watch-applies-at-every-change
`

// calmly is farmc without log lines about steps that take long. Each of these is a single write.
func calmly() {
	if os.Getenv("SLOW") == "told" {
		main()
	}
	os.Exit(start(calm{os.Stderr}))
}

type calm struct{ io.Writer }

func (c calm) Write(words []byte) (int, error) {
	if slow.Match(words) {
		return len(words), nil
	}
	return c.Writer.Write(words)
}

var slow = regexp.MustCompile(`^nft [a-z ]+ \(\d+ lines\) \.\.\.\n$`)

// machine gives the scenario its namespaces, and sets the path of nft.
func machine(env *testscript.Env) error {
	env.Setenv("NFT", needMachine(env.T()))
	env.Setenv("STATE_DIRECTORY", filepath.Join(env.WorkDir, "state"))
	env.Setenv("LC_ALL", "C.UTF-8")
	env.Defer(sweep)
	// The scenario's files were just written. A child that another scenario forks at this moment has them open for
	// writing until its exec, and the kernel runs no program that is open for writing.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	return nil
}

// needMachine gives a test its own namespaces, and returns the path of nft. If that fails the test is skipped, or fails
// with CI set in the environment.
func needMachine(t interface {
	Skip(...any)
	Fatal(...any)
}) (nft string) {
	nft, err := exec.LookPath("nft")
	if err == nil {
		err = ownMachine()
	}
	switch {
	case err != nil && os.Getenv("CI") == "":
		t.Skip("no nft or no namespace here:", err)
	case err != nil:
		t.Fatal("no nft or no namespace here:", err)
	}
	return nft
}

// ownMachine gives this goroutine's thread and its children a network and a mount namespace. They end with the
// goroutine.
func ownMachine() error {
	runtime.LockOSThread() // never unlocked, so the thread ends with its goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	return errors.Join(
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
		os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0),
		// the script for this machine is the one that compile prints
		os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait", []byte("3600"), 0),
		loopback("192.0.2.0/24"), loopback("2001:db8::/64"), backendLink("10.0.0.0/8", "fd00::/8"))
}

// backendLink adds a link with routes to the networks of backends.
func backendLink(networks ...string) error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "backends"}, PeerName: "peer"}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add a link: %w", err)
	}
	link, err := netlink.LinkByName("backends")
	if err != nil {
		return err
	}
	err = netlink.LinkSetUp(link)
	for _, network := range networks {
		to, _ := netlink.ParseIPNet(network)
		err = errors.Join(err, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to}))
	}
	return err
}

// loopback makes all addresses of a network local.
func loopback(network string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	_, addresses, err := net.ParseCIDR(network)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetUp(lo), netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index,
		Dst: addresses, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}))
}

// sweep kills the processes that still run in this thread's network namespace. It panics in the namespace that the test
// was started from: a subtest runs in another thread than its test, and has to call needMachine itself.
func sweep() {
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if outer, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", os.Getppid())); err != nil || own == outer {
		panic("sweep needs a test in a network namespace of its own")
	}
	networks, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, network := range networks {
		pid, _ := strconv.Atoi(strings.Split(network, "/")[2])
		if its, err := os.Readlink(network); err == nil && its == own && pid != os.Getpid() {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// condition knows [root]: root of the machine, who can become another user; and [sysctl]: sysctls are writable, which
// they are not in some containers.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		users, err := os.ReadFile("/proc/self/uid_map")
		return os.Getuid() == 0 && strings.Contains(string(users), "4294967295"), err
	case "sysctl":
		var about unix.Statfs_t
		err := unix.Statfs("/proc/sys/user", &about)
		return about.Flags&unix.ST_RDONLY == 0, err
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	var exit *exec.ExitError
	status := 0
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d", status)
	}
}

func signalAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || unix.SignalNum("SIG"+args[0]) == 0 {
		ts.Fatalf("usage: signal NAME")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(unix.SignalNum("SIG" + args[0])))
	}
}

func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR OPTIONS")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, args[1]))
	ts.Defer(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// until is a program: it repeats a command until its output matches a pattern, for a minute at most.
func until() {
	flags := flag.NewFlagSet("until", flag.ExitOnError)
	least := flags.Int("count", 1, "least number of matches")
	flags.Parse(os.Args[1:])
	args := flags.Args()
	pattern := regexp.MustCompile("(?m)" + args[0])
	for patience := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out, err := exec.Command(args[1], args[2:]...).CombinedOutput()
		if len(pattern.FindAll(out, -1)) >= *least {
			return
		}
		if time.Now().After(patience) {
			fmt.Fprintf(os.Stderr, "%s\n%v\nafter a minute\n", out, err)
			os.Exit(1)
		}
	}
}

// manager is a program: it stands for systemd, and prints the messages that it receives.
func manager() {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: os.Args[1], Net: "unixgram"})
	for buffer := make([]byte, 4096); err == nil; {
		var n int
		if n, err = socket.Read(buffer); err == nil {
			fmt.Printf("%s\n", buffer[:n])
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// terminal is a program: it runs another program on a terminal, and copies all output of the terminal.
func terminal() {
	control, screen, err := openTerminal()
	if err == nil {
		cmd := exec.Command(os.Args[1], os.Args[2:]...)
		cmd.Stdout, cmd.ExtraFiles = os.Stdout, []*os.File{screen}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
		if err = cmd.Start(); err == nil {
			screen.Close()
			io.Copy(os.Stderr, control) // ends with an error when no process has the terminal open
			err = cmd.Wait()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func openTerminal() (control, screen *os.File, err error) {
	if control, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)); err != nil {
		return nil, nil, err
	}
	screen, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return control, screen, err
}

// plainly is a program: it runs farmc as user nobody, with read access to the scenario's files.
func plainly() {
	os.Chmod(filepath.Dir(os.Getenv("WORK")), 0o755)
	cmd := exec.Command("/proc/self/exe", os.Args[2:]...)
	cmd.Args[0] = os.Args[1]
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if os.Getenv("GOCOVERDIR") != "" { // not writable for that user
		own, _ := os.MkdirTemp(os.Getenv("WORK"), ".coverage")
		os.Chmod(own, 0o777)
		cmd.Env = append(os.Environ(), "GOCOVERDIR="+own)
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

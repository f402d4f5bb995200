package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// exitPort is the I/O port at which a written byte ends the virtual machine.
const exitPort = 0xf4

// environment of the command.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
	"LANG=C.UTF-8", "TERM=dumb", "XDG_CACHE_HOME=/tmp/cache"}

// guest is the first process of the virtual machine: it mounts the root, runs the command, and ends the machine.
func guest() {
	status, err := runInGuest()
	if err != nil {
		fmt.Println("vm:", err) // the console, which the host shows
	}
	port, err := os.OpenFile("/dev/port", os.O_WRONLY, 0)
	if err == nil {
		_, err = port.WriteAt([]byte{byte(status + 1)}, exitPort)
	}
	panic(fmt.Sprint("the machine does not end: ", err))
}

func runInGuest() (status int, err error) {
	if err := mountAll(earlyMounts); err != nil {
		return statusFailed, err
	}
	if err := insertModules(); err != nil {
		return statusFailed, err
	}
	words, err := os.ReadFile(commandFile)
	if err != nil {
		return statusFailed, err
	}
	if err := mountAll(rootMounts); err != nil {
		return statusFailed, err
	}
	if err := changeRoot("/new"); err != nil {
		return statusFailed, err
	}
	if err := mountAll(lateMounts); err != nil {
		return statusFailed, err
	}
	var command []string
	if err := json.Unmarshal(words, &command); err != nil {
		return statusFailed, err
	}
	out, err := serialPort("/dev/ttyS1")
	if err != nil {
		return statusFailed, err
	}
	return start(append([]string{"/bin/sh", "-c", `ip link set lo up && exec "$@"`, "sh"}, command...), out)
}

// A mountPoint is made if it is missing.
type mountPoint struct {
	source, target, kind string
	flags                uintptr
	options              string
}

const ninep = "trans=virtio,version=9p2000.L,msize=262144,cache="

var earlyMounts = []mountPoint{
	{"dev", "/dev", "devtmpfs", 0, ""},
	{"proc", "/proc", "proc", 0, ""},
	{"sys", "/sys", "sysfs", 0, ""},
}

var rootMounts = []mountPoint{
	{"root", "/lower", "9p", unix.MS_RDONLY, ninep + "loose"},
	{"tmpfs", "/layer", "tmpfs", 0, "size=90%,mode=755"},
	{"", "/layer/upper", "", 0, ""},
	{"", "/layer/work", "", 0, ""},
	{"overlay", "/new", "overlay", 0, "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work"},
	{"modules", "/new/usr/lib/modules", "9p", unix.MS_RDONLY, ninep + "loose"},
	{"work", "/new/work", "9p", 0, ninep + "none"},
	{"/dev", "/new/dev", "", unix.MS_MOVE, ""},
	{"/proc", "/new/proc", "", unix.MS_MOVE, ""},
	{"/sys", "/new/sys", "", unix.MS_MOVE, ""},
}

var lateMounts = []mountPoint{
	{"devpts", "/dev/pts", "devpts", 0, ""},
	{"shm", "/dev/shm", "tmpfs", 0, ""},
	{"run", "/run", "tmpfs", 0, "mode=755"},
	{"tmp", "/tmp", "tmpfs", 0, "mode=1777"},
	{"cgroup", "/sys/fs/cgroup", "cgroup2", 0, ""},
	{"tracefs", "/sys/kernel/tracing", "tracefs", 0, ""},
}

// mountAll makes the mount points and mounts them. Without a source a mount point is a directory only.
func mountAll(points []mountPoint) error {
	for _, p := range points {
		if err := os.MkdirAll(p.target, 0o755); err != nil {
			return err
		}
		if p.source == "" {
			continue
		}
		if err := unix.Mount(p.source, p.target, p.kind, p.flags, p.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", p.source, p.target, err)
		}
	}
	return nil
}

// insertModules inserts the modules of the initramfs in the order of their names.
func insertModules() error {
	files, err := filepath.Glob("/" + moduleDir + "/*")
	if err != nil {
		return err
	}
	for _, name := range files {
		object, err := os.ReadFile(name)
		if err == nil {
			err = unix.InitModule(object, "")
		}
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("insert the module %s: %w", name, err)
		}
	}
	return nil
}

// changeRoot makes a mount the root. It is moved there, as user namespaces are refused to processes after a chroot
// alone.
func changeRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s: %w", dir, err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/work")
}

// serialPort opens a serial port that changes no byte.
func serialPort(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	mode, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	mode.Oflag &^= unix.OPOST
	mode.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	return f, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, mode)
}

// start runs a command to its end, and waits for the orphans that are left to the first process.
func start(command []string, out *os.File) (status int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return statusFailed, err
	}
	p, err := os.StartProcess(command[0], command, &os.ProcAttr{Dir: "/work", Env: environment,
		Files: []*os.File{null, out, out}})
	if err != nil {
		return statusFailed, fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	for {
		var ended unix.WaitStatus
		pid, err := unix.Wait4(-1, &ended, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return statusFailed, err
		case pid == p.Pid && ended.Signaled():
			return statusFailed, fmt.Errorf("the command was killed: %s", ended.Signal())
		case pid == p.Pid:
			return ended.ExitStatus(), drain(out)
		}
	}
}

// drain waits until the serial port has sent all bytes.
func drain(out *os.File) error {
	return unix.IoctlSetInt(int(out.Fd()), unix.TCSBRK, 1)
}

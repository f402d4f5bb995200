package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const qemu = "qemu-system-x86_64"

// boot runs the command in a virtual machine.
func boot(r request, userland, kernel debian) (status int, err error) {
	dir, err := os.MkdirTemp("", "farmc-vm-")
	if err != nil {
		return statusFailed, err
	}
	defer os.RemoveAll(dir)
	image, err := initramfs(kernel, r.command)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "initramfs"), image, 0o600)
	}
	if err != nil {
		return statusFailed, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, r.options(userland, kernel, dir)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that has started the child ends
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	log, _ := os.ReadFile(filepath.Join(dir, "console"))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return statusTooLong, fmt.Errorf("the command took longer than %s (-limit): %s", r.limit, lastLines(log))
	}
	return exitStatus(err, log)
}

// exitStatus is the status that the guest has written to the port of isa-debug-exit, one more and doubled by qemu, plus
// one. Other statuses are qemu's own.
func exitStatus(err error, console []byte) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 3 && exit.ExitCode()&1 == 1 {
		return exit.ExitCode()>>1 - 1, nil
	}
	if err == nil {
		err = errors.New("the kernel stopped")
	}
	return statusFailed, fmt.Errorf("%s: %w: %s", qemu, err, lastLines(console))
}

// options are the arguments of qemu. The console is a file, and the second serial port is the command's output.
func (r *request) options(userland, kernel debian, dir string) []string {
	share := func(tag, path, more string) string {
		return fmt.Sprintf("local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s", path, tag, more)
	}
	arguments := []string{"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none",
		"-m", r.memory, "-kernel", kernel.image(),
		"-initrd", filepath.Join(dir, "initramfs"),
		"-virtfs", share("root", string(userland), ",readonly=on"),
		"-virtfs", share("modules", filepath.Join(string(kernel), "kernel/lib/modules"), ",readonly=on"),
		"-virtfs", share("work", r.dir, ""),
		"-serial", "file:" + filepath.Join(dir, "console"),
		"-chardev", "stdio,id=out,signal=off", "-serial", "chardev:out",
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", exitPort)}
	line := "console=ttyS0 panic=-1 quiet mitigations=off net.ifnames=0 nokaslr"
	switch {
	case r.count: // with sleep=off the clock would jump to the next timer while the machine waits for its root by 9p
		arguments = append(arguments, "-accel", "tcg", "-icount", "shift=0,sleep=on,align=off", "-smp", "1",
			"-cpu", "max")
		line += " tsc=reliable clocksource=tsc nowatchdog"
	case worksKVM(kernel):
		arguments = append(arguments, "-accel", "kvm", "-smp", fmt.Sprint(r.cpus), "-cpu", kvmCPU, "-device",
			"virtio-rng-pci")
	default:
		arguments = append(arguments, "-accel", "tcg,thread=multi", "-smp", fmt.Sprint(r.cpus), "-cpu", "max",
			"-device", "virtio-rng-pci")
	}
	return append(arguments, "-append", line)
}

// kvmCPU is the processor of a machine in KVM. Where KVM runs in another virtual machine, it may not let a guest have
// IA32_ARCH_CAPABILITIES, and QEMU aborts.
const kvmCPU = "max,arch-capabilities=off"

// worksKVM reports whether the processor can run the kernel itself. A host that is a virtual machine may offer KVM in
// which a kernel does not start, so the kernel is started without a root: it stops at once by itself.
func worksKVM(kernel debian) bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	const limit = 15 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err = exec.CommandContext(ctx, qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-m", "512", "-accel", "kvm", "-cpu", kvmCPU, "-kernel", kernel.image(), "-append", "panic=-1 quiet").Run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "vm: the kernel does not start in KVM within %s, so the processor is emulated\n", limit)
	}
	return err == nil
}

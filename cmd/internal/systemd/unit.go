package systemd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// StartsUnits reports whether systemd can start a unit for this process: it is the init of this machine, and this
// process is root in the namespaces of init. A unit would run in the network of init, not in this one.
func StartsUnits() bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil || os.Geteuid() != 0 {
		return false
	}
	for _, kind := range []string{"net", "mnt", "user", "pid"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		init, err2 := os.Readlink("/proc/1/ns/" + kind)
		if err != nil || err2 != nil || own != init {
			return false
		}
	}
	_, err := exec.LookPath("systemd-run")
	return err == nil
}

// startTime is the longest time for the start of a unit.
const startTime = 10 * time.Second

// StartUnit starts a command as a transient service. The service is independent of the one that this process runs in.
func StartUnit(ctx context.Context, name, description string, command []string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	args := append([]string{"--quiet", "--collect", "--unit=" + name, "--description=" + description, "--"}, command...)
	out, err := exec.CommandContext(ctx, "systemd-run", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemd-run: %w: %s", err, strings.ToValidUTF8(strings.TrimSpace(string(out)), "?"))
	}
	return nil
}

package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"farmc/cmd/internal/preflight"
)

// The units of the package that load farms.
const (
	watchUnit = "farmc-watch.service"
	pathUnit  = "farmc.path"
	bootUnit  = "farmc-boot.service"
)

// A unit is the state of a unit in the words of systemd.
type unit struct{ load, active, enabled string }

// units finds units of farmc that failed, and rules that nothing loads at the next boot. Without systemd or the package
// it finds nothing.
func units(ctx context.Context) (found preflight.Findings) {
	all := readUnits(ctx)
	for _, name := range []string{bootUnit, watchUnit, pathUnit, "farmc-apply.service", "farmc-api.socket",
		"farmc-api.service", "farmc-health.service"} {
		if all[name].active == "failed" {
			found = append(found, &preflight.Finding{Kind: "unit", Object: name, Effect: preflight.Harms,
				Message: name + " failed", Commands: []string{"journalctl -n 20 -u " + name,
					"systemctl restart " + name}})
		}
	}
	installed := all[watchUnit].load == "loaded"
	if installed && all[bootUnit].enabled != "enabled" && all[watchUnit].enabled != "enabled" {
		found = append(found, &preflight.Finding{Kind: "unit", Object: "boot", Effect: preflight.Harms,
			Message:  "no unit loads the farms at the next boot",
			Commands: []string{fmt.Sprintf("systemctl enable %s %s", bootUnit, watchUnit)}})
	}
	if installed && all[watchUnit].active != "active" && all[pathUnit].active != "active" {
		found = append(found, &preflight.Finding{Kind: "unit", Object: "watch", Effect: preflight.Notes,
			Message: "no unit follows the files: an edit needs farmc apply, and rules that another program removes " +
				"stay away",
			Commands: []string{"systemctl enable --now " + watchUnit}})
	}
	return found
}

// readUnits asks systemd; the result is empty without it.
func readUnits(ctx context.Context) map[string]unit {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--no-pager",
		"--property=Id,LoadState,ActiveState,UnitFileState", "farmc*.service", "farmc.path", "farmc-api.socket",
		watchUnit, bootUnit).Output()
	if err != nil {
		return nil
	}
	all := map[string]unit{}
	for block := range strings.SplitSeq(string(out), "\n\n") {
		values := map[string]string{}
		for line := range strings.SplitSeq(block, "\n") {
			key, value, _ := strings.Cut(line, "=")
			values[key] = value
		}
		all[values["Id"]] = unit{values["LoadState"], values["ActiveState"], values["UnitFileState"]}
	}
	return all
}

package preflight

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// translators maps each conntrack helper to the kernel module that translates addresses inside of its connections. A
// rule that names a helper makes the kernel load the helper, but not its translator: nft_ct.c does not call
// nf_nat_helper_try_module_get. Without the translator a client receives the address of a backend.
var translators = map[string]module{
	"ftp":  {"nf_nat_ftp", "nf_nat_ftp"},
	"sip":  {"nf_nat_sip", "nf_nat_sip"},
	"tftp": {"nf_nat_tftp", "nf_nat_tftp_init"},
	"pptp": {"nf_nat_pptp", "pptp_nat_expected"},
	"snmp": {"nf_nat_snmp_basic", "nf_nat_snmp_basic_init"},
}

// A module is a kernel module, with a symbol that the kernel has if the module is built in.
type module struct{ name, symbol string }

// LoadTranslators loads the modules that translate addresses for the helpers of the farms, and returns a warning for
// each module that is neither loaded, nor can be loaded, nor is built in. Farms that are down need none.
func LoadTranslators(ctx context.Context, farms []*farm.Farm) diag.Diagnostics {
	return loadTranslators(ctx, translators, farms)
}

func loadTranslators(ctx context.Context, known map[string]module, farms []*farm.Farm) diag.Diagnostics {
	var warnings diag.Diagnostics
	tried := map[string]bool{}
	for _, f := range farms {
		m, ok := known[f.Helper]
		if !ok || f.Down || tried[f.Helper] {
			continue
		}
		tried[f.Helper] = true
		if !m.available(ctx) {
			warnings = append(warnings, diag.Diagnostic{
				Severity: diag.Warning,
				Farm:     f.Name,
				Message: fmt.Sprintf(
					"the kernel lacks module %s, so addresses inside of %s connections are not translated",
					m.name, f.Helper),
				Hint: "as root: modprobe " + m.name,
			})
		}
	}
	return warnings
}

// available loads the module if it is not loaded, and reports whether the kernel has it.
func (m module) available(ctx context.Context) bool {
	return isLoaded(m.name) || load(ctx, m.name) || isBuiltIn(m.symbol)
}

// load loads a module. A service without the privilege, like the packaged services, asks systemd to run
// modprobe@.service. That service succeeds even if modprobe fails.
func load(ctx context.Context, name string) bool {
	if exec.CommandContext(ctx, "modprobe", "-q", name).Run() == nil {
		return true
	}
	if os.Getenv("INVOCATION_ID") == "" {
		return false
	}
	err := exec.CommandContext(ctx, "systemctl", "--quiet", "start", "modprobe@"+name+".service").Run()
	return err == nil && isLoaded(name)
}

func isLoaded(name string) bool {
	_, err := os.Stat("/sys/module/" + name)
	return err == nil
}

// isBuiltIn reports whether the kernel has the symbol. It finds modules that are built in where modprobe knows no
// modules, as in a container.
func isBuiltIn(symbol string) bool {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 2 && words[2] == symbol {
			return true
		}
	}
	return false
}

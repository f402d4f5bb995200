package preflight

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"farmc/compiler"
	"farmc/compiler/diag"
)

// translators are the kernel's modules that translate what each helper finds inside of connections. With a rule that
// names a helper the kernel loads the helper itself, but not these (nf_nat_helper_try_module_get is not called by
// nft_ct.c), and clients would be told the address of a backend.
var translators = map[string]translator{
	"ftp":  {"nf_nat_ftp", "nf_nat_ftp"},
	"sip":  {"nf_nat_sip", "nf_nat_sip"},
	"tftp": {"nf_nat_tftp", "nf_nat_tftp_init"},
	"pptp": {"nf_nat_pptp", "pptp_nat_expected"},
	"snmp": {"nf_nat_snmp_basic", "nf_nat_snmp_basic_init"},
}

// A translator is a module, and a symbol that the kernel has if it is built in.
type translator struct{ module, symbol string }

// LoadTranslators loads what the farms' helpers need, and warns where it can't be had.
func LoadTranslators(ctx context.Context, farms []*compiler.Farm) diag.Diagnostics {
	return loadTranslators(ctx, translators, farms)
}

func loadTranslators(ctx context.Context, known map[string]translator, farms []*compiler.Farm) diag.Diagnostics {
	var told diag.Diagnostics
	tried := map[string]bool{}
	for _, f := range farms {
		of, ok := known[f.Helper]
		if !ok || f.Down || tried[f.Helper] {
			continue
		}
		tried[f.Helper] = true
		if !hasModule(of.module) && !loadModule(ctx, of.module) && !hasSymbol(of.symbol) {
			told = append(told, diag.Diagnostic{
				Severity: diag.Warning,
				Farm:     f.Name,
				Message:  fmt.Sprintf("the kernel does not translate the addresses inside of %s connections, as it lacks the module %s", f.Helper, of.module),
				Hint:     "as root: modprobe " + of.module,
			})
		}
	}
	return told
}

// loadModule has a module loaded. A service without the privilege to do it, as the packaged ones are, asks systemd, which
// has a service for that and doesn't tell how it went.
func loadModule(ctx context.Context, name string) bool {
	if exec.CommandContext(ctx, "modprobe", "-q", name).Run() == nil {
		return true
	}
	if os.Getenv("INVOCATION_ID") == "" {
		return false
	}
	err := exec.CommandContext(ctx, "systemctl", "--quiet", "start", "modprobe@"+name+".service").Run()
	return err == nil && hasModule(name)
}

// hasModule says whether a module is loaded.
func hasModule(name string) bool {
	_, err := os.Stat("/sys/module/" + name)
	return err == nil
}

// hasSymbol says whether the kernel has something of that name, which tells of a module that is built in where modprobe
// knows nothing, as in a container.
func hasSymbol(name string) bool {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 2 && words[2] == name {
			return true
		}
	}
	return false
}

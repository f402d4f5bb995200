package preflight

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

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

// LoadTranslators loads the modules that translate addresses for the helpers of the farms. Farms that are down need
// none. Find has a finding for each module that is absent afterwards.
func LoadTranslators(ctx context.Context, farms []*farm.Farm) {
	loadTranslators(ctx, translators, farms)
}

func loadTranslators(ctx context.Context, known map[string]module, farms []*farm.Farm) {
	tried := map[string]bool{}
	for _, f := range farms {
		if f.Helper == "" {
			continue
		}
		m, ok := known[f.Helper]
		if ok && !f.Down && !tried[f.Helper] && !isLoaded(m.name) {
			load(ctx, m.name)
		}
		tried[f.Helper] = true
	}
}

// translators finds modules that the kernel certainly lacks. A module that is built in has neither a directory in
// /sys/module nor a line in /proc/modules, and a service may read neither /proc/kallsyms (ProtectKernelTunables) nor
// /lib/modules (ProtectKernelModules). If all sources that could show it are hidden, there is no finding.
func (s *search) translators() { s.found.missingTranslators(translators, s.farms) }

func (c *collection) missingTranslators(known map[string]module, farms []*farm.Farm) {
	for _, f := range farms {
		m, ok := known[f.Helper]
		if !ok || f.Down || isLoaded(m.name) || m.mayBeBuiltIn() {
			continue
		}
		c.add(Finding{Kind: "module", Object: m.name, Effect: Harms,
			Message: fmt.Sprintf("the kernel lacks module %s, so addresses inside of %s connections are not translated",
				m.name, f.Helper),
			Commands: []string{"modprobe " + m.name},
			Advice:   "until the next boot; farmc loads the module with the farms"}, f)
	}
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

// mayBeBuiltIn reports whether the kernel has the module built in, or hides whether it has.
func (m module) mayBeBuiltIn() bool {
	return mayContain("/proc/kallsyms", func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 2 && words[2] == m.symbol
	})
}

// mayContain reports whether a file has a line, or cannot be read. A hidden file is empty or unreadable.
func mayContain(path string, matches func(line string) bool) bool {
	file, err := os.Open(path)
	if err != nil {
		return true
	}
	defer file.Close()
	n := 0
	lines := bufio.NewScanner(file)
	for ; lines.Scan(); n++ {
		if matches(lines.Text()) {
			return true
		}
	}
	return n == 0 || lines.Err() != nil
}

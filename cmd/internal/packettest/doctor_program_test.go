package packettest

import (
	"os"
	"strings"
	"testing"
)

// An ailment is a state of a machine that farmc doctor finds. Its remedy ends it.
type ailment struct {
	name   string
	files  files
	setUp  steps
	served step
	state  steps
	broken step // holds in the state; nil: packets pass

	by, with string // a program that runs farmc doctor in the state, and options of it
	says     string
	stops    bool   // packets or loads
	remedy   string // begin of the printed commands, which the test runs
	why      string // the commands cannot run here, or there are none
	machine  bool   // they change the whole machine: the test runs them if MACHINE is "mine", as in a VM
	cure     steps  // instead of commands that cannot run, or behind them
	after    step   // holds with the remedy; nil: the same as before
	later    steps  // the time in which findings about the past end
}

const closeWait = "net.netfilter.nf_conntrack_tcp_timeout_close_wait"

func ailments(t *testing.T) []ailment {
	reachesB1, ownServer := reaches{"192.0.2.1:80", "b1"}, reaches{"192.0.2.1:80", "balancer"}
	return []ailment{
		{name: "file-of-all-users", files: one4, served: answered, stops: true, broken: fails("apply"),
			state: steps{onHost(func(h *host) error { return os.Chmod(h.path("farms.d/web.toml"), 0o666) })},
			says:  "farms.d/web.toml: error: every user may write to it", remedy: "chmod o-w ",
			cure: steps{does("apply")}},
		{name: "rules-flushed", files: one4, served: reachesB1, stops: true, broken: ownServer,
			state: steps{nftScript("flush ruleset")}, says: "the kernel holds no farms", remedy: "farmc apply"},
		{name: "rules-of-another-state-directory", files: one4, served: reachesB1,
			state: steps{onHost(loadsElsewhere)}, broken: reaches{"192.0.2.1:80", "b2"},
			says: "the kernel has other rules", remedy: "farmc apply"},
		{name: "rules-of-the-boot", files: one4, served: reachesB1, broken: reachesB1,
			state: steps{onHost(func(h *host) error {
				return runs("nft -f " + h.path("state/boot.nft")).do(h.testbed)
			})},
			says: "the kernel has the rules of the boot", remedy: "farmc apply"},
		{name: "change-that-is-not-applied", files: one4, served: reachesB1, broken: reachesB1,
			state: steps{writes(files{"web.toml": oneBackend("snat", listen4, "b2", 0)})},
			says:  "the files have 2 changes that are not applied", remedy: "farmc apply",
			after: reaches{"192.0.2.1:80", "b2"}},
		{name: "kernel-without-queues", files: one4, setUp: steps{withoutQueues}, served: answered, stops: true,
			state:  steps{writes(files{"web.toml": oneBackend("snat", listen4, "b1", 0, `queue = "5"`)})},
			broken: fails("apply"), says: "this kernel has no queue statement (module nft_queue)",
			why: "needs another kernel", cure: steps{writes(one4)}},
		{name: "clock-set-back", files: one4, served: answered, state: steps{loadedTomorrow},
			says: "the clock was set back", remedy: "timedatectl set-ntp true",
			cure: steps{edits(files{"web.toml": oneBackend("snat", listen4, "b1", 8081)})},
			why:  "all namespaces have one clock; the advice is for a clock that is right by now"},
		{name: "old-nft", files: one4, served: answered, with: " --nft " + oldNft(t),
			says: "nft is 1.0.2, and farmc needs 1.0.6 at least", why: "no command installs a newer Debian"},
		{name: "old-kernel", files: one4, served: answered, by: "setarch --uname-2.6",
			says: "and farmc needs 6.1 at least: older kernels lack", why: "no command installs a newer Debian"},
		{name: "half-closed-connections", files: one4, served: answered, state: steps{sysctls{closeWait, "60"}},
			says: "note: new connections cost 8 to 15 % more", remedy: "sysctl -w " + closeWait + "=3600"},
		{name: "table-nearly-full", files: one4, served: answered, state: steps{fillTable(85)}, machine: true,
			says: "connection tracking has", remedy: "sysctl -w net.netfilter.nf_conntrack_max=",
			why: "the first namespace alone can change the table of all", cure: steps{emptyTable}},
		{name: "table-full", files: one4, served: answered, state: steps{fillTable(100)}, machine: true,
			broken: silence, says: "connection tracking has", remedy: "sysctl -w net.netfilter.nf_conntrack_max=",
			why: "the first namespace alone can change the table of all", cure: steps{emptyTable}},
		{name: "no-source-ports", files: one4UDP, served: answeredUDP, state: steps{takePorts}, broken: silenceUDP,
			setUp: steps{runs("ip address add 10.2.0.2/24 dev eth1")}, why: "the remedy is in words",
			says: "backend b1: 64512 of 64512 source ports of 10.2.0.1 to 10.2.0.11:80 are in use",
			cure: steps{edits(files{"web.toml": oneBackend("snat", `"192.0.2.1:80/udp"`, "b1", 0,
				`source-address = "10.2.0.2"`)})},
			later: steps{onHost(func(h *host) error { return os.Remove(h.path("state/findings.json")) })}},
		{name: "module-gone", files: files{"web.toml": oneBackend("snat", `"192.0.2.1:21"`, "b1", 0,
			`helper = "ftp"`)},
			setUp: steps{serveFTP{21}, ownMachine}, served: retrieve{to: "192.0.2.1:21", ways: "PASV"},
			state: steps{runs("modprobe -r nf_nat_ftp")}, broken: unhelped{"192.0.2.1:21"},
			says: "the kernel lacks module nf_nat_ftp", remedy: "modprobe nf_nat_ftp"},
	}
}

// TestDoctorProgram: a healthy machine does not have the finding. A state of the machine has it. The printed commands
// end the state, and packets pass.
func TestDoctorProgram(t *testing.T) {
	t.Parallel()
	program := farmc(t)
	for _, a := range ailments(t) {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.play(t, newHost(t, program, defaultLab))
		})
	}
}

func (a ailment) play(t *testing.T, h *host) {
	must(t, h.Balancer.Sysctl(closeWait, "3600"))
	must(t, h.play(a.setUp))
	must(t, edits(a.files)(h))
	must(t, a.served.do(h.testbed))
	a.isSilent(t, h)
	must(t, h.play(a.state))
	if a.broken == nil {
		a.broken = a.served
	}
	must(t, h.play(steps{a.broken}))
	out, err := h.farmcBy(a.by, "doctor"+a.with)
	t.Log(out)
	if (err != nil) != a.stops || !strings.Contains(out, a.says) {
		t.Fatalf("want %q, and exit status 1: %t, got %v", a.says, a.stops, err)
	}
	must(t, a.heal(t, h, hintOf(out, a.says)))
	must(t, h.play(a.cure))
	if a.after == nil {
		a.after = a.served
	}
	must(t, a.after.do(h.testbed))
	must(t, h.play(a.later))
	a.isSilent(t, h)
}

// isSilent wants no finding.
func (a ailment) isSilent(t *testing.T, h *host) {
	t.Helper()
	if out, err := h.farmc("doctor"); err != nil || !strings.HasSuffix(out, "1 farm, no finding\n") {
		t.Errorf("farmc doctor: %v: %s", err, out)
	}
}

// heal runs the printed commands.
func (a ailment) heal(t *testing.T, h *host, hint string) error {
	t.Helper()
	if !strings.HasPrefix(hint, a.remedy) {
		t.Errorf("the hint is %q, want %q", hint, a.remedy)
	}
	if a.why != "" && !(a.machine && wholeMachine()) {
		t.Log("the commands do not run here: ", a.why)
		return nil
	}
	commands, _, _ := strings.Cut(hint, " # ")
	if line, ok := strings.CutPrefix(commands, "farmc "); ok {
		return does(line)(h)
	}
	if a.machine {
		commands = "nsenter --net=/proc/1/ns/net " + commands
	}
	return runs(commands).do(h.testbed)
}

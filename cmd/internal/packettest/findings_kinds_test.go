package packettest

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// findingsElsewhere are the tests of findings that no findingCase shows: a function or a scenario of the command line.
// Each shows the state with the finding, and a state without it.
var findingsElsewhere = map[string]struct{ file, test string }{
	"legacy":       {"findings_machine_test.go", "TestFindingsOfLegacy"},
	"losses":       {"losses_test.go", "TestLossesAreFound"},
	"module":       {"../preflight/modules_test.go", "TestLoadTranslators"},
	"timeout":      {"../../farmc/testdata/script/warnings-of-apply.txtar", "nf_conntrack_tcp_timeout_close_wait"},
	"port":         {"../../farmc/testdata/script/take-over.txtar", "no longer: .* listens on 2222"},
	"link-program": {"findings_kinds_test.go", "TestProgramsOnLinks"},
	"tunnel":       {"../preflight/tunnels_test.go", "TestTunnels"},
	"own-share":    {"dsr_here_test.go", "ownShareFinding"},
	"unreadable":   {"findings_kinds_test.go", "TestUnreadableRules"},
}

// Each kind of finding has a machine on which it appears, and one on which it must not.
func TestKindsOfFindings(t *testing.T) {
	found, quiet := map[string]bool{}, map[string]bool{}
	for _, c := range slices.Concat(findingCases, findingRuleCases, findingFrameCases, findingMachineCases,
		findingKernelCases, findingTableCases, findingLoopbackCases,
		findingDSRHereCases, findingIngressCases, findingMarkCases) {
		found[c.kind] = true
	}
	for _, c := range quietRules {
		quiet[c.not] = true
	}
	for _, c := range quietStates {
		quiet[c.not] = true
	}
	for _, c := range quietLoopback {
		quiet[c.not] = true
	}
	for _, c := range quietDSRHere {
		quiet[c.not] = true
	}
	for _, c := range quietIngress {
		quiet[c.not] = true
	}
	for _, c := range quietMarks {
		quiet[c.not] = true
	}
	for _, c := range quietFilters {
		quiet[c.not] = true
	}
	for _, c := range quietTables {
		quiet[c.not] = true
	}
	for kind, e := range findingsElsewhere {
		text, err := os.ReadFile(e.file)
		has := err == nil && regexp.MustCompile(e.test).Match(text)
		found[kind], quiet[kind] = has, has
	}
	kinds := kindsOfFindings(t)
	for _, kind := range kinds {
		if !found[kind] || !quiet[kind] {
			t.Errorf("finding %s: a test where it appears is %t, and one where it must not %t", kind, found[kind],
				quiet[kind])
		}
	}
	if len(kinds) < 20 {
		t.Errorf("only %q are kinds of findings", kinds)
	}
}

// kindsOfFindings are the kinds in the sources of preflight.
func kindsOfFindings(t *testing.T) (kinds []string) {
	files, err := filepath.Glob("../preflight/*.go")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?:Kind: |loss\{)"([a-z0-9-]+)"`).FindAllSubmatch(text, -1) {
			kinds = append(kinds, string(m[1]))
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// A program at a link of the farm that farmc cannot follow is noted until it is detached, and one at another link is
// not.
func TestProgramsOnLinks(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen4, "b1", 0)}.do(s))
	must(t, otherLink.do(s))
	for object, at := range map[string]linkProgram{
		"xdp eth0 ingress": {"eth0", unix.BPF_XDP}, "tcx eth0 ingress": {"eth0", unix.BPF_TCX_INGRESS},
		"tcx eth0 egress": {"eth0", unix.BPF_TCX_EGRESS}, "tcx eth1 egress": {"eth1", unix.BPF_TCX_EGRESS},
		"": {"eth7", unix.BPF_TCX_INGRESS}, " ": {"eth7", unix.BPF_XDP},
	} {
		want := strings.Fields(object)
		var detach func() error
		must(t, s.Balancer.Do(func() (err error) {
			detach, err = at.attach(t)
			return err
		}))
		noted := s.notes("link-program")
		if len(noted) != min(len(want), 1) || len(want) > 0 && noted[0].Object != object {
			t.Errorf("with a program, want %q: noted %+v", object, noted)
		}
		must(t, s.Balancer.Do(func() error { return detach() }))
		if noted := s.notes("link-program"); len(noted) > 0 {
			t.Errorf("after %q: noted %+v", object, noted)
		}
	}
	must(t, asksSNAT4.do(s))
}

// A linkProgram is the place of a program at a link: unix.BPF_XDP, unix.BPF_TCX_INGRESS or unix.BPF_TCX_EGRESS.
type linkProgram struct {
	link string
	at   uint32
}

// attach attaches a program that lets all packets pass; one of tcx gives them the mark 7. The test is skipped where the
// kernel has none.
func (p linkProgram) attach(t *testing.T) (detach func() error, err error) {
	link, err := netlink.LinkByName(p.link)
	if err != nil {
		return nil, err
	}
	if p.at == unix.BPF_XDP {
		fd := loadProgram(t, unix.BPF_PROG_TYPE_XDP, 0x2_0000_00b7, 0x95) // return XDP_PASS
		detach := func() error {
			defer unix.Close(fd)
			return netlink.LinkSetXdpFdWithFlags(link, -1, unix.XDP_FLAGS_SKB_MODE)
		}
		return detach, netlink.LinkSetXdpFdWithFlags(link, fd, unix.XDP_FLAGS_SKB_MODE)
	}
	fd := loadProgram(t, unix.BPF_PROG_TYPE_SCHED_CLS,
		0x7_0008_0162,              // skb->mark = 7
		0xffffffff_0000_00b7, 0x95) // return TCX_NEXT
	attributes := [8]uint32{uint32(link.Attrs().Index), uint32(fd), p.at}
	call := func(command uintptr) error {
		_, _, failed := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(&attributes)),
			unsafe.Sizeof(attributes))
		if failed != 0 {
			return failed
		}
		return nil
	}
	if err := call(unix.BPF_PROG_ATTACH); errors.Is(err, unix.EINVAL) {
		t.Skip("no programs of tcx here: ", err)
	} else if err != nil {
		return nil, err
	}
	return func() error {
		defer unix.Close(fd)
		return call(unix.BPF_PROG_DETACH)
	}, nil
}

// loadProgram loads a program. The test is skipped where the kernel has none of the type.
func loadProgram(t *testing.T, kind uint32, program ...uint64) (fd int) {
	license := []byte("GPL\x00")
	attributes := make([]byte, 48)
	binary.NativeEndian.PutUint32(attributes, kind)
	binary.NativeEndian.PutUint32(attributes[4:], uint32(len(program)))
	binary.NativeEndian.PutUint64(attributes[8:], uint64(uintptr(unsafe.Pointer(&program[0]))))
	binary.NativeEndian.PutUint64(attributes[16:], uint64(uintptr(unsafe.Pointer(&license[0]))))
	loaded, _, failed := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attributes[0])),
		uintptr(len(attributes)))
	if failed != 0 {
		t.Skip("no programs here: ", failed)
	}
	return int(loaded)
}

// notes returns the findings of a kind, with those that only check --machine prints.
func (s *testbed) notes(kind string) (found preflight.Findings) {
	must(s.t, s.Balancer.Do(func() error {
		farms, err := s.engine.LoadedFarms()
		found = slices.DeleteFunc(s.engine.Findings(s.ctx, farms), func(f *preflight.Finding) bool {
			return f.Kind != kind
		})
		return err
	}))
	return found
}

// Rules of other programs that cannot be read are a finding.
func TestUnreadableRules(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen4, "b1", 0)}.do(s))
	must(t, s.Balancer.Do(func() error {
		farms, err := s.engine.LoadedFarms()
		ended, end := context.WithCancel(s.ctx)
		end()
		for ctx, want := range map[context.Context]bool{s.ctx: false, ended: true} {
			found := slices.ContainsFunc(preflight.Find(ctx, farms, preflight.Losses{}),
				func(f *preflight.Finding) bool { return f.Kind == "unreadable" })
			if found != want {
				t.Errorf("unreadable rules were found: %t, want %t", found, want)
			}
		}
		return err
	}))
}

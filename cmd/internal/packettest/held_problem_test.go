package packettest

import (
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestHeldProblem puts a problem of TestProblems on a machine, for a person who looks for it with the manuals alone:
//
//	PROBLEM=7 HOLD=/tmp/enter go test ./cmd/internal/packettest -run TestHeldProblem -v -timeout 2h
//
// It writes the script HOLD, which enters the machine, and prints the complaint of a user. Numbers begin at 1; their
// order says nothing. The machine stays until the script is removed or the test is interrupted.
func TestHeldProblem(t *testing.T) {
	enter := os.Getenv("HOLD")
	if enter == "" {
		t.Skip("for a person: set HOLD and PROBLEM")
	}
	all := shuffledProblems()
	number, err := strconv.Atoi(os.Getenv("PROBLEM"))
	if err != nil || number < 1 || number > len(all) {
		t.Fatalf("PROBLEM is %q, not a number from 1 to %d", os.Getenv("PROBLEM"), len(all))
	}
	p := all[number-1]
	h := newHost(t, farmc(t), p.lab)
	p.prepare(t, h)
	must(t, h.play(p.cause))
	p.complain(t, h)
	must(t, h.writeEntry(enter))
	t.Logf("complaint: %s", p.complaintOfUsers())
	t.Logf("enter the balancer: %s", enter)
	holdWhile(enter)
}

// shuffledProblems are all problems, in the same random order in each run.
func shuffledProblems() []problem {
	all := slices.Concat(machineProblems, farmProblems)
	rand.New(rand.NewPCG(3, 17)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// complaintOfUsers is the complaint, by default that of a client without an answer.
func (p problem) complaintOfUsers() string {
	if p.complaint != "" {
		return p.complaint
	}
	a, client := p.works.(attempt), complainer4
	if a.to[0] == '[' {
		client = complainer6
	}
	return "the client " + client + " gets no answer from " + a.to
}

// holdWhile waits until the file is gone, or a signal arrives.
func holdWhile(file string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
			os.Remove(file)
			return
		case <-time.After(200 * time.Millisecond):
			if _, err := os.Stat(file); err != nil {
				return
			}
		}
	}
}

// writeEntry writes a script that runs its arguments on the balancer, or a shell. In it farmc has the directories of
// the host.
func (h *host) writeEntry(path string) error {
	bin := filepath.Join(h.root, "bin")
	namespace, err := h.namespaceFile()
	if err != nil {
		return err
	}
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	farms := filepath.Join(h.root, "farms.d")
	wrapper := `#!/bin/sh
case $1 in
'' | -* | api | api-key | completion | help) exec ` + h.program + ` "$@" ;;
esac
exec ` + h.program + ` "$@" --dir ` + farms + " --dir " + filepath.Join(h.root, "run") +
		" --state-dir " + filepath.Join(h.root, "state") + "\n"
	if err := os.WriteFile(filepath.Join(bin, "farmc"), []byte(wrapper), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("#!/bin/sh\ncd "+farms+" || exit\n[ $# -gt 0 ] || set -- bash --norc\n"+
		"exec nsenter --net="+namespace+" env PATH="+bin+`:"$PATH" PS1='balancer# ' "$@"`+"\n"), 0o755)
}

// namespaceFile is the path of the balancer's namespace for other processes. It is valid until the test ends.
func (h *host) namespaceFile() (path string, err error) {
	err = h.Balancer.Do(func() error {
		f, err := os.Open("/proc/thread-self/ns/net")
		if err == nil {
			h.t.Cleanup(func() { f.Close() })
			path = filepath.Join("/proc", strconv.Itoa(os.Getpid()), "fd", strconv.Itoa(int(f.Fd())))
		}
		return err
	})
	return path, err
}

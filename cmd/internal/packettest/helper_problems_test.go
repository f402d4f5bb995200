package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// A problem is a state of a machine with a working farm, after which users complain. An administrator who has the
// complaint alone runs two commands of farmc, which must tell the cause.
type problem struct {
	name   string
	lab    netlab.Options
	before steps // before the farms are loaded
	files  files
	works  step  // the service without the problem
	cause  steps // puts the problem on the machine; commands of farmc are of type onHost
	wrong  step  // holds with the problem; nil: the client gets no answer
	looks  looks
	finds  []string // words of the two commands, which they do not print without the problem

	complaint string // of users; empty: the client gets no answer
}

// files are farms, drop-ins and lists by their path below the directory of farms.
type files map[string]string

// looks are the command lines of an administrator, without the directories; at most two.
type looks []string

// Command lines that fit most complaints: the manual says to begin with doctor, and to go on with the client.
var (
	looksForClient  = looks{"doctor", "explain 192.0.2.1:80 --from " + complainer4}
	looksForClient6 = looks{"doctor", "explain [2001:db8::1]:80 --from " + complainer6}
)

// The client that complains is client 0 of attempt.
const (
	complainer4 = "198.51.100.100"
	complainer6 = "2001:db8:c:100::1"
)

// Complaints about several problems.
const (
	ownPages = "192.0.2.1:80 shows the client " + complainer4 + " pages of the balancer itself, not those of b1"
	allToB2  = "b1 gets no new connections of 192.0.2.1:80: all go to b2"
	stillB1  = "we moved 192.0.2.1:80 to b2 in the farm file, and the client " + complainer4 + " still reaches b1"
)

// answered and answered6 are requests of the client that complains.
var (
	answered  = attempt{by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1}
	answered6 = attempt{by: "tcp", to: "[2001:db8::1]:80", times: 1, pass: 1}
)

// A host is a balancer with the program farmc, and farms in files.
type host struct {
	*testbed
	program, root string
}

func newHost(t *testing.T, program string, lab netlab.Options) *host {
	t.Helper()
	root, err := os.MkdirTemp("/var/lib", "farmc-test-") // only root can write on the way to it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	must(t, errors.Join(os.Mkdir(filepath.Join(root, "farms.d"), 0o755), os.Mkdir(filepath.Join(root, "run"), 0o755)))
	return &host{newTestbed(t, lab), program, root}
}

// write writes the files as an administrator does, and loads nothing.
func (h *host) write(all files) (err error) {
	for name, text := range all {
		path := filepath.Join(h.root, "farms.d", name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755))
		if takesPorts(text) {
			text = takingOver(text)
		}
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
	}
	return err
}

// farmc runs a command line on the balancer, and returns all that it prints.
func (h *host) farmc(line string) (string, error) { return h.farmcBy("", line) }

// farmcBy has a program run a command line.
func (h *host) farmcBy(by, line string) (string, error) {
	words := append(strings.Fields(by), h.program)
	words = append(words, strings.Fields(line)...)
	words = append(words, "--dir", filepath.Join(h.root, "farms.d"), "--dir", filepath.Join(h.root, "run"),
		"--state-dir", filepath.Join(h.root, "state"))
	return h.Balancer.Run(h.ctx, "", "sh", append([]string{"-c", `exec "$0" "$@" 2>&1`}, words...)...)
}

// onHost is a step that needs the program or the files.
type onHost func(h *host) error

func (onHost) do(*testbed) error { return errors.New("this step needs a host") }

// does runs a command of farmc that succeeds.
func does(line string) onHost {
	return func(h *host) error {
		out, err := h.farmc(line)
		if err != nil {
			return fmt.Errorf("farmc %s: %w: %s", line, err, out)
		}
		return nil
	}
}

// edits writes files and loads them.
func edits(all files) onHost {
	return func(h *host) error { return errors.Join(h.write(all), does("apply")(h)) }
}

// writes writes files that no command loads.
func writes(all files) onHost { return func(h *host) error { return h.write(all) } }

func (h *host) play(all steps) error {
	for _, s := range all {
		run := func() error { return s.do(h.testbed) }
		if own, ok := s.(onHost); ok {
			run = func() error { return own(h) }
		}
		if err := run(); err != nil {
			return err
		}
	}
	return nil
}

// look runs the commands, and returns all that they print. Their exit statuses differ.
func (h *host) look(all looks) string {
	var out strings.Builder
	for _, line := range all {
		text, _ := h.farmc(line)
		fmt.Fprintf(&out, "$ farmc %s\n%s", line, text)
	}
	return out.String()
}

// play loads the farms, sees them work, puts the problem on the machine, hears the complaint, and looks for the cause.
func (p problem) play(t *testing.T, program string) {
	h := newHost(t, program, p.lab)
	p.prepare(t, h)
	before := h.look(p.looks)
	for _, words := range p.finds {
		if strings.Contains(before, words) {
			t.Errorf("without the problem the commands print %q:\n%s", words, before)
		}
	}
	must(t, h.play(p.cause))
	p.complain(t, h)
	after := h.look(p.looks)
	t.Log(after)
	for _, words := range p.finds {
		if !strings.Contains(after, words) {
			t.Errorf("the commands do not print %q:\n%s", words, after)
		}
	}
}

// prepare loads the farms, and sees them work.
func (p problem) prepare(t *testing.T, h *host) {
	t.Helper()
	must(t, h.play(p.before))
	must(t, edits(p.files)(h))
	must(t, p.works.do(h.testbed))
}

// complain checks that users have the problem.
func (p problem) complain(t *testing.T, h *host) {
	t.Helper()
	if p.wrong != nil {
		must(t, p.wrong.do(h.testbed))
		return
	}
	q := p.works.(attempt)
	for _, service := range h.targets("", q.by, q.to) {
		if answer, err := service.ask(h.testbed); err == nil {
			t.Errorf("%s answers in spite of the problem", answer.Backend)
		}
	}
}

// ask is one request of the client that complains, within a second.
func (q target) ask(s *testbed) (netlab.Answer, error) {
	return s.Client.Ask(q.network, clientAddress(0, q.to.Addr().Is6()), q.to, time.Second)
}

// reaches is a request of the client that complains, and the backend that answers.
type reaches struct{ to, backend string }

func (r reaches) do(s *testbed) error {
	to := netip.MustParseAddrPort(r.to)
	answer, err := s.Client.Ask("tcp4", clientAddress(0, false), to, answerTimeout)
	if err == nil && answer.Backend != r.backend {
		err = fmt.Errorf("%s answers, want %s", answer.Backend, r.backend)
	}
	return err
}

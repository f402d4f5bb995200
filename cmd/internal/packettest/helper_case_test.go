package packettest

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(allTests{m})) }

// programs is the directory of programs that tests have built. It exists while the tests run.
var programs string

// allTests are the tests of the package, with a directory for programs.
type allTests struct{ *testing.M }

func (m allTests) Run() int {
	debug.SetGCPercent(400) // the heap is small, and its collection took 5 % of the processor time
	var err error
	if programs, err = os.MkdirTemp("", "packettest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	return m.M.Run()
}

// A testCase is a lab and the steps that run in it. Its name says the rule it holds.
type testCase struct {
	name  string
	lab   netlab.Options
	steps steps
}

// runCases runs cases in parallel, each in a testbed of its own. Package testing changes a name that is used twice, so
// that -run finds both cases or none; such a case fails.
func runCases(t *testing.T, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if !strings.HasSuffix(t.Name(), "/"+c.name) {
				t.Fatalf("the name %q is used twice, or has characters that -run does not match", c.name)
			}
			if err := c.steps.do(newTestbed(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}

// skipShort skips a test with -short.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("packets take too long for -short")
	}
}

// A step does something in the testbed. Its error says what is wrong.
type step interface {
	do(s *testbed) error
}

// steps run one after the other, until one fails.
type steps []step

func (all steps) do(s *testbed) error {
	for _, step := range all {
		if err := step.do(s); err != nil {
			return err
		}
	}
	return nil
}

// A stepFunc is a step of one case.
type stepFunc func(s *testbed) error

func (d stepFunc) do(s *testbed) error { return d(s) }

package packettest

import (
	"os"
	"testing"

	"farmc/cmd/internal/netlab"
)

// runCases runs cases in parallel, each in a testbed of its own.
func runCases(t *testing.T, scenes []testCase) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.steps.do(newTestbed(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// A testCase is a lab and the steps that run in it.
type testCase struct {
	name  string
	lab   netlab.Options
	steps steps
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

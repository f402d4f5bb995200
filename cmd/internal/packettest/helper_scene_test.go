package packettest

import (
	"os"
	"testing"

	"farmc/cmd/internal/netlab"
)

// play runs scenes beside one another.
func play(t *testing.T, scenes []scene) {
	for _, c := range scenes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.steps.do(newStage(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// A scene is one case: a lab, and what happens there, in this order.
type scene struct {
	name  string
	lab   netlab.Options
	steps steps
}

// A step does something on the stage. Its error tells what isn't as it should be.
type step interface {
	do(s *stage) error
}

// steps are done one after the other, until one fails.
type steps []step

func (all steps) do(s *stage) error {
	for _, step := range all {
		if err := step.do(s); err != nil {
			return err
		}
	}
	return nil
}

// A deed is a step of one case alone.
type deed func(s *stage) error

func (d deed) do(s *stage) error { return d(s) }

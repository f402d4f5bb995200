package packettest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// translation is the farms of a directory of the package's examples.
type translation string

func (t translation) do(s *testbed) error { return t.with(nil).do(s) }

// with adds drop-ins to the farms, by the names of the farms.
func (t translation) with(dropIns map[string]string) step {
	return stepFunc(func(s *testbed) error {
		paths, err := filepath.Glob(filepath.Join("../../../debian/examples", string(t), "*.toml"))
		if err != nil {
			return err
		}
		all := farms{}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[strings.TrimSuffix(filepath.Base(path), ".toml")] = string(text)
		}
		for name, text := range dropIns {
			all[name+".toml.d/test"] = text
		}
		return all.do(s)
	})
}

// backendPorts: requests reach each of the machines, and each at its port.
type backendPorts struct {
	by, to string
	ports  map[string]uint16
}

func (b backendPorts) do(s *testbed) error {
	for _, q := range s.targets("", b.by, b.to) {
		met := map[string]bool{}
		for i := 0; len(met) < len(b.ports); i++ {
			answer, err := q.request(s.newClient(q.from, q.to.Addr()))
			if err == nil && answer.Local.Port() != b.ports[answer.Backend] {
				err = fmt.Errorf("%s answers at port %d, want one of %v", answer.Backend, answer.Local.Port(), b.ports)
			}
			if err == nil && i == len(s.clients(q.to.Addr())) {
				err = errors.New("only these answer: " + strings.Join(slices.Sorted(maps.Keys(met)), ", "))
			}
			if err != nil {
				return q.wrap(err)
			}
			met[answer.Backend] = true
		}
	}
	return nil
}

package packettest

import (
	"fmt"
	"strings"
)

// listed: nft lists an object of table inet farmc, "chain masquerade-all", with a text, and without another one if that
// is not empty.
type listed struct{ object, has, lacks string }

func (l listed) do(s *testbed) error {
	kind, name, _ := strings.Cut(l.object, " ")
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list", kind, "inet", "farmc", name)
	switch {
	case err != nil:
		return err
	case !strings.Contains(text, l.has):
		return fmt.Errorf("no %q in\n%s", l.has, text)
	case l.lacks != "" && strings.Contains(text, l.lacks):
		return fmt.Errorf("%q in\n%s", l.lacks, text)
	}
	return nil
}

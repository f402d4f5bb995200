package packettest

import (
	"fmt"
	"strings"
)

// rejected: the load of the farms fails with one error.
type rejected struct {
	farms farms
	says  string
}

func (r rejected) do(s *testbed) error {
	err := r.farms.do(s)
	if err == nil || !strings.Contains(err.Error(), r.says) || strings.Count(err.Error(), "error: ") != 1 {
		return fmt.Errorf("not refused, or for another reason: %w", err)
	}
	return nil
}

// foreignTables lists the tables of others with handles. A table that was deleted and added again has other handles.
func (s *testbed) foreignTables() (string, error) {
	tables, err := s.Balancer.Run(s.ctx, "", "nft", "list", "tables")
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for line := range strings.Lines(tables) {
		words := strings.Fields(line)
		if len(words) != 3 || words[2] == "farmc" && (words[1] == "inet" || words[1] == "netdev") {
			continue
		}
		text, err := s.Balancer.Run(s.ctx, "", "nft", "-a", "-s", "list", "table", words[1], words[2])
		if err != nil {
			return "", err
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

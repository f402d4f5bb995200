package packettest

import (
	"fmt"
	"strings"
)

// rejected farms are not loaded, and told why in one fault.
type rejected struct {
	farms farms
	says  string
}

func (r rejected) do(s *stage) error {
	err := r.farms.do(s)
	if err == nil || !strings.Contains(err.Error(), r.says) || strings.Count(err.Error(), "error: ") != 1 {
		return fmt.Errorf("not refused, or for another reason: %w", err)
	}
	return nil
}

// foreignTables lists, with handles, what isn't ours: a table that was made anew would have others.
func (s *stage) foreignTables() (string, error) {
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

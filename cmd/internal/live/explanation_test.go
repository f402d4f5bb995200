package live

import (
	"errors"
	"testing"
)

// TestUnreadRules: rules that cannot be read are told apart from bans, clients and connections.
func TestUnreadRules(t *testing.T) {
	var x Explanation
	x.disagree(Disagreement{unread: errors.New("no rules")})
	if x.RulesUnknown != "no rules" || x.Unknown != "" || x.Unread != nil {
		t.Errorf("rules: %q, clients: %q", x.RulesUnknown, x.Unknown)
	}
}

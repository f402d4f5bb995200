package nft

import "testing"

// TestRuleIn: a rule is found by its handle, and not a chain with the handle.
func TestRuleIn(t *testing.T) {
	const listing = "table ip filter { # handle 1\n\tchain FORWARD { # handle 4\n" +
		"\t\ttype filter hook forward priority filter; policy accept;\n" +
		"\t\tip saddr 198.51.100.7 tcp dport 80 drop # handle 14\n" +
		"\t\tlog prefix \"a\x1b[31m # handle 5\" drop # handle 6\n\t}\n}\n"
	for handle, want := range map[uint64]string{
		14: "ip saddr 198.51.100.7 tcp dport 80 drop",
		4:  "",
		1:  "",
		5:  "",
		6:  "log prefix \"a\ufffd[31m # handle 5\" drop",
	} {
		if got := ruleIn([]byte(listing), handle); got != want {
			t.Errorf("handle %d: %q, want %q", handle, got, want)
		}
	}
}

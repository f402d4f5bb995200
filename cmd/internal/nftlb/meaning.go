package nftlb

import (
	"slices"
	"strconv"
	"strings"
)

// setLimits sets the limits per client. dsr and stateless have the limits that need no tracked connections.
func (t *translation) setLimits() {
	direct := t.mode == "dsr" || t.mode == "stlsdnat"
	if !direct {
		t.setRate("new-rtlimit", "new-per-client")
	}
	if t.hasTCP() {
		t.setRate("rst-rtlimit", "resets-per-client")
	}
	if n := t.farm.Values.Number("est-connlimit"); n != 0 && !direct {
		t.table("limits")["connections-per-client"] = int64(n)
	}
	if t.farm.Values["tcp-strict"] == "on" && t.hasTCP() {
		t.table("limits")["strict-tcp"] = true
	}
	if t.out["limits"] != nil && t.logsOnly() {
		t.table("limits")["verdict"] = "log"
	}
}

// hasTCP reports whether an address of the farm has TCP.
func (t *translation) hasTCP() bool {
	for _, name := range t.farm.Addresses {
		if p := t.Address(name).Values["protocol"]; p == "tcp" || p == "all" {
			return true
		}
	}
	return false
}

// logsOnly reports whether filters log, and drop nothing.
func (t *translation) logsOnly() bool { return !strings.Contains(t.farm.Values["verdict"], "drop") }

// setRate sets a rate with its burst.
func (t *translation) setRate(from, to string) {
	text, ok := t.rate(from)
	if !ok {
		return
	}
	if burst := t.farm.Values.Number(from + "-burst"); burst != 0 {
		t.table("limits")[to] = map[string]any{"rate": text, "burst": int64(burst)}
		return
	}
	t.table("limits")[to] = text
}

// rate returns a rate that farmc has; not ok for none. A rate per week becomes one per day.
func (t *translation) rate(key string) (string, bool) {
	count, unit, _ := strings.Cut(t.farm.Values[key], "/")
	n, _ := strconv.Atoi(count)
	if n > 0 && unit == "week" {
		n, unit = n/7, "day"
		if n == 0 {
			t.lose(key, "farmc has no rate per week", "at least 7/week, or a rate per day")
		} else {
			t.note(key, "a rate per week becomes one per day", "")
		}
	}
	return strconv.Itoa(n) + "/" + unit, n > 0
}

// setAccess sets the lists. In nftlb the first one that has a client decides.
func (t *translation) setAccess() {
	var allow, deny []any
	whiteLast := false
	for _, name := range t.policies() {
		p := t.Policy(name)
		switch {
		case p == nil:
		case p.Values["type"] == "whitelist":
			allow, whiteLast = append(allow, "@"+name), len(deny) > 0
		default:
			deny = append(deny, "@"+name)
		}
	}
	denied := "deny"
	if t.logsOnly() {
		denied = "log-only"
	}
	lists := map[string][]any{"allow": allow, denied: deny}
	k := t.kept()
	for key, entries := range k.access {
		lists[key] = append(lists[key], entries...)
	}
	if len(allow) > 0 && !k.allow && len(lists["deny"])+len(lists["log-only"])+len(k.access["allow"]) == 0 {
		t.note("policies", "whitelists have no effect without a blacklist", "")
		return
	}
	for key, entries := range lists {
		if len(entries) > 0 {
			t.table("access")[key] = entries
		}
	}
	if len(lists["allow"]) > 0 && len(lists["deny"]) > 0 && (whiteLast || k.denyFirst) {
		t.table("access")["order"] = "deny-first"
	}
}

// kept is what the farm has beside its attributes.
func (t *translation) kept() kept {
	if t.bare {
		return kept{}
	}
	return t.farm.kept
}

// policies are the lists of the farm, then the lists of its addresses.
func (t *translation) policies() []string {
	out := append([]string{}, t.farm.Policies...)
	for _, name := range t.farm.Addresses {
		for _, p := range t.Address(name).Policies {
			out = append(without(out, p), p)
		}
	}
	return out
}

// setLog sets the occasions to log. One prefix is for all occasions.
func (t *translation) setLog() {
	on := found(logWords, t.farm.Values["log"])
	if t.mode == "dsr" || t.mode == "stlsdnat" || t.mode == "local" {
		on = found([]string{"input"}, t.farm.Values["log"])
	}
	if t.mode != "local" && !t.tracked() && strings.Contains(t.farm.Values["log"], "output") {
		t.note("log", "packets to backends are not logged in this mode", "")
	}
	rate, limited := t.rate("log-rtlimit")
	if t.logsOnly() && t.out["access"] != nil || limited && t.out["access"] != nil {
		on = append(on, "denied")
	}
	if limited && t.out["limits"] != nil {
		on = append(on, "limited")
	}
	all := texts(on)
	for _, word := range t.kept().occasions {
		if !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	if len(all) == 0 {
		return
	}
	l := t.table("log")
	l["on"] = all
	if limited {
		l["rate"] = rate
	}
	if prefix := t.prefix(); prefix != "" {
		l["prefix"] = prefix
	}
}

// placeholders are farmc's words in a prefix, for the words of nftlb.
var placeholders = strings.NewReplacer("TYPE", "{reason}", "KNAME", "{reason}", "FNAME", "{farm}", "BNAME", "{backend}",
	"PNAME", "{list}", "ANAME", "")

// longestPrefix is the length of a prefix in farmc.
const longestPrefix = 64

// prefix returns the prefix of lines; "" for the usual one.
func (t *translation) prefix() string {
	text := t.farm.Values["log-prefix"]
	if text == farmKind.byKey["log-prefix"].preset {
		return ""
	}
	text = placeholders.Replace(text)
	bad := func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune("\"\\$`'", c) }
	if len(text) > longestPrefix || strings.ContainsFunc(text, bad) {
		t.note("log-prefix", "farmc takes 64 printable characters without quotes, backslash and $", "")
		return ""
	}
	return text
}

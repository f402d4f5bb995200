package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"

	"golang.org/x/sys/unix"
)

// describe tells the meaning of a rule of farmc that a packet matched; "" if it only leads on.
func describe(w *way, e event, r kernelRule, step ruleset.Step) string {
	if text := describeCounter(r, e); text != "" {
		return text
	}
	switch step {
	case ruleset.StepAccess:
		if e.verdict.code == unix.NFT_RETURN && isOwn(e.chain.name) {
			return "access lets the client pass"
		}
	case ruleset.StepLimits:
		return describeLimits(e, r)
	case ruleset.StepBackend, ruleset.StepBackendLimits:
		return describePick(w, e, r)
	case ruleset.StepSource:
		return describeSource(e, r)
	case ruleset.StepInvalid:
		if e.verdict.code == drop {
			return "a segment that connection tracking does not know is dropped"
		}
	case ruleset.StepLog:
		if r.does["log"] {
			return "a line goes to the log"
		}
	case ruleset.StepQueue:
		if r.does["queue"] {
			return "a program gets the packet by its queue"
		}
	case ruleset.StepOffload:
		return "the connection goes to the flow table"
	}
	if e.verdict.code == drop && step != ruleset.StepLimits {
		return "chain " + e.chain.name + " drops it"
	}
	return ""
}

// isOwn reports whether a chain or another object belongs to one farm.
func isOwn(name string) bool { return strings.HasPrefix(name, "farm/") }

// describeCounter tells the meaning of the counter that a rule adds to: each reason to deny or limit a client has one.
func describeCounter(r kernelRule, e event) string {
	for _, object := range r.objects {
		parts := strings.SplitN(object, "/", 3)
		if len(parts) < 3 || parts[0] != "farm" {
			continue
		}
		counter, list, _ := strings.Cut(parts[2], "/list/")
		switch {
		case counter == string(farm.OnDenied) && list != "":
			return "access denies the client: deny has @" + list
		case counter == string(farm.OnDenied):
			return "access denies the client"
		case counter == farm.LogOnly:
			return "access logs the client in place of denying it"
		case counter == string(farm.Banned):
			return "the client is banned"
		case slices.Contains(farm.Reasons, farm.Reason(counter)):
			return overLimit(counter, e)
		}
	}
	return ""
}

// listOf returns the list of clients of a rule that counts denied clients; "": none.
func listOf(r kernelRule) string {
	for _, object := range r.objects {
		if _, list, ok := strings.Cut(object, "/list/"); ok && isOwn(object) {
			return list
		}
	}
	return ""
}

// overLimit tells that a packet is over a limit.
func overLimit(limit string, e event) string {
	if e.verdict.code == unix.NFT_CONTINUE {
		return fmt.Sprintf("over the limit %s, which only counts", limit)
	}
	return "over the limit " + limit
}

func describeLimits(e event, r kernelRule) string {
	switch {
	case r.fills && strings.Contains(strings.Join(r.sets, " "), "/banned-"):
		return "the client is banned from now on"
	case r.does["reject"]:
		return "the packet is refused"
	case r.does["log"]:
		return "a line goes to the log"
	}
	return ""
}

// describePick tells the meaning of a rule that picks a backend, or remembers or finds the one of a known client.
func describePick(w *way, e event, r kernelRule) string {
	switch {
	case e.chain.name == "no-backend" && r.does["reject"]:
		return "no backend takes the connection: it is refused"
	case strings.Contains(e.chain.name, "forged") && e.verdict.code == drop:
		return "the source address is forged: a service would answer another one for ever"
	case leadsOn(e) && w.asksStatic(r):
		return "the client has a static session"
	case leadsOn(e) && w.asksClients(r):
		return "persistence: the client is remembered"
	case e.verdict.code == unix.NFT_CONTINUE && r.fills && w.asksClients(r):
		return "persistence: the client is remembered from now on"
	case e.verdict.code == unix.NFT_JUMP && slices.Contains(r.sets, "full-backends"):
		return "the backend is full: another one is asked"
	case r.does["fib"] && e.verdict.code == drop:
		return "the source address is one of this machine: forged"
	case e.verdict.code == drop:
		return "no backend takes the packet"
	case w.farm != nil && slices.ContainsFunc(r.sets, hasSlots):
		return "scheduler " + string(w.farm.Scheduler) + " picks"
	}
	return ""
}

// leadsOn reports whether a rule translated the packet, or sent it to a chain that does.
func leadsOn(e event) bool { return e.verdict.code == unix.NFT_JUMP || e.verdict.code == accept }

// hasSlots reports whether a map leads from the numbers of a scheduler to backends.
func hasSlots(set string) bool {
	name := set[strings.LastIndexByte(set, '/')+1:]
	if !isOwn(set) {
		name, _, _ = strings.Cut(set, "/")
	}
	return strings.HasPrefix(name, "slots") || strings.HasPrefix(name, "picks")
}

// asksClients reports whether a rule asks or fills a table of the farm's remembered clients.
func (w *way) asksClients(r kernelRule) bool {
	if w.farm == nil {
		return false
	}
	return slices.ContainsFunc(ruleset.ClientTables(w.farm), func(t ruleset.ClientTable) bool {
		return slices.Contains(r.sets, t.Map)
	})
}

// asksStatic reports whether a rule asks the static sessions of the farm.
func (w *way) asksStatic(r kernelRule) bool {
	return slices.ContainsFunc(r.sets, func(name string) bool {
		return isOwn(name) && strings.Contains(name, "/static-")
	})
}

func describeSource(e event, r kernelRule) string {
	switch {
	case r.does["masq"], r.does["nat"]:
		return "the source address is translated"
	case e.verdict.code == drop:
		return "no source address is free: it is dropped"
	}
	return ""
}

// describeForeign describes a rule or policy of another program: one that stops, queues, or translates the packet, or
// takes it from connection tracking.
func (t *Translator) describeForeign(ctx context.Context, w *way, e event, s *Step) {
	base, _ := t.reader.base(ctx, w.base)
	if e.handle == 0 {
		if e.verdict.code == drop {
			s.Text = whereWords(s, base) + ": its policy drops it"
		}
		return
	}
	rule, _ := t.reader.rule(ctx, e.chain, e.handle)
	w.refused = rule.does["reject"]
	does := ""
	switch {
	case rule.does["reject"]:
		does = "refuses it"
	case e.verdict.code == drop:
		does = "drops it"
	case e.verdict.code == queue:
		does = "gives it to a program"
	case e.verdict.code == stolen:
		does = "sends it elsewhere"
	case rule.does["notrack"]:
		does = "takes it from connection tracking"
	case rule.does["nat"], rule.does["masq"], rule.does["redir"]:
		does, s.translates = "translates it", true
	case rule.does["tproxy"], rule.does["synproxy"]:
		does = "gives it to a proxy"
	default:
		return
	}
	s.Text = whereWords(s, base) + ": a rule " + does
	if t.Rule != nil {
		s.Rule = t.Rule(ctx, e.chain.family, e.chain.table, e.chain.name, e.handle)
	}
}

// whereWords names the chain of another program, and its hook where the name of the chain does not.
func whereWords(s *Step, base baseChain) string {
	words := fmt.Sprintf("table %s, chain %s", s.Table, s.Chain)
	if base.hook != "" && !strings.Contains(strings.ToLower(s.Chain), base.hook) {
		words += ", at " + base.hook
	}
	return words
}

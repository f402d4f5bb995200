package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// An Effect is the harm of a Finding.
type Effect string

// The effects.
const (
	Stops Effect = "stops" // packets of a farm do not arrive, or answers do not
	Harms Effect = "harms" // some packets are lost or changed, or the farm depends on a thing that farmc cannot see
	Notes Effect = "notes" // a setting that suits few farms; only check --machine prints it
)

// A Finding is a state of the machine that keeps a correct farm from working. Kind and Object are its identity.
type Finding struct {
	Kind     string     `json:"kind"`
	Object   string     `json:"object"` // chain, interface, address or other thing that the finding is about
	Farms    []string   `json:"farms"`  // names, in the order of the farms; empty: the finding is about all farms
	Effect   Effect     `json:"effect"`
	Message  string     `json:"message"`  // without the farms
	Commands []string   `json:"commands"` // the remedy, as shell commands; empty: there is no command
	Advice   string     `json:"advice"`   // side effects of the commands, or a remedy in words
	Place    diag.Place `json:"-"`
}

// ID is the identity of the finding. KindOf reads the kind from it.
func (f *Finding) ID() string { return f.Kind + " " + f.Object }

// KindOf is the kind of the finding with this identity.
func KindOf(id string) string {
	kind, _, _ := strings.Cut(id, " ")
	return kind
}

// Text is the message with the names of the farms, in one line.
func (f *Finding) Text() string {
	if len(f.Farms) == 0 {
		return f.Message
	}
	return f.Message + " (" + nameFarms(f.Farms) + ")"
}

// nameFarms lists up to three farms.
func nameFarms(names []string) string {
	const maxNames = 3
	if len(names) == 1 {
		return "farm " + names[0]
	}
	text := "farms " + strings.Join(names[:min(len(names), maxNames)], ", ")
	if more := len(names) - maxNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Hint is the remedy: the commands, and the advice as a comment of the shell, so that the line can be pasted.
func (f *Finding) Hint() string {
	commands := strings.Join(f.Commands, "; ")
	switch {
	case commands == "":
		return f.Advice
	case f.Advice == "":
		return commands
	}
	return commands + " # " + f.Advice
}

// Diagnostic is the finding as a warning. A finding that harms nothing is a remark.
func (f *Finding) Diagnostic() diag.Diagnostic {
	severity := diag.Warning
	if f.Effect == Notes {
		severity = diag.Remark
	}
	d := diag.Diagnostic{Severity: severity, Place: f.Place, Message: f.Text(), Hint: f.Hint()}
	if len(f.Farms) == 1 {
		d.Farm = f.Farms[0]
	}
	return d
}

// Findings are findings with different identities. There can be one for each of 100,000 backends, so that a list is
// small, and none of its findings is copied.
type Findings []*Finding

// A collection collects findings.
type collection struct {
	all  Findings
	byID map[identity]*Finding
}

// identity is Kind and Object of a finding, without the text of ID.
type identity struct{ kind, object string }

// add adds a finding about a farm; nil: about all. A finding with the same identity gets the farm and the new commands.
func (c *collection) add(f Finding, farm *farm.Farm) {
	if c.byID == nil {
		c.byID = map[identity]*Finding{}
	}
	if farm != nil {
		f.Farms = []string{farm.Name}
	}
	id := identity{f.Kind, f.Object}
	if known, ok := c.byID[id]; ok {
		known.join(f)
		return
	}
	added := f
	c.byID[id] = &added
	c.all = append(c.all, &added)
}

// join adds the farm and the commands of a finding with the same identity. Farms come one after the other.
func (f *Finding) join(o Finding) {
	if len(o.Farms) > 0 && len(f.Farms) > 0 && f.Farms[len(f.Farms)-1] != o.Farms[0] {
		f.Farms = append(f.Farms, o.Farms[0])
	}
	for _, command := range o.Commands {
		f.addCommand(command)
	}
	if o.Effect == Stops {
		f.Effect = Stops
	}
}

// maxCommands is the maximum number of commands of a remedy.
const maxCommands = 8

func (f *Finding) addCommand(command string) {
	switch {
	case slices.Contains(f.Commands, command):
	case len(f.Commands) < maxCommands:
		f.Commands = append(f.Commands, command)
	case !strings.HasPrefix(f.Advice, "and so on"):
		f.Advice = strings.TrimSuffix("and so on for the other farms; "+f.Advice, "; ")
	}
}

// Stop reports whether one of the findings stops traffic.
func (all Findings) Stop() bool {
	return slices.ContainsFunc(all, func(f *Finding) bool { return f.Effect == Stops })
}

// Without returns the findings that do not have the effect.
func (all Findings) Without(effect Effect) Findings {
	return slices.DeleteFunc(slices.Clone(all), func(f *Finding) bool { return f.Effect == effect })
}

// Causes leaves out findings about the cost of packets, if another finding, or a fault of the files, may be the cause
// of a failure.
func (all Findings) Causes(faulty bool) Findings {
	if causes := slices.DeleteFunc(slices.Clone(all), isCost); faulty || len(causes) > 0 {
		return causes
	}
	return all
}

// maxPrinted is the maximum number of warnings about findings of one kind.
const maxPrinted = 10

// Diagnostics are the findings as warnings. Of many findings of one kind it leaves the last ones out, and says so.
func (all Findings) Diagnostics() (warnings diag.Diagnostics) {
	count := map[string]int{}
	for _, f := range all {
		if count[f.Kind]++; count[f.Kind] <= maxPrinted {
			warnings = append(warnings, f.Diagnostic())
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		if more := count[kind] - maxPrinted; more > 0 {
			warnings = append(warnings, diag.Diagnostic{Severity: diag.Warning,
				Message: fmt.Sprintf("and %d more findings like these (%s); farmc status --json has all", more, kind)})
		}
	}
	return warnings
}

// Sort puts findings that stop traffic first, and those that harm nothing last.
func (all Findings) Sort() {
	order := map[Effect]int{Stops: 0, Harms: 1, Notes: 2}
	slices.SortStableFunc(all, func(a, b *Finding) int { return order[a.Effect] - order[b.Effect] })
}

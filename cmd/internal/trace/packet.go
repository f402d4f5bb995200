package trace

import (
	"encoding/json"
	"time"
)

// An Outcome is the end of a packet's way.
type Outcome string

// The outcomes.
const (
	Sent     Outcome = "sent"     // it left by an interface
	Received Outcome = "received" // a program of this machine gets it
	Dropped  Outcome = "dropped"  // by a rule, or by the policy of a chain
	Refused  Outcome = "refused"  // by a rule, with an answer to the client
	Queued   Outcome = "queued"   // a program has it, which has not decided yet
	Stopped  Outcome = "stopped"  // by the kernel, or by rules that nf_tables does not know
)

// A Packet is the way of a packet. Every key is always there; lists are never null.
type Packet struct {
	Time      time.Time `json:"time"`
	Client    string    `json:"client"`  // address and port
	Service   string    `json:"service"` // address and port, as the client sent them
	Protocol  string    `json:"protocol"`
	Flags     string    `json:"flags"`     // of TCP
	Answer    bool      `json:"answer"`    // it goes from the service to the client
	Interface string    `json:"interface"` // by which the packet came in; "": this machine sends it

	Farm  string `json:"farm"` // "": no farm takes it
	Mode  string `json:"mode"`
	Place string `json:"place"` // file and line of the listen entry

	Steps []Step `json:"steps"` // the rules and policies that the packet met

	Backend        string `json:"backend"`        // "": none
	BackendAddress string `json:"backendAddress"` // with its port
	BackendPlace   string `json:"backendPlace"`   // file and line
	Open           bool   `json:"open"`           // the connection is open, so its backend was chosen before
	Source         string `json:"source"`         // address and port, as the packet left
	Out            string `json:"out"`            // the interface by which it left; "": it did not

	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason"` // of the outcome, in words
	Lost    bool    `json:"lost"`   // events are missing: the kernel dropped them, or they were too many

	decisive int // the first step in the last base chain
}

// Decisive returns the steps in the base chain that decided about the packet, if a rule or a policy stopped it.
func (p Packet) Decisive() []Step {
	if p.Outcome != Dropped && p.Outcome != Refused {
		return nil
	}
	return p.Steps[min(p.decisive, len(p.Steps)):]
}

// Before returns the steps that Decisive leaves out.
func (p Packet) Before() []Step { return p.Steps[:len(p.Steps)-len(p.Decisive())] }

// A Step is a rule that the packet matched, or the policy of a base chain.
type Step struct {
	Step    string `json:"step"` // of farmc's rules: access, limits, backend, ...; "": a rule of another program
	Text    string `json:"text"` // "": the rule only leads on
	Table   string `json:"table"`
	Chain   string `json:"chain"`
	Handle  uint64 `json:"handle"` // of the rule; 0: the policy of the chain
	Verdict string `json:"verdict"`
	Place   string `json:"place"` // of the key in a farm; "": not known
	List    string `json:"list"`  // the list that denies the client; "": none
	Rule    string `json:"rule"`  // the rule of another program, as nft lists it; "": not known

	foreign    bool
	translates bool // the destination or the source
}

// Told reports whether the step has something to say to an administrator.
func (s Step) Told() bool { return s.Text != "" }

// IsForeign reports whether the step is a rule of another program.
func (s Step) IsForeign() bool { return s.foreign }

// Line writes the packet as a line of JSON.
func (p Packet) Line() ([]byte, error) {
	line, err := json.Marshal(p)
	return append(line, '\n'), err
}

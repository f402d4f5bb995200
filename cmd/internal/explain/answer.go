package explain

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// An Answer is the way of a packet.
type Answer struct {
	Packet    string   `json:"packet"`
	Farm      string   `json:"farm"`
	Mode      string   `json:"mode"`
	Listen    string   `json:"listen"`          // the entry that takes the packet
	Place     string   `json:"place"`           // file and line of the entry
	Precedes  string   `json:"precedence"`      // its place in the order of entries
	Others    []string `json:"others"`          // farms that are less specific, with their entries
	Down      []string `json:"down"`            // farms that are more specific, and down, with their entries
	Elsewhere []string `json:"otherInterfaces"` // farms that take such packets on other interfaces
	BoundBy   []string `json:"boundBy"`         // file and line of interfaces of these farms

	Admission string    `json:"admission"` // how the lists of access judge the client
	Word      string    `json:"word"`      // of access that decides: a network, any, or a list: @bad; "": none
	List      string    `json:"list"`      // file and line of the list that has the client; "": none
	Limits    []string  `json:"limits"`    // rates that hold for the client
	Stops     []Stop    `json:"stops"`     // empty: a backend gets the packet
	Chosen    string    `json:"chosen"`    // how the backend is chosen
	Backends  []Backend `json:"backends"`  // the one that gets the packet, or all that can
	Idle      []string  `json:"idle"`      // backends without new clients, with the reason
	Reply     string    `json:"reply"`

	Findings []Finding `json:"findings"` // about this machine, for such packets
}

// A Finding is a state of this machine that concerns such packets.
type Finding struct {
	Text    string `json:"text"`
	Place   string `json:"place,omitempty"` // file and line of the key that it is about; "": none
	Remedy  string `json:"remedy"`
	Stopped bool   `json:"stops"` // it stops the packets
}

// Answer gives the way of the packet.
func (m Match) Answer(memory Memory) Answer {
	d := m.Frontend
	a := Answer{
		Packet: m.question.String(), Farm: m.Farm.Name, Mode: string(m.Farm.Mode), Listen: d.Listen.String(),
		Place: PlaceOf(d.Listen.Place), Precedes: precedence(d.Specificity),
		Idle: append(Idle(m.Farm, m.Family()), m.full(memory)...), Reply: m.reply(),
		Others: entries(m.Others), Down: entries(m.Down),
		Limits: []string{}, Stops: []Stop{}, Backends: []Backend{}, Findings: []Finding{},
	}
	a.Elsewhere, a.BoundBy = m.OtherInterfaces()
	var admission farm.Admission
	if client := m.question.Client.Addr(); client.IsValid() {
		admission = m.Farm.Admit(client)
		a.Admission, a.Word = admissionWords(admission), admission.Word
	}
	a.Stops = append(a.Stops, m.stops(memory, admission)...)
	a.Limits = append(a.Limits, m.limits(admission)...)
	if !m.Farm.Down {
		chosen := m.choose(memory)
		a.Chosen, a.Backends = chosen.by, append(a.Backends, chosen.backends...)
		if words := m.unusedSession(); words != "" {
			a.Chosen += "; " + words
		}
	}
	return a
}

// entries names frontends by their farms and entries of listen.
func entries(frontends []farm.Frontend) []string {
	out := []string{}
	for _, d := range frontends {
		out = append(out, fmt.Sprintf("%s, %s", d.Farm.Name, d.Listen))
	}
	return out
}

// OtherInterfaces are the farms that take such packets on other interfaces, and the places of the key that says so.
func (m Match) OtherInterfaces() (farms, places []string) {
	farms, places = []string{}, []string{}
	for _, f := range m.Elsewhere {
		farms, places = append(farms, f.Name), append(places, PlaceOf(f.Origin("interfaces").Place))
	}
	return farms, places
}

// Stopped reports whether something stops the packet.
func (a Answer) Stopped() bool {
	return len(a.Stops) > 0 || slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Stopped })
}

// admissionWords describes the judgement of the lists.
func admissionWords(a farm.Admission) string {
	switch {
	case a.Key == "":
		return "no list of access has the client"
	case a.Denied:
		return "denied: deny has " + a.Word
	case a.Free:
		return fmt.Sprintf("admitted without limits: %s has %s", a.Key, a.Word)
	}
	return fmt.Sprintf("admitted: %s has %s", a.Key, a.Word)
}

// replies are the ways of replies, by mode.
var replies = map[farm.Mode]string{
	farm.SNAT:      "the backend answers this machine, which translates the answer back",
	farm.DNAT:      "the backend answers the client by this machine, which translates the answer back",
	farm.DSR:       "the backend answers the client itself, from the service's address",
	farm.Stateless: "the backend answers the client by this machine, which puts the service's address into the answer",
	farm.Local:     "this machine answers",
}

// reply gives the way of the reply, its mark, and the flow table that takes it once the connection is established.
func (m Match) reply() string {
	out := m.wayOfReply()
	if marks := m.marksOfReply(); marks != "" {
		out += "; with the mark " + marks + " (mark-replies)"
	}
	by, key := m.Farm, "flow-offload"
	if m.offloads != nil && m.Farm.Tracked() {
		by, key = m.offloads, "flow-offload-all of farm "+m.offloads.Name
	}
	if len(by.FlowOffload) > 0 {
		out += fmt.Sprintf("; established packets between %s skip the rules (%s)", strings.Join(by.FlowOffload, ", "),
			key)
	}
	return out
}

func (m Match) wayOfReply() string {
	if gateways := m.Farm.GatewaysOf(m.Family()); len(gateways) > 0 {
		return "the backend answers the client by this machine, which puts the service's address into the answer and " +
			m.nextHop()
	}
	if m.Frontend.TakesAnyPort(len(m.Farm.Serving(m.Family()))) {
		return "the backend sees any source port, and answers this machine, which translates the answer back"
	}
	return replies[m.Farm.Mode]
}

// marksOfReply gives the mark of the reply to a request that comes in by the interface that was asked for, or all marks
// by their interfaces.
func (m Match) marksOfReply() string {
	var all []string
	for _, u := range m.Farm.MarkReplies {
		switch m.question.Interface {
		case "":
			all = append(all, fmt.Sprintf("%s if the request comes in by %s", u.Mark, u.Interface))
		case u.Interface:
			return u.Mark.String()
		}
	}
	return strings.Join(all, ", ")
}

// nextHop says to which machine the answer is handed on.
func (m Match) nextHop() string {
	client, on := m.question.Client.Addr(), " on "+m.Farm.Interfaces[0]
	gateways := m.Farm.GatewaysOf(m.Family())
	if !client.IsValid() && len(gateways) > 1 {
		return "hands it on to the next hop of the client's network" + on
	}
	g, ok := gateways[0], true
	if client.IsValid() {
		g, ok = m.Farm.GatewayTo(client)
	}
	switch {
	case !ok:
		return "routes it: gateway has no network of the client"
	case !g.Address.IsValid():
		return "hands it on to the client" + on
	}
	return "hands it on to " + g.NextHop() + on
}

// String describes the packet.
func (q Question) String() string {
	from := "any client"
	switch {
	case q.Client.Port() != 0:
		from = q.Client.String()
	case q.Client.Addr().IsValid():
		from = q.Client.Addr().String()
	}
	to := q.Service.String()
	if q.Service.Port() == 0 {
		to = q.Service.Addr().String()
	}
	in := ""
	if q.Interface != "" {
		in = " in by " + q.Interface
	}
	return fmt.Sprintf("%s -> %s/%s%s", from, to, q.Protocol, in)
}

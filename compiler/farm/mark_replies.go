package farm

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// An Uplink is an interface that requests come in by, and the mark of replies to them. A rule of the administrator
// (ip rule) routes packets with the mark out of the interface.
type Uplink struct {
	Interface string
	Mark      Mark
}

// String writes the uplink as "wan1=0x100/0xf00".
func (u Uplink) String() string { return u.Interface + "=" + u.Mark.String() }

// maxUplinks is the largest number of interfaces in mark-replies.
const maxUplinks = 64

const markRepliesHint = `mark-replies = { wan1 = "0x100/0xf00", wan2 = "0x200/0xf00" }`

// readMarkReplies reads a table from interfaces to marks, in the order of the interfaces.
func readMarkReplies(t *toml.Table, f *Farm) {
	in := t.Sub("mark-replies")
	if in == nil {
		return
	}
	if len(in.Keys()) == 0 {
		t.Fault(t.At("mark-replies"), markRepliesHint, "mark-replies needs at least one interface")
	}
	for i, name := range in.Keys() {
		if i == maxUplinks {
			t.Fault(in.At(name), "", "mark-replies: more than %d interfaces", maxUplinks)
			return
		}
		f.addUplink(in, name)
	}
	slices.SortFunc(f.MarkReplies, func(a, b Uplink) int { return strings.Compare(a.Interface, b.Interface) })
}

// addUplink adds an interface. All masks of a farm are the same, as a reply is told by the bits of one mask.
func (f *Farm) addUplink(in *toml.Table, name string) {
	u := Uplink{name, readMark(in, name)}
	if u.Mark.Mask == 0 {
		return
	}
	at := in.At(name)
	same := func(o Uplink) bool { return o.Mark == u.Mark }
	other := slices.IndexFunc(f.MarkReplies, same)
	switch {
	case !interfaceNaming.MatchString(name):
		in.Fault(at, "", "mark-replies: %q can't be the name of an interface", name)
	case u.Mark.Value == 0:
		in.Fault(at, markRepliesHint, "mark-replies: 0 is the mark of packets without a mark")
	case len(f.MarkReplies) > 0 && f.MarkReplies[0].Mark.Mask != u.Mark.Mask:
		in.Fault(at, fmt.Sprintf(`"%#x/%#x"`, u.Mark.Value&f.MarkReplies[0].Mark.Mask, f.MarkReplies[0].Mark.Mask),
			"mark-replies: the mask %#x of %s is not that of %s", u.Mark.Mask, name, f.MarkReplies[0].Interface)
	case other >= 0:
		in.Fault(at, "another mark", "mark-replies: %s has the mark of %s", name, f.MarkReplies[other].Interface)
	default:
		f.MarkReplies = append(f.MarkReplies, u)
	}
}

func (f *Farm) markedReplies() string { return listed(f.MarkReplies) }

// validateMarkReplies refuses marks that others overwrite, and keys that keep a mark from having an effect.
func validateMarkReplies(t *toml.Table, f *Farm) {
	if len(f.MarkReplies) == 0 {
		return
	}
	at := t.At("mark-replies")
	mask := f.MarkReplies[0].Mark.Mask
	overlaps := func(m Mark, place diag.Place, of string) {
		if m.Mask&mask != 0 {
			t.FaultWithNote(at, diag.Note{Place: place, Message: "here"},
				"mark-replies: the mask %#x has bits of %s, %s", mask, of, m)
		}
	}
	overlaps(f.Mark, t.At("mark"), "mark")
	for _, b := range f.Backends {
		overlaps(b.Mark, t.Sub("backends").Sub(b.FileName()).At("mark"), "the mark of backend "+b.Name)
	}
	if len(f.FlowOffload) > 0 {
		t.FaultWithNote(at, diag.Note{Place: t.At("flow-offload"), Message: "here"},
			"mark-replies: can't be had with flow-offload: a flow table routes replies without marks")
	}
	if f.Limits.Synproxy.On {
		t.FaultWithNote(at, diag.Note{Place: t.Sub("limits").At("synproxy"), Message: "here"},
			"mark-replies: can't be had with synproxy: this machine opens the connections to backends, and they "+
				"come in by no interface")
	}
	if only := f.MarkReplies[0].Interface; f.Mode == Stateless &&
		(len(f.MarkReplies) > 1 || !slices.Equal(f.Interfaces, []string{only})) {
		t.Fault(at, fmt.Sprintf("interfaces = [%q], and a farm for each other uplink", only),
			"mark-replies: replies of mode stateless belong to no connection, so the farm takes packets from one "+
				"interface")
		return
	}
	for _, u := range f.MarkReplies {
		if len(f.Interfaces) > 0 && !slices.Contains(f.Interfaces, u.Interface) {
			t.FaultWithNote(t.Sub("mark-replies").At(u.Interface),
				diag.Note{Place: t.At("interfaces"), Message: "here"},
				"mark-replies: the farm takes no packets from %s", u.Interface)
		}
	}
}

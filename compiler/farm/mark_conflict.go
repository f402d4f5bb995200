package farm

import (
	"fmt"
	"slices"

	"farmc/compiler/diag"
)

// A connection has one mark for all farms, and rules read it by the masks of mark-replies. So the bits of a mask belong
// to mark-replies with this mask, whichever farm it is of.

// MarksConnections reports whether the farm sets bits of the connection mark.
func (f *Farm) MarksConnections() bool {
	if f.Mode.Untracked() {
		return false
	}
	if len(f.MarkReplies) > 0 || f.Mark.Mask != 0 {
		return true
	}
	for i := range f.Backends {
		if f.Backends[i].Mark.Mask != 0 {
			return true
		}
	}
	return false
}

// MarkConflicts reports masks of mark-replies that differ and share bits, and marks of other farms that set bits of
// these masks: their replies would be routed as those of an uplink. The farms mark connections, and are in the order of
// their names. Farms that are down are among them, as their open connections keep their marks.
func MarkConflicts(farms []*Farm, faults *diag.Diagnostics) {
	var owners []*Farm // the first farm with each mask of mark-replies
	for _, f := range farms {
		if len(f.MarkReplies) == 0 {
			continue
		}
		at := slices.IndexFunc(owners, func(o *Farm) bool { return o.replyMask()&f.replyMask() != 0 })
		switch {
		case at < 0:
			owners = append(owners, f)
		case owners[at].replyMask() != f.replyMask():
			*faults = append(*faults, maskConflict(owners[at], f))
		}
	}
	for _, f := range farms {
		for _, owner := range owners {
			if owner != f {
				f.markConflict(owner, faults)
			}
		}
	}
}

// replyMask is the mask of mark-replies. The marks of all interfaces have the same.
func (f *Farm) replyMask() uint32 { return f.MarkReplies[0].Mark.Mask }

func maskConflict(a, b *Farm) diag.Diagnostic {
	return diag.Diagnostic{Farm: b.Name, Place: b.at("mark-replies"),
		Message: fmt.Sprintf("mark-replies: the mask %#x has bits of the mask %#x of farm %s", b.replyMask(),
			a.replyMask(), a.Name),
		Hint: "the same mask in all farms, or masks without bits in common",
		Also: []diag.Note{{Place: a.at("mark-replies"), Message: "farm " + a.Name}}}
}

// markConflict reports the first mark of the farm that sets bits of the other farm's mark-replies.
func (f *Farm) markConflict(owner *Farm, faults *diag.Diagnostics) {
	mask := owner.replyMask()
	mark, key, place := f.Mark, "mark", f.at("mark")
	for i := 0; mark.Value&mask == 0; i++ {
		if i == len(f.Backends) {
			return
		}
		b := &f.Backends[i]
		mark, key, place = b.Mark, "backend "+b.Name+": mark", b.Place
	}
	*faults = append(*faults, diag.Diagnostic{Farm: f.Name, Place: place,
		Message: fmt.Sprintf("%s: %s has bits of the mask %#x, which mark-replies of farm %s has", key, mark, mask,
			owner.Name),
		Hint: fmt.Sprintf("a mark without bits of %#x", mask),
		Also: []diag.Note{{Place: owner.at("mark-replies"), Message: "farm " + owner.Name}}})
}

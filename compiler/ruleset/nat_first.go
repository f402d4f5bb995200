package ruleset

import (
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Where all farms pick the backends of TCP connections alike, prerouting asks the map of their pick before it looks up
// the farm: most connections then need one lookup instead of two. It jumps to the chain of the pick, so chain and map
// stay as they are when a farm of another kind comes, and no other farm pays for a farm without backends. With two
// kinds, a lookup of the farm first is as fast for both of them. IPv6 always looks up the farm: its picks drop forged
// connections first, and must not see those of other services. So do other protocols than TCP, unless all frontends
// lead to this pick: else another chain can stand before it, which drops forged datagrams or sets the mark of a farm.
// Maps of zones do not count: farms with a zone share no pick, and no frontend with farms without one.

// A firstPick is the pick that prerouting asks first.
type firstPick struct {
	Chain string
	Only  farm.Protocol // "": of all protocols, as only those of farms lead to a backend
}

// pickFirst has prerouting ask a pick first, and no map that leads to this pick alone.
func (l *linker) pickFirst() {
	h := l.hook(preroutingHook)
	at := slices.IndexFunc(h.Maps, func(m *dispatchMap) bool {
		return m.Specificity == farm.ExactPort && m.Family == addr.IP4 && m.Zone == nil
	})
	if at < 0 {
		return
	}
	m := h.Maps[at]
	name, alone := m.commonPick()
	o := l.rules.objects[objectID{Inet, KindChain, name}]
	if o == nil {
		return
	}
	c, picks := o.data.(*natPick)
	if !picks || !c.leavesOthers() {
		return
	}
	h.First = &firstPick{Chain: name}
	if !alone && slices.ContainsFunc(c.Protocols, func(p farm.Protocol) bool { return p != farm.TCP }) {
		h.First.Only = farm.TCP
	}
	if alone {
		h.Maps = slices.Delete(slices.Clone(h.Maps), at, at+1)
		l.removeUnasked(m)
	}
}

// commonPick gives the chain that the TCP frontends of a map lead to, except for frontends without a backend; "" if
// they lead to several. It reports whether all frontends lead there.
func (m *dispatchMap) commonPick() (chain string, alone bool) {
	common, refused := noVerdict, goTo(noBackend)
	for i := range m.elements.single {
		e := &m.elements.single[i]
		switch v := verdict(e.value); {
		case v == refused || !strings.HasPrefix(e.key, "tcp "):
		case common == noVerdict:
			common = v
		case common != v:
			return "", false
		}
	}
	other := func(e element) bool { return verdict(e.value) != common }
	return common.chain(), !slices.ContainsFunc(m.elements.single, other)
}

// leavesOthers reports whether the chain leaves connections alone that its map lacks.
func (c *natPick) leavesOthers() bool {
	return len(c.Maps) == 1 && c.Maps[0].Prefix == frontendPrefix && !c.Forged && c.Mark.Mask == 0 && c.Next == "" &&
		len(c.Timeouts) == 0
}

// removeUnasked removes a map that no chain asks any more, unless connections of this machine do.
func (l *linker) removeUnasked(m *dispatchMap) {
	o := l.rules.objects[objectID{Inet, KindChain, outputHook.name}]
	if o == nil || !slices.Contains(o.data.(*hook).Maps, m) {
		l.rules.remove(m.object)
	}
}

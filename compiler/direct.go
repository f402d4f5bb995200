package compiler

import "slices"

// Where farms of few shapes are behind an ingress, their maps are asked one after the other, without looking up the shape
// first: that saves a lookup for each packet. They are asked in a base chain of their own, as nft 1.0.6 takes no new rule
// on the maps: whatever else is asked at the ingress can change without them.

// mostDirect is how many shapes of a family are asked so; beyond, finding the shape first is quicker.
const mostDirect = 2

// direct are the shapes that an ingress asks first.
type direct struct {
	Forwards     []*forward
	Translations []*translation
}

func (d *direct) none() bool { return d == nil || len(d.Forwards)+len(d.Translations) == 0 }

// askDirectly has the ingress ask the maps of its shapes, and takes their doors out of the maps that lead to shapes.
func (l *linker) askDirectly(in *ingress) {
	if len(in.Logs) > 0 || len(in.Devices) == 0 && l.dispatches(in) {
		return // logs come before the choice, and what is rewritten and goes on must not meet a second one
	}
	for _, m := range in.Doors {
		if shapes := l.directShapes(m); len(shapes) <= mostDirect {
			m.Elements = slices.DeleteFunc(m.Elements, func(e mapElement) bool { return slices.Contains(shapes, e.value) })
			for _, verdict := range shapes {
				in.direct.add(l.sharedForwards[verdict[len("goto "):]], l.translations[verdict[len("goto "):]])
			}
		}
	}
	in.Doors = slices.DeleteFunc(in.Doors, func(m *verdictMap) bool { return len(m.Elements) == 0 })
}

// dispatches says whether some doors have to be asked for first.
func (l *linker) dispatches(in *ingress) bool {
	return slices.ContainsFunc(in.Doors, func(m *verdictMap) bool {
		return len(l.directShapes(m)) > mostDirect || slices.ContainsFunc(m.Elements, func(e mapElement) bool { return !l.isDirect(e.value) || m.Level != portLevel })
	})
}

// directShapes gives the verdicts of a map of services that lead to shapes whose maps can be asked by any packet.
func (l *linker) directShapes(m *verdictMap) (verdicts []string) {
	if m.Level != portLevel {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range m.Elements {
		if !seen[e.value] {
			seen[e.value] = true
			if l.isDirect(e.value) {
				verdicts = append(verdicts, e.value)
			}
		}
	}
	slices.Sort(verdicts)
	return verdicts
}

// isDirect says whether the verdict leads to the chain of a shape that does nothing to packets which its maps don't hold.
func (l *linker) isDirect(verdict string) bool {
	if verdict == dropVerdict || verdict == "accept" {
		return false
	}
	name := verdict[len("goto "):]
	if tr := l.translations[name]; tr != nil {
		return tr.Shared
	}
	fw := l.sharedForwards[name]
	return fw != nil && !fw.marked() && !slices.ContainsFunc(fw.Steps, func(s forwardStep) bool { return s.ByMAC })
}

func (d *direct) add(fw *forward, tr *translation) {
	if fw != nil {
		d.Forwards = append(d.Forwards, fw)
	}
	if tr != nil {
		d.Translations = append(d.Translations, tr)
	}
}

// findUnled finds which chains of shapes nothing leads to: their maps are asked directly alone.
func (l *linker) findUnled() {
	led := map[string]bool{}
	for _, in := range l.rules.ingresses {
		for _, m := range slices.Concat(in.Doors, in.Fragments, in.Errors) {
			for _, e := range m.Elements {
				led[e.value] = true
			}
		}
	}
	for _, fw := range l.rules.forwards {
		fw.Unled = fw.Shared && !fw.Home && !led["goto "+fw.Name]
	}
	for _, tr := range slices.Concat(l.rules.translations, l.rules.ingressTranslations) {
		tr.Unled = tr.Shared && !led["goto "+tr.Name]
	}
}

// A directView is what an ingress asks first.
type directView struct {
	Forwards     []forwardView
	Translations []translationView
}

func newDirectView(d direct) *directView {
	if d.none() {
		return nil
	}
	v := &directView{Translations: translationViews(d.Translations)}
	for _, f := range d.Forwards {
		v.Forwards = append(v.Forwards, newForwardView(f))
	}
	return v
}

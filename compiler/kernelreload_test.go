package compiler

import (
	"slices"
	"strings"
	"testing"
)

// TestKernelReloads reloads from each golden to the next in the order of their names, all the way back, and from one to
// the other of each case of farms that change, there and back: each time the kernel holds just what it does after a load
// of the complete script.
func TestKernelReloads(t *testing.T) {
	t.Parallel()
	k := &reloadedKernel{kernel: newKernel(t), fresh: map[*Script]string{}}
	var scripts []*Script
	for _, s := range goldenScripts(t) {
		if script := (&Script{Text: s.text, Digest: s.name}); k.load(script) {
			scripts = append(scripts, script)
		}
	}
	for i := 1; i < len(scripts); i++ {
		k.reload(scripts[i-1], scripts[i])
		k.reload(scripts[i], scripts[i-1])
	}
	for _, name := range reloadCases(t) {
		before, after := reloadCase(t, name)
		before.Digest, after.Digest = name+" before", name+" after"
		if k.load(before) && k.load(after) {
			k.reload(after, before)
			k.reload(before, after)
		}
	}
}

// A reloadedKernel takes reloads, and knows what it holds after a load of each complete script.
type reloadedKernel struct {
	*kernel
	holds *Script
	fresh map[*Script]string
}

// load loads a complete script, unless this kernel lacks what it needs.
func (k *reloadedKernel) load(s *Script) bool {
	if k.mustLoad(s.Digest, s.Text) {
		k.holds, k.fresh[s] = s, k.listed()
		return true
	}
	return false
}

func (k *reloadedKernel) reload(from, to *Script) {
	k.t.Helper()
	if k.holds != from {
		k.mustLoad(from.Digest, from.Text)
	}
	r, err := NewReload(from.Text, to)
	if err != nil {
		k.t.Fatal(err)
	}
	text := r.Script(nil).Text
	what := "from " + from.Digest + " to " + to.Digest
	if !k.mustLoad(what, text) {
		k.mustLoad(to.Digest, to.Text)
	}
	k.holds = to
	if got := k.listed(); got != k.fresh[to] {
		k.t.Fatalf("%s comes to other rules:\n%s\nof the reload:\n%s", what, onlyIn(got, k.fresh[to]), text)
	}
}

// listed is what the kernel holds in our tables, without counters, in an order of its own.
func (k *kernel) listed() string {
	k.t.Helper()
	text := k.must("list", "nft -nn -s list table inet farmc; nft -nn -s list table netdev farmc 2>/dev/null || true")
	return sortListing(text)
}

// sortListing sorts the objects of a listing, and the elements of each.
func sortListing(text string) string {
	var objects []string
	table := ""
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.HasPrefix(line, "table ") {
			table = line
		}
		if !strings.HasPrefix(line, "\t") || line == "\t}" {
			continue
		}
		object := table + line
		for i++; i < len(lines) && lines[i] != "\t}"; i++ {
			line := lines[i]
			if list, ok := strings.CutPrefix(line, "\t\telements = {"); ok {
				for ; !strings.HasSuffix(lines[i], "}"); i++ {
					list += lines[i+1]
				}
				elements := strings.Split(strings.TrimSuffix(list, "}"), ",")
				for n := range elements {
					elements[n] = "\n\t\t\t" + strings.TrimSpace(elements[n])
				}
				slices.Sort(elements)
				line = strings.Join(elements, "")
			}
			object += "\n" + strings.TrimPrefix(line, "\n")
		}
		objects = append(objects, object)
	}
	slices.Sort(objects)
	return strings.Join(objects, "\n") + "\n"
}

// onlyIn shows the lines of two texts that are in one of them alone.
func onlyIn(got, want string) string {
	var out strings.Builder
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			out.WriteString("got  " + line + "\n")
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out.WriteString("want " + line + "\n")
		}
	}
	return out.String()
}

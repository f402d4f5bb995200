package compiler

import (
	"slices"
	"strings"
	"testing"
)

// TestKernelReloads reloads from each golden to the next in the order of their names, and all the way back: each time
// the kernel holds just what it does after a load of the complete script.
func TestKernelReloads(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	var scripts []goldenScript
	var fresh []string
	for _, s := range goldenScripts(t) {
		if k.mustLoad(s.name, s.text) {
			scripts = append(scripts, s)
			fresh = append(fresh, k.listed())
		}
	}
	last := len(scripts) - 1
	for n := 1; n <= 2*last; n++ {
		from, to := last-n+1, last-n
		if n > last {
			from, to = n-last-1, n-last
		}
		r, err := NewReload(scripts[from].text, &Script{Text: scripts[to].text})
		if err != nil {
			t.Fatal(err)
		}
		text := r.Script(make([]Count, len(r.Counted()))).Text
		what := scripts[from].name + " to " + scripts[to].name
		if !k.mustLoad(what, text) {
			k.mustLoad(scripts[to].name, scripts[to].text)
		}
		if got := k.listed(); got != fresh[to] {
			t.Fatalf("%s comes to other rules:\n%s\nof the reload:\n%s", what, onlyIn(got, fresh[to]), text)
		}
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

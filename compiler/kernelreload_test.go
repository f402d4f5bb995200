package compiler

import (
	"regexp"
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

// TestKernelRemembers puts an element into each set of each golden that packets fill, and reloads to the next such golden
// and back, by what was loaded and by what the kernel tells: it is still there if both have the set.
func TestKernelRemembers(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	var scripts []goldenScript
	for _, s := range goldenScripts(t) {
		if strings.Contains(string(s.text), "flags dynamic") {
			scripts = append(scripts, s)
		}
	}
	remembered := 0
	for i := range scripts[1:] {
		for _, pair := range [][2]goldenScript{{scripts[i], scripts[i+1]}, {scripts[i+1], scripts[i]}, {scripts[i], scripts[i]}} {
			remembered += remembers(k, pair[0], pair[1], func(from, to inventory, script *Script) *Reload {
				return newReload(from, to, script, nil)
			})
			remembers(k, pair[0], pair[1], func(from, to inventory, script *Script) *Reload {
				r, err := NewReloadFrom(outlineOf(from), script)
				if err != nil {
					t.Fatal(err)
				}
				return r
			})
		}
	}
	t.Logf("%d elements were kept by what was loaded", remembered)
	if remembered < 100 {
		t.Errorf("only %d elements were kept", remembered)
	}
}

// remembers says how many elements had to be kept, and were.
func remembers(k *kernel, from, to goldenScript, between func(from, to inventory, script *Script) *Reload) (kept int) {
	k.t.Helper()
	if !k.mustLoad(from.name, from.text) {
		return 0
	}
	before, after := mustRead(k.t, from.text), mustRead(k.t, to.text)
	for _, o := range before["inet"].objects {
		if lasts(o) {
			k.must("remember", "nft 'add element inet farmc "+o.Name+" { "+exampleOf(o)+" }'")
		}
	}
	text := between(before, after, &Script{Text: to.text}).Script(nil).Text
	if !k.mustLoad("from "+from.name+" to "+to.name, text) {
		return 0
	}
	for _, o := range after["inet"].objects {
		was := before["inet"].known[o.id()]
		if was == nil || !lasts(o) || !sameLines(lasting(was.About), lasting(o.About)) {
			continue
		}
		kept++
		key, _, _ := strings.Cut(exampleOf(o), " : ")
		if said, ok := k.run("nft 'get element inet farmc " + o.Name + " { " + key + " }'"); !ok {
			k.t.Fatalf("from %s to %s: %s has forgotten %s: %s\nof the reload:\n%s", from.name, to.name, o.Name, key, said, text)
		}
	}
	return kept
}

// lasts says whether packets fill a set with what the kernel doesn't forget by itself: an element that counts open
// connections goes with the last one.
func lasts(o *scriptObject) bool {
	_, connections := o.has("ct count")
	return o.remembers() && !connections
}

func mustRead(t testing.TB, text []byte) inventory {
	t.Helper()
	read, err := readInventory(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// exampleOf is an element that a set can have.
func exampleOf(o *scriptObject) string {
	examples := map[Field]string{IP4Field: "198.51.100.77", IP6Field: "2001:db8:7::77", PortField: "7777", MarkField: "77777",
		IntegerField: "77777", MACField: "02:00:00:00:00:77", ProtocolField: "udp", Field(-32): "0x77777777"}
	keys, values := o.declared()
	var sides []string
	for _, words := range []string{keys, values} {
		var parts []string
		for _, f := range fieldsOf(words) {
			parts = append(parts, examples[f])
		}
		if len(parts) > 0 {
			sides = append(sides, strings.Join(parts, " . "))
		}
	}
	return strings.Join(sides, " : ")
}

// outlineOf is what the kernel tells of what it holds.
func outlineOf(inv inventory) []HeldObject {
	var out []HeldObject
	for family, table := range inv {
		for _, o := range table.objects {
			keys, values := o.declared()
			held := HeldObject{Family: string(family), Kind: string(o.Kind), Name: o.Name, Hooked: o.Kind == "chain" && len(o.About) > 0,
				Dynamic: o.remembers(), TimesOut: o.flagged("timeout")}
			for _, f := range fieldsOf(keys) {
				held.Keys = held.Keys<<6 | f.datatype()
			}
			for _, f := range fieldsOf(values) {
				held.Values = held.Values<<6 | f.datatype()
			}
			if values == "verdict" {
				held.Values = verdictValues
			}
			out = append(out, held)
		}
	}
	return out
}

// listed is what the kernel holds in our tables, without counters, in an order of its own.
func (k *kernel) listed() string {
	k.t.Helper()
	text := k.must("list", "nft -nn -s list table inet farmc; nft -nn -s list table netdev farmc 2>/dev/null || true")
	return sortListing(text)
}

var sizeLine = regexp.MustCompile(`\n\t\tsize [0-9]+`)

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
		if strings.Contains(object, "\n\t\tflags dynamic") { // what a set remembers is worth more than its size
			object = sizeLine.ReplaceAllString(object, "")
			object = countLine.ReplaceAllString(object, "") // the kernel takes out what counts no connection (nft_connlimit_gc)
		}
		objects = append(objects, object)
	}
	slices.Sort(objects)
	return strings.Join(objects, "\n") + "\n"
}

var countLine = regexp.MustCompile(`\n\t\t\t0x[0-9a-f]+ ct count [0-9]+`)

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

package reload

import (
	"strings"
	"testing"

	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestKernelReloads reloads from each golden to the next in the order of their names, all the way back, and from one to
// the other of each case of farms that change, there and back: each time the kernel has the same rules as after a load
// of the complete script.
func TestKernelReloads(t *testing.T) {
	t.Parallel()
	k := &reloadedKernel{Kernel: compilertest.NewKernel(t), fresh: map[*ruleset.Script]string{}}
	var scripts []*ruleset.Script
	for _, s := range compilertest.GoldenScripts(t) {
		if script := (&ruleset.Script{Text: s.Text, Digest: s.Name}); k.load(script) {
			scripts = append(scripts, script)
		}
	}
	for i := 1; i < len(scripts); i++ {
		k.reload(scripts[i-1], scripts[i])
		k.reload(scripts[i], scripts[i-1])
	}
	for _, name := range compilertest.ReloadCases(t) {
		before, after := compilertest.ReloadCase(t, name)
		before.Digest, after.Digest = name+" before", name+" after"
		if k.load(before) && k.load(after) {
			k.reload(after, before)
			k.reload(before, after)
		}
	}
}

// A reloadedKernel takes reloads, and knows its rules after a load of each complete script.
type reloadedKernel struct {
	*compilertest.Kernel
	holds *ruleset.Script
	fresh map[*ruleset.Script]string
}

// load loads a complete script, unless this kernel lacks a feature.
func (k *reloadedKernel) load(s *ruleset.Script) bool {
	if k.MustLoad(s.Digest, s.Text) {
		k.holds, k.fresh[s] = s, k.Listed()
		return true
	}
	return false
}

func (k *reloadedKernel) reload(from, to *ruleset.Script) {
	k.T.Helper()
	if k.holds != from {
		k.MustLoad(from.Digest, from.Text)
	}
	r, err := New(from.Text, to)
	if err != nil {
		k.T.Fatal(err)
	}
	text := r.Script(nil).Text
	what := "from " + from.Digest + " to " + to.Digest
	if !k.MustLoad(what, text) {
		k.MustLoad(to.Digest, to.Text)
	}
	k.holds = to
	if got := k.Listed(); got != k.fresh[to] {
		other := compilertest.OnlyIn(got, k.fresh[to])
		k.T.Fatalf("%s comes to other rules:\n%s\nof the reload:\n%s", what, other, text)
	}
}

// TestKernelRemembers puts an element into each set of each golden that packets fill, and reloads to the next such
// golden and back, from the loaded script and from the kernel's objects: the element is still there if both have the
// set.
func TestKernelRemembers(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	var scripts []compilertest.GoldenScript
	for _, s := range compilertest.GoldenScripts(t) {
		if strings.Contains(string(s.Text), "flags dynamic") {
			scripts = append(scripts, s)
		}
	}
	remembered := 0
	for i := range scripts[1:] {
		for _, pair := range [][2]compilertest.GoldenScript{{scripts[i], scripts[i+1]}, {scripts[i+1], scripts[i]},
			{scripts[i], scripts[i]}} {
			remembered += remembers(k, pair[0], pair[1], func(from, to inventory, script *ruleset.Script) *Reload {
				return newReload(from, to, script, nil)
			})
			remembers(k, pair[0], pair[1], func(from, to inventory, script *ruleset.Script) *Reload {
				r, err := NewFromHeld(outlineOf(from), script, nil)
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

// remembers returns how many elements had to be kept, and were.
func remembers(
	k *compilertest.Kernel, from, to compilertest.GoldenScript,
	between func(from, to inventory, script *ruleset.Script) *Reload,
) (kept int) {
	k.T.Helper()
	if !k.MustLoad(from.Name, from.Text) {
		return 0
	}
	before, after := mustRead(k.T, from.Text), mustRead(k.T, to.Text)
	for _, o := range before["inet"].objects {
		if lasts(o) {
			k.Must("remember", "nft 'add element inet farmc "+o.Name+" { "+lastingExample(o)+" }'")
		}
	}
	text := between(before, after, &ruleset.Script{Text: to.Text}).Script(nil).Text
	if !k.MustLoad("from "+from.Name+" to "+to.Name, text) {
		return 0
	}
	for _, o := range after["inet"].objects {
		was := before["inet"].known[o.id()]
		if was == nil || !lasts(o) || !sameLines(fixedLines(was.About), fixedLines(o.About)) {
			continue
		}
		kept++
		key, _, _ := strings.Cut(exampleOf(o), " : ")
		if said, ok := k.Run("nft 'get element inet farmc " + o.Name + " { " + key + " }'"); !ok {
			k.T.Fatalf(
				"from %s to %s: %s has forgotten %s: %s\nof the reload:\n%s",
				from.Name,
				to.Name,
				o.Name,
				key,
				said,
				text,
			)
		}
	}
	return kept
}

// lasts reports whether packets fill a set with elements that stay: an element that counts open connections goes with
// the last one.
func lasts(o *scriptObject) bool {
	_, connections := o.property("ct count")
	return o.isDynamic() && !connections
}

func mustRead(t testing.TB, text []byte) inventory {
	t.Helper()
	read, err := readInventory(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// lastingExample is exampleOf with a timeout that a slow machine does not reach, in a set whose elements expire.
func lastingExample(o *scriptObject) string {
	key, value, isMap := strings.Cut(exampleOf(o), " : ")
	if o.hasFlag("timeout") {
		key += " timeout 1h"
	}
	if isMap {
		key += " : " + value
	}
	return key
}

// exampleOf is an element that a set can have.
func exampleOf(o *scriptObject) string {
	examples := map[Field]string{
		IP4Field:      "198.51.100.77",
		IP6Field:      "2001:db8:7::77",
		PortField:     "7777",
		MarkField:     "77777",
		IntegerField:  "77777",
		MACField:      "02:00:00:00:00:77",
		ProtocolField: "udp",
		Field(-32):    "0x77777777",
	}
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

// outlineOf is the kernel's list of its objects.
func outlineOf(inv inventory) []HeldObject {
	var out []HeldObject
	for family, table := range inv {
		for _, o := range table.objects {
			keys, values := o.declared()
			held := HeldObject{
				Family:   string(family),
				Kind:     string(o.Kind),
				Name:     o.Name,
				Hooked:   o.Kind == "chain" && len(o.About) > 0,
				Dynamic:  o.isDynamic(),
				TimesOut: o.hasFlag("timeout"),
			}
			for _, f := range fieldsOf(keys) {
				held.Keys = held.Keys<<6 | f.datatype()
			}
			for _, f := range fieldsOf(values) {
				held.Values = held.Values<<6 | f.datatype()
			}
			if values == "verdict" {
				held.Values = verdictType
			}
			out = append(out, held)
		}
	}
	return out
}

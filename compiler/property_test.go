package compiler

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	farmSets = flag.Int("sets", 300, "how many random sets of farms the properties are tried on")
	fromSeed = flag.Uint64("seed", 0, "of the first set of farms; with -sets 1 one that failed is tried again")
)

// randomly calls a property with random farms, a set for each seed. With -short the test is skipped.
func randomly(t *testing.T, sets int, property func(t *testing.T, r *rand.Rand, farms []modelFarm)) {
	t.Helper()
	if testing.Short() {
		t.Skip("random farms take too long for -short; make test-slow runs them")
	}
	for i := range uint64(max(sets, 1)) {
		seed := *fromSeed + i
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			property(t, r, randomFarms(r))
		})
	}
}

// compiled is the script of farms that have no fault.
func compiled(t testing.TB, dirs ...Dir) *Script {
	t.Helper()
	script, told := Compile(dirs)
	if script == nil || len(told) > 0 {
		var files strings.Builder
		for _, d := range dirs {
			if m, ok := d.FS.(fstest.MapFS); ok {
				for _, name := range slices.Sorted(maps.Keys(m)) {
					fmt.Fprintf(&files, "--- %s\n%s", name, m[name].Data)
				}
			}
		}
		t.Fatalf("%s\n%s", printed(told), &files)
	}
	return script
}

// farmFilesOf writes each farm to its file.
func farmFilesOf(r *rand.Rand, farms []modelFarm) fstest.MapFS {
	files := fstest.MapFS{}
	for _, f := range farms {
		files[f.name+".toml"] = &fstest.MapFile{Data: []byte(tomlText(r, f.settings(r)))}
	}
	return files
}

// TestPropertyPackets holds what the script does with packets against what the format promises.
func TestPropertyPackets(t *testing.T) {
	served, refused := 0, 0
	randomly(t, *farmSets, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		script, err := readScript(string(compiled(t, Dir{FS: farmFilesOf(r, farms)}).Text))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets(r, farms, 200) {
			want, farm := expected(farms, p)
			got := script.outcome(t, p)
			compareOutcomes(t, p, got, want, farm)
			served += len(want.shares)
			if want.refused {
				refused++
			}
			if t.Failed() {
				return
			}
		}
	})
	if served == 0 || refused == 0 {
		t.Errorf("%d served and %d refused: the farms are too tame", served, refused)
	}
}

func compareOutcomes(t *testing.T, p packet, got, want outcome, farm *modelFarm) {
	t.Helper()
	if got.refused != want.refused || len(got.shares) != len(want.shares) {
		t.Errorf("%s: got %s, want %s", p, got, want)
		return
	}
	if len(want.shares) > 0 && got.mark != want.mark {
		t.Errorf("%s: the mark of %s is %q, not %q", p, farm.name, got.mark, want.mark)
	}
	sum := 0.0
	for to, share := range want.shares {
		off := share * 0.01
		if farm.tableSize != 0 { // as fine as the administrator wanted it
			off = 2 / float64(farm.tableSize)
		}
		if d := got.shares[to] - share; d > off+1e-9 || d < -off-1e-9 {
			t.Errorf("%s: %s of %s gets %g, not %g", p, to, farm.name, got.shares[to], share)
		}
		if got.sources[to] != want.sources[to] {
			t.Errorf("%s: %s of %s sees %q, not %q", p, to, farm.name, got.sources[to], want.sources[to])
		}
		sum += got.shares[to]
	}
	if len(want.shares) > 0 && (sum < 1-1e-9 || sum > 1+1e-9) {
		t.Errorf("%s: the shares of %s are %g in all", p, farm.name, sum)
	}
}

// TestPropertyWellFormed: no two elements of a map have the same key, no intervals overlap, every chain and every map
// that is named exists, and none stands there for nothing.
func TestPropertyWellFormed(t *testing.T) {
	randomly(t, *farmSets/3, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		text := string(compiled(t, Dir{FS: farmFilesOf(r, farms)}).Text)
		script, err := readScript(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range script.maps {
			if !strings.Contains(text, "@"+name+"\n") && !strings.Contains(text, "@"+name+" ") {
				t.Errorf("nobody asks the map %s", name)
			}
			if (len(m.elements) == 0) != m.learnt && name != "backend-counts" {
				t.Errorf("the map %s has %d elements", name, len(m.elements))
			}
			m.keysDiffer(t, name)
			for _, e := range m.elements {
				chain, leads := strings.CutPrefix(e.value, "goto ")
				if _, ok := script.chains[chain]; leads && !ok {
					t.Errorf("line %d leads to %s, which does not exist", e.line, chain)
				}
			}
		}
		for name := range script.chains {
			hook := slices.Contains([]string{"prerouting", "output", "postrouting", "keep-conntrack", "relief", "relief-output", "invalid-input", "invalid-forward"}, name)
			if !hook && !strings.Contains(text, "goto "+name+",\n") && !strings.Contains(text, "goto "+name+"\n") && !strings.Contains(text, "jump "+name+"\n") {
				t.Errorf("nothing leads to the chain %s", name)
			}
		}
		for _, rules := range script.chains {
			for _, rule := range rules {
				for _, at := range namesMap.FindAllStringSubmatch(rule, -1) {
					if script.maps[at[1]] == nil {
						t.Errorf("there is no map %s", at[1])
					}
				}
			}
		}
	})
}

// namesMap are the words of a rule that name a map.
var namesMap = regexp.MustCompile(`(?:map|update|delete) @(\S+)`)

func (m *readMap) keysDiffer(t *testing.T, name string) {
	seen := map[string]int{}
	for i, e := range m.elements {
		if before, twice := seen[e.key]; twice {
			t.Errorf("map %s: line %d has the key of line %d", name, e.line, before)
		}
		seen[e.key] = e.line
		for _, other := range m.elements[:i] {
			if m.interval && overlapping(e.key, other.key) {
				t.Errorf("map %s: line %d overlaps line %d", name, e.line, other.line)
			}
		}
	}
}

// overlapping says whether two intervals have a key in common: if so, one begins in the other.
func overlapping(a, b string) bool {
	first := func(interval string) string {
		parts := strings.Split(interval, " . ")
		for i, part := range parts {
			parts[i], _, _ = strings.Cut(part, "-")
		}
		return strings.Join(parts, " . ")
	}
	return within(first(a), b) || within(first(b), a)
}

// TestPropertyOrigins: every line that belongs to a farm has an origin in its file, and no other line has one.
func TestPropertyOrigins(t *testing.T) {
	randomly(t, *farmSets/3, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		files := farmFilesOf(r, farms)
		script := compiled(t, Dir{Path: "farms.d", FS: files})
		lines := strings.Split(string(script.Text), "\n")
		read, err := readScript(string(script.Text))
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]string{}
		for _, m := range read.maps {
			for _, e := range m.elements {
				want[e.line] = e.farm
			}
		}
		chain, ofTable := "", map[int]bool{} // the chain of a maglev table names one of the farms that share it
		for i, line := range lines {
			if name, ok := strings.CutPrefix(line, "\tchain farm/"); ok {
				chain, _, _ = strings.Cut(name, "/")
			}
			ofTable[i+1] = i > 0 && ofTable[i] || strings.HasPrefix(line, "\tchain maglev-") || strings.HasPrefix(line, "\tchain stateless-maglev-")
			if line == "\t}" {
				chain, ofTable[i+1] = "", false
			}
			if rule := strings.HasPrefix(line, "\t\t"); chain != "" && rule {
				want[i+1] = chain
			}
			if name, ok := strings.CutPrefix(line, "\t\t\t# "); ok {
				want[i+1] = name
			}
		}
		for i, line := range lines {
			origin, ok := script.Origin(i + 1)
			switch farm := want[i+1]; {
			case farm == "" && ok && !ofTable[i+1]:
				t.Errorf("line %d is of no farm, but has the origin %+v: %s", i+1, origin, line)
			case farm != "" && !ok:
				t.Errorf("line %d is of %s, but has no origin: %s", i+1, farm, line)
			case farm != "" && (origin.Farm != farm || origin.Place.File != "farms.d/"+farm+".toml"):
				t.Errorf("line %d is of %s, not of %+v: %s", i+1, farm, origin, line)
			case farm != "" && origin.Place.Line > 0 && !strings.Contains(string(files[farm+".toml"].Data), origin.Place.Text):
				t.Errorf("line %d comes from a line that isn't there: %+v", i+1, origin)
			}
		}
		for _, n := range []int{-1, 0, len(lines), len(lines) + 1, 1 << 30} {
			if origin, ok := script.Origin(n); ok {
				t.Errorf("line %d has an origin: %+v", n, origin)
			}
		}
	})
}

// TestPropertySameBytes: the same farms make the same script, in whatever order, form and number of files they stand,
// and whatever the comments say.
func TestPropertySameBytes(t *testing.T) {
	randomly(t, *farmSets/3, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		want := compiled(t, Dir{FS: farmFilesOf(r, farms)})
		for form, dirs := range map[string][]Dir{
			"in other words":      {{FS: farmFilesOf(r, farms)}},
			"in other order":      {{FS: shuffled{farmFilesOf(r, farms), r}}},
			"with comments":       {{FS: commented(r, farmFilesOf(r, farms))}},
			"split into drop-ins": split(r, farms),
		} {
			got := compiled(t, dirs...)
			if !bytes.Equal(got.Text, want.Text) || got.Digest != want.Digest {
				t.Errorf("%s they make another script:\n%s\nrather than:\n%s", form, got.Text, want.Text)
			}
		}
	})
}

// shuffled lists its files in any order.
type shuffled struct {
	fstest.MapFS
	r *rand.Rand
}

func (s shuffled) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := s.MapFS.ReadDir(name)
	s.r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return entries, err
}

// commented adds comments and blank lines.
func commented(r *rand.Rand, files fstest.MapFS) fstest.MapFS {
	out := fstest.MapFS{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var text strings.Builder
		for line := range strings.Lines(string(files[name].Data)) {
			text.WriteString(pick(r, "", "\n", "# listen = \"192.0.2.1:1\"\n", "  # é\n"))
			text.WriteString(strings.TrimSuffix(line, "\n") + pick(r, "\n", " # no; drop }\n", "\r\n"))
		}
		out[name] = &fstest.MapFile{Data: []byte(text.String())}
	}
	return out
}

// split spreads the settings of each farm over its file and drop-ins in two directories. A setting may stand in
// several files; the last one is right, those before are not.
func split(r *rand.Rand, farms []modelFarm) []Dir {
	names := []string{".toml", ".toml.d/10.toml", ".toml.d/20.toml", ".toml.d/30.toml"}
	dirs := []Dir{{Path: "etc", FS: fstest.MapFS{}}, {Path: "run", FS: fstest.MapFS{}}}
	for _, f := range farms {
		parts := make([][]setting, len(names))
		for _, s := range f.settings(r) {
			last := r.IntN(len(names))
			parts[last] = append(parts[last], s)
			for before := range last {
				if r.IntN(4) == 0 {
					parts[before] = append(parts[before], setting{s.table, s.key, pick(r, `"another"`, "17", "[]", "true")})
				}
			}
		}
		for i, part := range parts {
			text := tomlText(r, part)
			if text == "" && i > 0 {
				continue
			}
			into := dirs[r.IntN(2)].FS.(fstest.MapFS)
			into[f.name+names[i]] = &fstest.MapFile{Data: []byte("# " + f.name + "\n" + text)}
			if into, other := dirs[0].FS.(fstest.MapFS), r.IntN(4) == 0; other && into[f.name+names[i]] == nil {
				into[f.name+names[i]] = &fstest.MapFile{Data: []byte("this file is hidden behind that of the later directory")}
			}
		}
	}
	return dirs
}

// TestPropertyKernel: nft takes the script of any farms, in the state that any others have left.
func TestPropertyKernel(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	randomly(t, *farmSets/2, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		k.t = t
		k.mustLoad(fmt.Sprint(len(farms), " farms"), compiled(t, Dir{FS: farmFilesOf(r, farms)}).Text)
	})
	k.t = t
}

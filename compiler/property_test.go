package compiler_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestPropertyPackets compares the script's treatment of packets with the promises of the format.
func TestPropertyPackets(t *testing.T) {
	served, refused := 0, 0
	compilertest.Randomly(t, 1, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		compiled := compilertest.Compiled(t, farm.Dir{FS: compilertest.FarmFilesOf(r, farms)})
		script, err := compilertest.ReadScript(string(compiled.Text))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range compilertest.Packets(r, farms, 200) {
			want, farm := compilertest.Expected(farms, p)
			got := script.Outcome(t, p)
			compareOutcomes(t, p, got, want, farm)
			served += len(want.Shares)
			if want.Refused {
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

func compareOutcomes(
	t *testing.T, p compilertest.Packet, got, want compilertest.Outcome, farm *compilertest.ModelFarm,
) {
	t.Helper()
	if got.Refused != want.Refused || len(got.Shares) != len(want.Shares) {
		t.Errorf("%s: got %s, want %s", p, got, want)
		return
	}
	if len(want.Shares) > 0 && got.Mark != want.Mark {
		t.Errorf("%s: the mark of %s is %q, not %q", p, farm.Name, got.Mark, want.Mark)
	}
	sum := 0.0
	for to, share := range want.Shares {
		off := share * 0.01
		if farm.TableSize != 0 { // as fine as the administrator wanted it
			off = 2 / float64(farm.TableSize)
		}
		if d := got.Shares[to] - share; d > off+1e-9 || d < -off-1e-9 {
			t.Errorf("%s: %s of %s gets %g, not %g", p, to, farm.Name, got.Shares[to], share)
		}
		if got.Sources[to] != want.Sources[to] {
			t.Errorf("%s: %s of %s sees %q, not %q", p, to, farm.Name, got.Sources[to], want.Sources[to])
		}
		sum += got.Shares[to]
	}
	if len(want.Shares) > 0 && (sum < 1-1e-9 || sum > 1+1e-9) {
		t.Errorf("%s: the shares of %s are %g in all", p, farm.Name, sum)
	}
}

// TestPropertyWellFormed: no two elements of a map have the same key, no intervals overlap, every chain and every map
// that is named exists, and none stands there for nothing.
func TestPropertyWellFormed(t *testing.T) {
	compilertest.Randomly(t, 3, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		text := string(compilertest.Compiled(t, farm.Dir{FS: compilertest.FarmFilesOf(r, farms)}).Text)
		script, err := compilertest.ReadScript(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range script.Maps {
			if !strings.Contains(text, "@"+name+"\n") && !strings.Contains(text, "@"+name+" ") {
				t.Errorf("nobody asks the map %s", name)
			}
			if (len(m.Elements) == 0) != m.Learnt && name != "backend-counts" {
				t.Errorf("the map %s has %d elements", name, len(m.Elements))
			}
			m.KeysDiffer(t, name)
			for _, e := range m.Elements {
				chain, leads := strings.CutPrefix(e.Value, "goto ")
				if _, ok := script.Chains[chain]; leads && !ok {
					t.Errorf("line %d leads to %s, which does not exist", e.Line, chain)
				}
			}
		}
		for name, rules := range script.Chains {
			hook := name == "keep-conntrack" || slices.ContainsFunc(rules, func(rule string) bool {
				return strings.HasPrefix(rule, "\t\ttype ") && strings.Contains(rule, " hook ")
			})
			if !hook && !strings.Contains(text, "goto "+name+",\n") && !strings.Contains(text, "goto "+name+"\n") &&
				!strings.Contains(text, "jump "+name+"\n") {
				t.Errorf("nothing leads to the chain %s", name)
			}
		}
		for _, rules := range script.Chains {
			for _, rule := range rules {
				for _, at := range namesMap.FindAllStringSubmatch(rule, -1) {
					if script.Maps[at[1]] == nil {
						t.Errorf("there is no map %s", at[1])
					}
				}
			}
		}
	})
}

// namesMap are the words of a rule that name a map.
var namesMap = regexp.MustCompile(`(?:map|update|delete) @(\S+)`)

// TestPropertyOrigins: every line that belongs to a farm has an origin in its file, and no other line has one.
func TestPropertyOrigins(t *testing.T) {
	compilertest.Randomly(t, 3, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		files := compilertest.FarmFilesOf(r, farms)
		script := compilertest.Compiled(t, farm.Dir{Path: "farms.d", FS: files})
		lines := strings.Split(string(script.Text), "\n")
		read, err := compilertest.ReadScript(string(script.Text))
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]string{}
		for _, m := range read.Maps {
			for _, e := range m.Elements {
				want[e.Line] = e.Farm
			}
		}
		// the chain of a maglev table, and idle times, name one of the farms that share them
		chain, ofTable, shared := "", map[int]bool{}, map[int]bool{}
		for i, line := range lines {
			if name, ok := strings.CutPrefix(line, "\tchain farm/"); ok {
				chain, _, _ = strings.Cut(name, "/")
			}
			ofTable[i+1] = i > 0 && ofTable[i] || strings.HasPrefix(line, "\tchain maglev-") ||
				strings.HasPrefix(line, "\tchain stateless-maglev-")
			if line == "\t}" {
				chain, ofTable[i+1] = "", false
			}
			idle := strings.HasPrefix(line, "\tct timeout ") || strings.HasPrefix(line, "\t\tct timeout set ")
			if rule := strings.HasPrefix(line, "\t\t"); chain != "" && rule && !idle {
				want[i+1] = chain
			}
			shared[i+1] = ofTable[i+1] || idle
			if name, ok := strings.CutPrefix(line, "\t\t\t# "); ok {
				want[i+1] = name
			}
		}
		for i, line := range lines {
			origin, ok := script.Origin(i + 1)
			switch farm := want[i+1]; {
			case farm == "" && ok && !shared[i+1]:
				t.Errorf("line %d is of no farm, but has the origin %+v: %s", i+1, origin, line)
			case farm != "" && !ok:
				t.Errorf("line %d is of %s, but has no origin: %s", i+1, farm, line)
			case farm != "" && (origin.Farm != farm || origin.Place.File != "farms.d/"+farm+".toml" &&
				(origin.Place.File != "farms.d/_defaults.toml" || origin.Key != "scheduler")):
				t.Errorf("line %d is of %s, not of %+v: %s", i+1, farm, origin, line)
			case farm != "" && origin.Place.Line > 0 && !strings.Contains(
				string(files[strings.TrimPrefix(origin.Place.File, "farms.d/")].Data), origin.Place.Text):
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

// TestPropertySameBytes: the same farms make the same script, in any order, form and number of files, and with any
// comments.
func TestPropertySameBytes(t *testing.T) {
	compilertest.Randomly(t, 3, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		want := compilertest.Compiled(t, farm.Dir{FS: compilertest.FarmFilesOf(r, farms)})
		for form, dirs := range map[string][]farm.Dir{
			"in other words":      {{FS: compilertest.FarmFilesOf(r, farms)}},
			"in other order":      {{FS: shuffled{compilertest.FarmFilesOf(r, farms), r}}},
			"with comments":       {{FS: commented(r, compilertest.FarmFilesOf(r, farms))}},
			"split into drop-ins": split(r, farms),
		} {
			got := compilertest.Compiled(t, dirs...)
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
			text.WriteString(compilertest.Pick(r, "", "\n", "# listen = \"192.0.2.1:1\"\n", "  # é\n"))
			text.WriteString(strings.TrimSuffix(line, "\n") + compilertest.Pick(r, "\n", " # no; drop }\n", "\r\n"))
		}
		out[name] = &fstest.MapFile{Data: []byte(text.String())}
	}
	return out
}

// split spreads the settings of each farm over its file and drop-ins in two directories. A setting may stand in several
// files; the last one is right, earlier ones are not.
func split(r *rand.Rand, farms []compilertest.ModelFarm) []farm.Dir {
	names := []string{".toml", ".toml.d/10.toml", ".toml.d/20.toml", ".toml.d/30.toml"}
	dirs := []farm.Dir{{Path: "etc", FS: fstest.MapFS{}}, {Path: "run", FS: fstest.MapFS{}}}
	for _, d := range dirs {
		compilertest.AddNeighbours(d.FS.(fstest.MapFS), farms)
	}
	for _, f := range farms {
		parts := make([][]compilertest.Setting, len(names))
		for _, s := range f.Settings(r) {
			last := r.IntN(len(names))
			parts[last] = append(parts[last], s)
			for before := range last {
				if r.IntN(4) == 0 {
					parts[before] = append(
						parts[before],
						compilertest.Setting{
							Table: s.Table,
							Key:   s.Key,
							Value: compilertest.Pick(r, `"another"`, "17", "[]", "true"),
						},
					)
				}
			}
		}
		for i, part := range parts {
			text := compilertest.TomlText(r, part)
			if text == "" && i > 0 {
				continue
			}
			into := dirs[r.IntN(2)].FS.(fstest.MapFS)
			into[f.Name+names[i]] = &fstest.MapFile{Data: []byte("# " + f.Name + "\n" + text)}
			if into, other := dirs[0].FS.(fstest.MapFS), r.IntN(4) == 0; other && into[f.Name+names[i]] == nil {
				into[f.Name+names[i]] = &fstest.MapFile{
					Data: []byte("this file is hidden behind that of the later directory"),
				}
			}
		}
	}
	return dirs
}

// TestPropertyKernel: nft takes the script of any farms, in the state that any others have left.
func TestPropertyKernel(t *testing.T) {
	t.Parallel()
	k := compilertest.NewKernel(t)
	compilertest.Randomly(t, 2, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		k.T = t
		compiled := compilertest.Compiled(t, farm.Dir{FS: compilertest.FarmFilesOf(r, farms)})
		k.MustLoad(fmt.Sprint(len(farms), " farms"), compiled.Text)
	})
	k.T = t
}

package compilertest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

var (
	// FarmSets is how many sets of farms Randomly makes.
	FarmSets = flag.Int("sets", 300, "how many random sets of farms the properties are tried on")
	fromSeed = flag.Uint64("seed", 0, "of the first set of farms; with -sets 1 one that failed is tried again")
)

// Randomly calls a property with random farms, a set for each seed: FarmSets sets divided by part, at least one. With
// -short the test is skipped.
func Randomly(t *testing.T, part int, property func(t *testing.T, r *rand.Rand, farms []ModelFarm)) {
	t.Helper()
	if testing.Short() {
		t.Skip("random farms take too long for -short; make test-slow runs them")
	}
	for i := range uint64(max(*FarmSets/part, 1)) {
		seed := *fromSeed + i
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			property(t, r, randomFarms(r))
		})
	}
}

// FarmFilesOf writes each farm to its file.
func FarmFilesOf(r *rand.Rand, farms []ModelFarm) fstest.MapFS {
	files := fstest.MapFS{}
	for _, f := range farms {
		files[f.Name+".toml"] = &fstest.MapFile{Data: []byte(TomlText(r, f.Settings(r)))}
	}
	AddNeighbours(files, farms)
	return files
}

// AddNeighbours adds the files beside those of the farms: the defaults of the directory, and a service of this machine
// with sources, if the set of farms has them.
func AddNeighbours(files fstest.MapFS, farms []ModelFarm) {
	for _, f := range farms {
		if f.inherited != "" {
			files[farm.DefaultsFile] = &fstest.MapFile{Data: []byte("scheduler = \"" + f.inherited + "\"\n")}
		}
		if f.sources != "" {
			files["0proxy.toml"] = &fstest.MapFile{
				Data: []byte("mode = \"local\"\nlisten = \"192.0.2.77:7777\"\nsources = " + f.sources + "\n")}
		}
	}
}

// RandomEdit makes an edit, and says which; there is no script where the farms that come out have a fault.
func RandomEdit(r *rand.Rand, farms []ModelFarm) (edited []ModelFarm, what string, script *ruleset.Script) {
	edited = slices.Clone(farms)
	if len(edited) == 0 || r.IntN(8) == 0 {
		f := RandomFarm(r)
		if len(edited) > 0 {
			f.inherited, f.sources = edited[0].inherited, edited[0].sources
		}
		if len(f.listens) == 0 || slices.ContainsFunc(edited, f.Meets) {
			return nil, "", nil
		}
		edited, what = append(edited, f), "a farm more"
	} else {
		at := r.IntN(len(edited))
		f := &edited[at]
		f.backends = slices.Clone(f.backends)
		b := &f.backends[r.IntN(len(f.backends))]
		switch r.IntN(12) {
		case 0:
			edited, what = slices.Delete(edited, at, at+1), "a farm less"
		case 1:
			f.mode, what = Pick(r, "snat", "dnat"), "mode"
		case 2:
			f.down, what = !f.down, "state of a farm"
		case 3:
			f.local, what = !f.local, "local-clients"
		case 4:
			f.mark, what = Pick(r, "", "0x10/0xff"), "mark"
		case 5:
			f.TableSize, f.hashOn, what = 0, nil, "scheduler"
			f.randomSchedule(r, slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil }))
		case 6:
			b.state, what = Pick(r, "up", "drain", "down"), "state of a backend"
		case 7:
			b.port, what = Pick(r, 0, 8080, 9090), "port of a backend"
		case 8:
			f.persistOn, f.static, f.prefix, f.group, what = nil, nil, "", "", "no persistence"
			if r.IntN(2) == 0 {
				f.persistOn, what = []string{"source-address"}, "persistence"
			}
		case 9:
			f.backends, what = slices.DeleteFunc(f.backends, func(o modelBackend) bool {
				return o.name == b.name
			}), "a backend less"
		default:
			b.weight, what = f.randomWeight(r), "weight"
		}
	}
	script, told := compiler.Compile([]farm.Dir{{FS: FarmFilesOf(r, edited)}})
	if told.Faulty() {
		return nil, "", nil
	}
	return edited, what, script
}

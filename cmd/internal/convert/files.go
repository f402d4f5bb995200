package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A File is a file that an import writes.
type File struct {
	Name string
	Text []byte
}

// incomplete is the ending of farms that the compiler refuses.
const incomplete = ".incomplete"

// Finish makes the files of the result. It compiles them together: a farm with a fault becomes NAME.toml.incomplete,
// and the fault becomes a loss that matters. The files without that ending compile. The losses are in order then.
func (r *Result) Finish() []File {
	var lists []File
	for _, l := range r.Lists {
		lists = append(lists, File{l.Name + ".list", l.Text})
	}
	good, refused := r.texts()
	for len(good) > 0 {
		faulty := faultsByFile(slices.Concat(good, lists), r.answers())
		if len(faulty) == 0 {
			break
		}
		good, refused = r.divide(good, refused, faulty)
	}
	for _, f := range r.Farms {
		r.noteLoopback(f)
	}
	r.sort()
	return slices.Concat(good, lists, refused)
}

// noteLoopback names the kernel parameter that farms on a loopback address need.
func (r *Result) noteLoopback(f *Farm) {
	mode, _ := f.Document["mode"].(string)
	listen, _ := plain(f.Document["listen"]).([]any)
	if one, is := f.Document["listen"].(string); is {
		listen = []any{one}
	}
	onLoopback := func(entry any) bool { return strings.HasPrefix(fmt.Sprint(entry), "127.") }
	if mode != "local" && slices.ContainsFunc(listen, onLoopback) {
		r.Note(f.Place,
			"farm "+f.Name+" listens on a loopback address: the kernel keeps its connections on this machine",
			"sysctl -w net.ipv4.conf.IF.route_localnet=1, for the interface to the backends; see farmc-modes(7)")
	}
}

// texts writes the farms. Package edit refuses farms that are too large. Farms that lack a key are refused already.
func (r *Result) texts() (good, refused []File) {
	for _, f := range r.Farms {
		text, faults := f.text()
		if len(faults) > 0 {
			r.Lose(f.Place, "farm "+f.Name+" cannot be written: "+faults[0].Message, "divide it into several farms")
			continue
		}
		if f.Incomplete {
			refused = append(refused, File{f.Name + ".toml" + incomplete, text})
			continue
		}
		good = append(good, File{f.Name + ".toml", text})
	}
	return good, refused
}

// divide moves the farms with faults to the refused ones. If no fault has the place of a farm, all are moved.
func (r *Result) divide(good, refused []File, faulty map[string]diag.Diagnostic) (still, all []File) {
	for _, f := range good {
		fault, bad := faulty[f.Name]
		if !bad && !noneOf(good, faulty) {
			still = append(still, f)
			continue
		}
		r.refuse(strings.TrimSuffix(f.Name, ".toml"), cmp.Or(fault.Message, anyOf(faulty).Message), fault.Hint)
		refused = append(refused, File{f.Name + incomplete, f.Text})
	}
	return still, refused
}

func noneOf(files []File, faulty map[string]diag.Diagnostic) bool {
	return !slices.ContainsFunc(files, func(f File) bool { _, bad := faulty[f.Name]; return bad })
}

func anyOf(faulty map[string]diag.Diagnostic) (d diag.Diagnostic) {
	for _, d = range faulty {
		break
	}
	return d
}

// refuse records that the compiler refuses a farm.
func (r *Result) refuse(name, message, hint string) {
	at := Place{}
	for _, f := range r.Farms {
		if f.Name == name {
			at = f.Place
		}
	}
	instead := "mend " + name + ".toml" + incomplete + ", and remove the ending"
	if hint != "" {
		instead += " (" + hint + ")"
	}
	r.Lose(at, "farmc refuses farm "+name+", "+message, instead)
}

// faultsByFile compiles files, and gives the first fault of each.
func faultsByFile(files []File, answers farm.Answers) map[string]diag.Diagnostic {
	dns := dirOf([]File{{farm.AnswersFile, answers.Text()}})
	dns.Answers = true
	_, told := compiler.Compile([]farm.Dir{dirOf(files), dns})
	faults := map[string]diag.Diagnostic{}
	for _, d := range told {
		if _, there := faults[d.Place.File]; d.Severity == diag.Fault && !there {
			faults[d.Place.File] = d
		}
	}
	return faults
}

// dirOf is a directory with some files.
func dirOf(files []File) farm.Dir {
	of := &source.Files{Roots: []source.Dir{{Path: ""}}, ByPath: map[string]source.File{}}
	for _, f := range files {
		of.Add(source.File{Name: f.Name, Text: f.Text})
	}
	return of.Dirs()[0]
}

// answers gives each hostname of a backend an address, since an import asks no DNS.
func (r *Result) answers() farm.Answers {
	answers, next := farm.Answers{}, netip.MustParseAddr("198.18.0.1")
	for _, f := range r.Farms {
		backends, _ := f.Document["backends"].(map[string]any)
		for name := range backends {
			host, _ := f.Get("backends", name, "address").(string)
			if _, err := netip.ParseAddr(host); err != nil && host != "" && answers[host] == nil {
				answers[host] = []netip.Addr{next}
				next = next.Next()
			}
		}
	}
	return answers
}

package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"farmc/cmd/internal/permission"
	"farmc/cmd/internal/resolve"
	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// The answers of DNS are a source file of the farms, in the state directory. So the archive of a load has them, a boot
// without DNS has the last good ones, and the compiler asks no network.

// answersPath returns the path of the file with the answers.
func (e *Engine) answersPath() string { return filepath.Join(e.Store.Dir, farm.AnswersFile) }

// sourceDirs returns the directories of farms and the one of answers, as they will be after some changes.
func (e *Engine) sourceDirs(permissions *permission.Check, changes []source.Change) []farm.Dir {
	return append(source.WithChanges(permissions.Dirs(e.Dirs), changes), e.answersDirs()...)
}

// answersDirs returns the directory of answers, with the ones that this process knows.
func (e *Engine) answersDirs() []farm.Dir {
	if e.Store.Dir == "" {
		return nil
	}
	d := Dir(e.Store.Dir)
	d.Optional, d.Answers = true, true
	if known := e.memory().answers; known != nil {
		return source.WithChanges([]farm.Dir{d}, []source.Change{{Path: e.answersPath(), Text: known.Text()}})
	}
	return []farm.Dir{d}
}

// awaitHosts adds hostnames that were never asked for to the answers, without addresses. It returns true if there were
// some: then their farms can be loaded with the addresses that are known, and wait for no server.
func (e *Engine) awaitHosts(c *compilation) bool {
	if !e.ResolvesHosts {
		return false
	}
	hosts := hostsIn(c.readings)
	if len(hosts) == 0 {
		return false
	}
	memory := e.memory()
	memory.answers = e.answers()
	return addUnknown(memory.answers, hosts)
}

// addUnasked adds the hostnames of farms that are in no file to the answers in sources, without addresses.
func addUnasked(sources *source.Files, readings []*farm.Reading) (found bool) {
	at := slices.IndexFunc(sources.Roots, func(d source.Dir) bool { return d.IsAnswers() })
	if at < 0 {
		return false
	}
	var words, answers = farm.Answers{}, farm.Answers{}
	_ = json.Unmarshal(sources.ByPath[filepath.Join(sources.Roots[at].Path, farm.AnswersFile)].Text, &words)
	maps.Copy(answers, words) // words is nil if the text is null
	found = addUnknown(answers, hostsIn(readings))
	sources.Add(source.File{Dir: at, Name: farm.AnswersFile, Text: answers.Text()})
	return found
}

// addUnknown adds hostnames without an answer to the answers, and returns true if there were some.
func addUnknown(answers farm.Answers, hosts []farm.Host) (found bool) {
	for _, h := range hosts {
		if _, known := answers[h.Name]; !known {
			answers[h.Name], found = []netip.Addr{}, true
		}
	}
	return found
}

// hostsIn returns the hostnames that farms name.
func hostsIn(readings []*farm.Reading) (hosts []farm.Host) {
	for _, r := range readings {
		if f := r.Farm(); f != nil {
			hosts = append(hosts, f.Hosts...)
		}
	}
	return hosts
}

// answers returns the answers that this process knows, or else the stored ones.
func (e *Engine) answers() farm.Answers {
	if known := e.memory().answers; known != nil {
		return known
	}
	return e.storedAnswers()
}

// storedAnswers returns the answers in the state directory; none if they cannot be read.
func (e *Engine) storedAnswers() farm.Answers {
	var words, out = farm.Answers{}, farm.Answers{}
	e.Store.Recall(farm.AnswersFile, &words) // the compiler reports damage
	maps.Copy(out, words)
	return out
}

// Hosts returns the hostnames that farms name: in the files, and in the given farms, which were loaded last.
func (e *Engine) Hosts(loaded []*farm.Farm) map[string]resolve.Wanted {
	defer e.exclusive()()
	files := e.memory().compiled
	if files == nil {
		files = e.compile()
	}
	return e.hostsOf(files.readings, loaded)
}

// HostsIn returns the hostnames that one farm file names.
func (e *Engine) HostsIn(file string) map[string]resolve.Wanted {
	defer e.exclusive()()
	c, err := e.compileFile(file)
	if err != nil {
		return nil
	}
	return e.hostsOf(c.incremental.Readings(), nil)
}

func (e *Engine) hostsOf(readings []*farm.Reading, farms []*farm.Farm) map[string]resolve.Wanted {
	hosts := hostsIn(readings)
	for _, f := range farms {
		hosts = append(hosts, f.Hosts...)
	}
	out := map[string]resolve.Wanted{}
	if len(hosts) == 0 {
		return out
	}
	last := e.answers()
	for _, h := range hosts {
		w := out[h.Name]
		for _, family := range h.Families {
			w.IP4, w.IP6 = w.IP4 || family == addr.IP4, w.IP6 || family == addr.IP6
		}
		w.Last = last[h.Name]
		out[h.Name] = w
	}
	return out
}

// UseAnswers has the next compilations use answers. It returns true if they differ from the ones before. Hostnames
// without a good answer keep the last one.
func (e *Engine) UseAnswers(records map[string]resolve.Record) (changed bool) {
	defer e.exclusive()()
	return e.useAnswers(records)
}

func (e *Engine) useAnswers(records map[string]resolve.Record) (changed bool) {
	memory := e.memory()
	memory.answers = e.answers()
	for host, r := range records {
		before, known := memory.answers[host]
		after := r.Addresses
		if len(after) == 0 {
			after = append([]netip.Addr{}, before...)
		}
		changed = changed || !known && len(after) > 0 || !slices.Equal(before, after)
		if len(after) > 0 || e.ResolvesHosts {
			memory.answers[host] = after
		}
	}
	return changed
}

// KeepAnswers is UseAnswers, and writes the answers to the state directory, with a record of each hostname for status.
func (e *Engine) KeepAnswers(records map[string]resolve.Record) (changed bool, err error) {
	defer e.exclusive()()
	changed = e.useAnswers(records)
	if err := os.MkdirAll(e.Store.Dir, 0o755); err != nil {
		return changed, fmt.Errorf("state directory: %w", err)
	}
	e.Store.Note(statedir.HostsFile, records)
	e.forgetHosts(records)
	if stored := e.storedAnswers(); maps.EqualFunc(stored, e.memory().answers, slices.Equal) {
		return changed, nil
	}
	return changed, e.Store.WriteJSON(farm.AnswersFile, e.memory().answers)
}

// forgetHosts removes answers about hostnames that are not asked for, if there are too many. A rollback can use a few.
func (e *Engine) forgetHosts(asked map[string]resolve.Record) {
	answers := e.memory().answers
	maps.DeleteFunc(answers, func(host string, _ []netip.Addr) bool {
		_, still := asked[host]
		return !still && len(answers) > farm.MaxHosts
	})
}

// A HostStatus is the last answer for a hostname, and its state.
type HostStatus struct {
	Name      string        `json:"name"`
	Backends  []string      `json:"backends"`  // with this hostname in the files, as FARM/BACKEND
	Addresses []string      `json:"addresses"` // of the last good answer
	Refused   []RefusedHost `json:"refused"`   // addresses of the last answer that no backend may have
	Failure   string        `json:"failure"`   // why the last question failed; "": it did not
	Since     string        `json:"since"`     // RFC 3339, the first failure since the last good answer; "": none
	Next      string        `json:"next"`      // RFC 3339, the next question; "": no farmc watch asks
}

// A RefusedHost is an address of an answer that no backend may have.
type RefusedHost struct {
	Address string `json:"address"`
	Reason  string `json:"reason"`
}

// addHosts adds the hostnames of farms, by name.
func (s *Status) addHosts(e *Engine, farms []*farm.Farm) {
	backends := map[string][]string{}
	for _, f := range farms {
		for _, h := range f.Hosts {
			backends[h.Name] = append(backends[h.Name], f.Name+"/"+h.Backend)
		}
	}
	if len(backends) == 0 {
		return
	}
	records := map[string]resolve.Record{}
	e.Store.Recall(statedir.HostsFile, &records)
	answers := e.answers()
	for _, host := range slices.Sorted(maps.Keys(backends)) {
		s.Hosts = append(s.Hosts, newHostStatus(host, backends[host], answers[host], records))
	}
}

func newHostStatus(
	host string, backends []string, addresses []netip.Addr, records map[string]resolve.Record,
) HostStatus {
	out := HostStatus{Name: host, Backends: backends, Addresses: []string{}, Refused: []RefusedHost{}}
	for _, a := range addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	r, known := records[host]
	for _, one := range r.Refused {
		out.Refused = append(out.Refused, RefusedHost{one.Address.String(), one.Reason})
	}
	out.Failure, out.Since, out.Next = r.Reason, formatTime(r.Since), formatTime(r.Next)
	if !known || !r.Next.IsZero() && time.Since(r.Next) > staleAfter {
		out.Failure, out.Since, out.Next = "no farmc watch asks", formatTime(r.Next), ""
	}
	return out
}

// staleAfter is how late a question about a hostname is at most while farmc watch runs.
const staleAfter = 2 * time.Minute

// HostWarnings describes hostnames whose questions failed.
func HostWarnings(records map[string]resolve.Record) (out diag.Diagnostics) {
	for _, host := range slices.Sorted(maps.Keys(records)) {
		if r := records[host]; r.Reason != "" {
			out = append(out, diag.Diagnostic{Severity: diag.Warning, Message: hostFailure(host, r)})
		}
	}
	return out
}

func hostFailure(host string, r resolve.Record) string {
	if len(r.Addresses) == 0 {
		return fmt.Sprintf("%s: %s", host, r.Reason)
	}
	return fmt.Sprintf("%s: %s; its last addresses stay", host, r.Reason)
}

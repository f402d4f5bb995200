package live

import (
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
)

// lastLoad returns the record that Loaded returns after the plan is committed. The digests of 10,000 files are made
// beside the script for the boot.
func (p Plan) lastLoad() statedir.LastLoad {
	var digests sync.WaitGroup
	digests.Go(func() { _, _ = p.sources.Digest(), p.sources.EditsDigest() })
	p.boot()
	digests.Wait()
	return statedir.LastLoad{Script: p.Script.Text, Digest: p.Script.Digest, Farms: farm.Describe(p.Script.Farms),
		Interfaces: interfaceIndexes(p.Script.Interfaces), Boot: p.boot().Digest, Sources: p.sources.Digest(),
		Edits: p.sources.EditsDigest(), Routes: p.Script.Sources, Ports: p.Script.ServedPorts}
}

// record returns the plan as the state directory records it.
func (p Plan) record() statedir.Load {
	return statedir.Load{Last: p.lastLoad(), Boot: p.boot().Text, Sources: p.sources, ScriptOnly: p.scriptOnly,
		Before: p.Before, KeepPrevious: p.keepPrevious, Unconfirmed: p.unconfirmed}
}

// historyEntry returns the plan as the history of loads records it.
func (e *Engine) historyEntry(p *Plan) statedir.HistoryEntry {
	return statedir.HistoryEntry{Time: time.Now().UTC().Truncate(time.Second), Farms: changedFarms(p.Changes),
		Cause: e.Cause, Script: p.Script.Digest, Edits: p.sources.EditsDigest()}
}

// changedFarms returns the names of the farms in the sentences of Plan.Changes.
func changedFarms(changes []string) []string {
	farms, known := []string{}, map[string]bool{}
	for _, change := range changes {
		if name, _, ok := strings.Cut(change, ": "); ok && !known[name] {
			known[name] = true
			farms = append(farms, name)
		}
	}
	return farms
}

package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// loads are the scripts that the balancers have loaded, as far as a reader sees each of them before the next one.
type loads struct {
	mu     sync.Mutex
	seen   map[string]int      // number of scripts, by balancer
	now    map[string][]string // revisions in the last script, by balancer
	faults []string
}

// revisions are numbers from 20000 to 21999: ports of backends, which one transaction changes in several farms.
var revisions = regexp.MustCompile(`\b2[01]\d{3}\b`)

// followLoads reads each script that a balancer loads, until the end of the test.
func (s *site) followLoads() *loads {
	s.t.Helper()
	l := &loads{seen: map[string]int{}, now: map[string][]string{}}
	files, err := fsnotify.NewWatcher()
	must(s.t, err)
	s.t.Cleanup(func() { files.Close() })
	for _, b := range s.balancers {
		must(s.t, os.MkdirAll(s.state(b), 0o700))
		must(s.t, files.Add(s.state(b)))
	}
	go func() {
		for e := range files.Events {
			if e.Has(fsnotify.Create) && filepath.Base(e.Name) == "loaded.nft" {
				l.read(e.Name)
			}
		}
	}()
	return l
}

// read notes the script of a balancer. Farms of two revisions in one script are a fault.
func (l *loads) read(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	found := revisions.FindAllString(string(text), -1)
	slices.Sort(found)
	found = slices.Compact(found)
	l.mu.Lock()
	defer l.mu.Unlock()
	balancer := filepath.Base(filepath.Dir(filepath.Dir(file)))
	l.seen[balancer]++
	l.now[balancer] = found
	if len(found) > 1 {
		l.faults = append(l.faults, fmt.Sprintf("%s has loaded revisions %v at once", balancer, found))
	}
}

// last are the revisions in the last script of a balancer.
func (l *loads) last(b *balancer) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.now[b.Name], ", ")
}

// check fails the test if a load had files of two revisions.
func (l *loads) check(s *site) {
	s.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fault := range l.faults {
		s.t.Error(fault)
	}
	s.t.Logf("scripts read: %v", l.seen)
}

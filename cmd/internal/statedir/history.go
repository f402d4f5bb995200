package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A HistoryEntry is a load that edits of farms or lists caused. States of backends are no edits.
type HistoryEntry struct {
	Time      time.Time `json:"time"`
	Farms     []string  `json:"farms"` // farms that changed
	Cause     string    `json:"cause"` // command that loaded them, such as "farmc apply"
	Script    string    `json:"script"`
	Edits     string    `json:"edits"` // digest of the source files without states; names the archive
	Confirmed bool      `json:"confirmed,omitempty"`
}

const (
	historyDir  = "history"
	historyFile = historyDir + "/loads.json"
	maxHistory  = 10
)

// History returns the last loads, the current one first.
func (s Store) History() ([]HistoryEntry, error) {
	var all []HistoryEntry
	err := s.ReadJSON(historyFile, &all)
	return all, err
}

// Archive returns the path of the source files of an entry, relative to the state directory.
func (h HistoryEntry) Archive() string { return historyDir + "/" + h.Edits + ".zip" }

// RecordHistory adds a load that was committed, if edits caused it. Before is the load that it replaced.
func (s Store) RecordHistory(entry HistoryEntry, before LastLoad) error {
	all, err := s.History()
	if err != nil {
		return err
	}
	if len(all) > 0 && all[0].Edits == entry.Edits {
		return nil
	}
	if all, err = s.addMissing(all, before); err != nil {
		return err
	}
	if err := s.linkHistory(sourcesFile, entry); err != nil {
		return err
	}
	switch {
	case len(all) > 0 && all[0].Edits == entry.Edits: // a repetition
		all[0].Script = entry.Script
	case len(all) > 0 && all[0].Script == entry.Script && len(entry.Farms) == 0: // comments
		all[0].Edits, all[0].Script = entry.Edits, entry.Script
	default:
		all = slices.Insert(all, 0, entry)
	}
	return s.writeHistory(all)
}

// addMissing adds the load before the current one, if a farmc that was killed, or another version, has not recorded it.
func (s Store) addMissing(all []HistoryEntry, before LastLoad) ([]HistoryEntry, error) {
	if before.Script == nil || len(all) > 0 && all[0].Script == before.Digest {
		return all, nil
	}
	sources, of := s.sources(previousZip)
	if sources == nil || of != before.Digest {
		return all, nil
	}
	entry := HistoryEntry{Cause: "unknown", Script: before.Digest, Edits: sources.EditsDigest()}
	if len(all) > 0 && all[0].Edits == entry.Edits {
		return all, nil
	}
	if info, err := os.Stat(filepath.Join(s.Dir, previousFile)); err == nil {
		entry.Time = info.ModTime().UTC().Truncate(time.Second)
	}
	return slices.Insert(all, 0, entry), s.linkHistory(previousZip, entry)
}

// linkHistory keeps the archive of an entry as a second name of a state file: state files are replaced, never changed.
func (s Store) linkHistory(name string, entry HistoryEntry) error {
	if err := os.MkdirAll(filepath.Join(s.Dir, historyDir), 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	to := entry.Archive()
	os.Remove(filepath.Join(s.Dir, to+pending))
	if err := s.link(to, name); err != nil {
		return err
	}
	err := os.Rename(filepath.Join(s.Dir, to+pending), filepath.Join(s.Dir, to))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// writeHistory writes the entries, and removes the archives of older ones.
func (s Store) writeHistory(all []HistoryEntry) error {
	all = all[:min(len(all), maxHistory)]
	if err := os.MkdirAll(filepath.Join(s.Dir, historyDir), 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if err := s.WriteJSON(historyFile, all); err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Join(s.Dir, historyDir))
	for _, f := range files {
		kept := slices.ContainsFunc(all, func(h HistoryEntry) bool { return h.Archive() == historyDir+"/"+f.Name() })
		if !kept && strings.HasSuffix(f.Name(), ".zip") {
			os.Remove(filepath.Join(s.Dir, historyDir, f.Name()))
		}
	}
	return err
}

// RewindHistory removes the loads after the target of a rollback, which becomes the current one. It is known by the
// digest of its script or of its edits.
func (s Store) RewindHistory(digest, edits string) error {
	if digest == "" {
		return s.writeHistory(nil)
	}
	all, err := s.History()
	i := slices.IndexFunc(all, func(h HistoryEntry) bool { return h.Edits == edits })
	if i < 0 {
		i = slices.IndexFunc(all, func(h HistoryEntry) bool { return h.Script == digest })
	}
	if err != nil || i <= 0 {
		return err
	}
	return s.writeHistory(all[i:])
}

// ConfirmHistory marks the current load as confirmed.
func (s Store) ConfirmHistory() error {
	all, err := s.History()
	if err != nil || len(all) == 0 {
		return err
	}
	all[0].Confirmed = true
	return s.writeHistory(all)
}

// Package manage changes farms as files: it creates, replaces, edits and deletes farms and their backends. Each
// function returns a live.Write, which package live does together with its load. Commands and the API use the same
// functions.
//
// The package knows farms as documents (package edit) and the files of a farm in all directories. It knows no HTTP, no
// command lines and no rules.
//
// Order of the files: manage.go (Condition, the errors), farm.go and backend.go (the operations), target.go (the files
// of a farm, and its current document), inforce.go (drop-ins that override a change), deleted.go (copies and records in
// the state directory); health.go (words of health checkers), list.go (lists).
//
// Be aware:
//   - The functions that a live.Write holds run under the lock of the engine, perhaps several times. They read the
//     files anew each time, so a condition never holds for an older version of the farm.
//   - A name from outside becomes part of a path only if farm.IsName admits it.
//   - Success means in force: a change that a drop-in overrides is refused, with the name of the drop-in.
package manage

import (
	"encoding/json"

	"farmc/cmd/internal/edit"
)

// A Condition returns why a change must not be made to the current document of a farm or backend: its keys, from the
// file and the drop-ins. The document is nil if the farm or backend does not exist, and "null" if the file is not TOML.
type Condition func(now json.RawMessage) error

// A Blocked error says why files outside of the request stand in the way of a change.
type Blocked struct{ Reason string }

func (b Blocked) Error() string { return b.Reason }

// A Missing error says that a farm or a backend does not exist.
type Missing struct{ Kind string }

func (m Missing) Error() string { return "there is no such " + m.Kind }

// A Faulty error has the faults of a document, or of the file that it is to change.
type Faulty struct {
	File   string // path of the file; "": the faults are in the document
	Faults []edit.Fault
}

func (f Faulty) Error() string {
	if f.File != "" {
		return f.File + " is not TOML: " + f.Faults[0].String()
	}
	return f.Faults[0].String()
}

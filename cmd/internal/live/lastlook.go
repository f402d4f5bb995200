package live

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// A lookRecord is the first line of findings.json: the last look at this machine. A line for each of its findings
// follows. There can be one for each of 100,000 backends, and mostly they are the findings of the look before: the
// first line tells that, and only a change has the others read.
type lookRecord struct {
	Losses [2]preflight.Losses `json:"losses"` // the last sample, and one at least a minute older
	Count  int                 `json:"count"`  // of findings
	Digest string              `json:"digest"` // see digestOf
}

// A reportedFinding is a line of findings.json: a finding as it was printed.
type reportedFinding struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Hint string `json:"hint"`
}

func reportedAs(f *preflight.Finding) reportedFinding {
	return reportedFinding{f.ID(), f.Text(), f.Hint()}
}

// digestOf tells lists of findings apart as they are printed; "" for none.
func digestOf(found preflight.Findings) string {
	if len(found) == 0 {
		return ""
	}
	sum := sha256.New()
	var line []byte
	for _, f := range found {
		now := reportedAs(f)
		line = append(append(append(line[:0], now.ID...), 0), now.Text...)
		line = append(append(append(line, 0), now.Hint...), 0)
		sum.Write(line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// lastLook returns the record of the last look without its findings.
func (e *Engine) lastLook() (record lookRecord) {
	e.readLook(func(lines *json.Decoder) error { return lines.Decode(&record) })
	return record
}

// reportedFindings returns the findings of the last look by their identities.
func (e *Engine) reportedFindings() map[string]reportedFinding {
	out := map[string]reportedFinding{}
	e.readLook(func(lines *json.Decoder) error {
		err := lines.Decode(&lookRecord{})
		for err == nil && lines.More() {
			var f reportedFinding
			if err = lines.Decode(&f); err == nil {
				out[f.ID] = f
			}
		}
		return err
	})
	return out
}

// readLook reads findings.json. A file that is missing or broken is the one of a machine without findings.
func (e *Engine) readLook(read func(lines *json.Decoder) error) {
	if file, err := e.Store.Open(statedir.FindingsFile); err == nil {
		_ = read(json.NewDecoder(file))
		file.Close()
	}
}

// keepLook replaces findings.json.
func (e *Engine) keepLook(record lookRecord, found preflight.Findings) {
	e.Store.NoteLines(statedir.FindingsFile, func(file io.Writer) error {
		lines := json.NewEncoder(file)
		err := lines.Encode(record)
		for _, f := range found {
			if err == nil {
				err = lines.Encode(reportedAs(f))
			}
		}
		return err
	})
}

// since is the sample from which losses count.
func (r lookRecord) since() preflight.Losses { return r.Losses[1] }

// sample takes a new sample of losses if the last one is a minute old. The older one becomes the start of the count.
func (r *lookRecord) sample(now time.Time) bool {
	last := r.Losses[0]
	if !last.At.IsZero() && now.Sub(last.At) < time.Minute && now.After(last.At) {
		return false
	}
	next := preflight.SampleLosses(now)
	if last.At.IsZero() {
		last = next
	}
	r.Losses = [2]preflight.Losses{next, last}
	return !next.At.IsZero()
}

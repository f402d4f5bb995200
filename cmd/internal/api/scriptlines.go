package api

import (
	"bytes"
	"net/http"

	"farmc/compiler/ruleset"
)

// A scriptAnswer has lines of the script of the files.
type scriptAnswer struct {
	Total int          `json:"total"` // lines of the script
	From  int          `json:"from"`  // number of the first line of Lines
	Lines []scriptLine `json:"lines"`
	Farm  []lineRange  `json:"farm"` // the lines of the farm that was asked for; the first 200 ranges
}

// A scriptLine is a line of the script, and the place in the files that it comes from.
type scriptLine struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
	Farm   string `json:"farm"` // "": no farm alone
	Key    string `json:"key"`  // of the farm
	File   string `json:"file"`
	Line   int    `json:"line"` // of File
}

// A lineRange is a range of lines, both ends included.
type lineRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Bounds of an answer with lines of the script.
const (
	maxScriptLines  = 500
	maxScriptRanges = 200
	maxScriptText   = 500 // bytes of a line
)

// scriptLines answers with some lines of the script.
func (s *Server) scriptLines(w http.ResponseWriter, r *http.Request) error {
	now, err := s.current()
	if err != nil {
		return err
	}
	script := now.Script()
	if script == nil {
		script = now.LoadedScript()
	}
	if script == nil {
		return faultyFiles(now)
	}
	asked := r.URL.Query()
	from, err := numberIn(asked.Get("from"), 0, 1<<30)
	if err != nil {
		return malformed("from is the number of a line, from 1 on")
	}
	count, err := numberIn(asked.Get("count"), maxScriptLines, maxScriptLines)
	if err != nil {
		return malformed("count is a number of lines, from 1 to 500")
	}
	writeJSON(w, http.StatusOK, linesOf(script, asked.Get("farm"), from, count))
	return nil
}

// linesOf returns lines of a script. From 0 is the first line of the farm.
func linesOf(script *ruleset.Script, farm string, from, count int) scriptAnswer {
	out := scriptAnswer{Total: bytes.Count(script.Text, []byte("\n")), Lines: []scriptLine{}, Farm: []lineRange{}}
	if farm != "" {
		out.Farm = rangesOf(script, farm, out.Total)
	}
	if from == 0 && len(out.Farm) > 0 {
		from = max(1, out.Farm[0].From-3)
	}
	out.From = min(max(1, from), max(1, out.Total))
	n := 0
	for text := range bytes.Lines(script.Text) {
		if n++; n < out.From {
			continue
		}
		if n >= out.From+count {
			break
		}
		out.Lines = append(out.Lines, lineOf(script, n, text))
	}
	return out
}

func lineOf(script *ruleset.Script, n int, text []byte) scriptLine {
	text = bytes.TrimRight(text, "\n")
	line := scriptLine{Number: n, Text: string(text)}
	if len(text) > maxScriptText {
		line.Text = string(bytes.ToValidUTF8(text[:maxScriptText], nil)) + "…"
	}
	if o := script.LineOrigin(n); o != nil {
		line.Farm, line.Key, line.File, line.Line = o.Farm, o.Key, o.Place.File, o.Place.Line
	}
	return line
}

// rangesOf returns the ranges of lines that come from a farm.
func rangesOf(script *ruleset.Script, farm string, total int) []lineRange {
	out := []lineRange{}
	for n := 1; n <= total; n++ {
		if o := script.LineOrigin(n); o == nil || o.Farm != farm {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].To == n-1 {
			out[last].To = n
			continue
		}
		if len(out) == maxScriptRanges {
			break
		}
		out = append(out, lineRange{n, n})
	}
	return out
}

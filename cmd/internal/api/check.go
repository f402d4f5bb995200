package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// check answers whether the farms of the document would load, on top of the files:
//
//	{"farms": {"web": {"listen": "192.0.2.10:80", ...}, "old": null}}
//
// null stands for a farm that is removed.
func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	document, release, err := s.readDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	texts, err := farmTexts(document)
	if err != nil {
		return err
	}
	result, err := s.Farms.Check(r.Context(), texts)
	switch {
	case err != nil:
		return err
	case result.Refused:
		return problem{status: http.StatusUnprocessableEntity, message: "nft refuses the script", faults: result.Faults}
	}
	if err := faultsProblem(result.Faults); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, result)
	return nil
}

// farmTexts returns the farms of a document as texts of files; nil for a farm that is removed.
func farmTexts(document map[string]any) (map[string][]byte, error) {
	farms, ok := document["farms"].(map[string]any)
	if !ok || len(document) != 1 {
		return nil, malformed(`the document is {"farms": {"NAME": {...}}}, and null in place of a farm removes it`)
	}
	out := map[string][]byte{}
	var faults []live.FarmFault
	for _, name := range slices.Sorted(maps.Keys(farms)) {
		if !farm.IsName(name) {
			return nil, malformed(fmt.Sprintf("%q is not the name of a farm", name))
		}
		text, more, err := farmText(name, farms[name])
		if err != nil {
			return nil, err
		}
		out[name], faults = text, append(faults, more...)
		if len(faults) >= maxFaults {
			break
		}
	}
	return out, faultsProblem(faults)
}

// farmText writes a farm as TOML; nil for null.
func farmText(name string, keys any) ([]byte, []live.FarmFault, error) {
	table, isTable := keys.(map[string]any)
	switch {
	case keys == nil:
		return nil, nil, nil
	case !isTable:
		return nil, nil, malformed("farm " + name + " is not an object")
	}
	text, faults := edit.Write(table)
	out := documentFaults(faults)
	for i := range out {
		out[i].Farm, out[i].Line, out[i].Column = name, 0, 0 // the client has not seen the text
	}
	return text, out, nil
}

func malformed(message string) error { return problem{status: http.StatusBadRequest, message: message} }

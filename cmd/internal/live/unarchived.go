package live

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
)

// faultsOfLoss returns a fault for each farm that an isolation leaves out although the kernel serves it. That is so
// where the state directory lacks the files of the last load. The rules of one farm cannot stay alone, so the load is
// refused: all rules stay.
func (e *Engine) faultsOfLoss(ctx context.Context, i *isolation) (faults diag.Diagnostics) {
	if len(i.last.Paths()) > 0 {
		return nil
	}
	last, err := e.Store.Loaded()
	if err != nil {
		return nil // the load itself reports it
	}
	stands, err := e.Nft.Loaded(ctx)
	for _, item := range i.kept {
		name, isFarm := strings.CutSuffix(item, ".toml")
		if isFarm && err == nil && stands != "" && mayServe(last, name) {
			faults = append(faults, diag.Diagnostic{Farm: name,
				Message: fmt.Sprintf("farm %s may be in the loaded rules, and %s"+unarchived, name, e.Store.Dir),
				Hint:    "correct the farm; or remove its file, which ends its service"})
		}
	}
	return faults
}

const unarchived = " does not have its earlier version, so nothing is loaded: the rules stay"

// mayServe reports whether the last load has the farm. Without a record of the load, it can have each farm.
func mayServe(last statedir.LastLoad, name string) bool {
	switch {
	case last.Script == nil:
		return true
	case last.Farms != nil:
		_, loaded := last.Farms[name]
		return loaded
	}
	return bytes.Contains(last.Script, []byte(`comment "`+name+`"`))
}

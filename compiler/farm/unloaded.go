package farm

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// unloadedKeys are the keys of a farm that no rule depends on, so that Changes does not tell them.
var unloadedKeys = []string{"description", "annotations", inheritKey}

// UnloadedChanges describes the differences between two readings of a farm that no rule shows, a sentence each: keys
// for people and programs, and backends with hostnames, which are in the rules by their addresses alone. Of a backend
// only those are told, without the keys of the farm; "": of all.
func UnloadedChanges(before, after *Reading, backend string) (out []string) {
	was, is := contentOf(before), contentOf(after)
	if was == nil || is == nil {
		return nil
	}
	for _, key := range unloadedKeys {
		if backend == "" {
			out = append(out, valueChanges(key, was[key], is[key])...)
		}
	}
	older, newer := tableOf(was["backends"]), tableOf(is["backends"])
	for _, name := range union(older, newer) {
		a, b := tableOf(older[name]), tableOf(newer[name])
		if hasHost(a) || hasHost(b) {
			if backend == "" || backend == name {
				out = append(out, hostChanges(name, a, b)...)
			}
		}
	}
	return out
}

// contentOf gives the keys of a farm as they are in its files; nil if its file is not TOML.
func contentOf(r *Reading) (out map[string]any) {
	if json.Unmarshal(r.Document(), &out) != nil {
		return nil
	}
	return out
}

func tableOf(value any) map[string]any {
	table, _ := value.(map[string]any)
	return table
}

// hasHost reports whether the address of a backend is a hostname.
func hasHost(backend map[string]any) bool {
	text, isText := backend["address"].(string)
	_, err := netip.ParseAddr(text)
	return isText && err != nil
}

// hostChanges describes the changes of a backend with a hostname.
func hostChanges(name string, was, is map[string]any) (out []string) {
	switch {
	case was == nil:
		return []string{fmt.Sprintf("backend %s new: address %s", name, inJSON(is["address"]))}
	case is == nil:
		return []string{fmt.Sprintf("backend %s gone", name)}
	}
	for _, key := range union(was, is) {
		for _, change := range valueChanges(key, was[key], is[key]) {
			out = append(out, fmt.Sprintf("backend %s %s", name, change))
		}
	}
	return out
}

// valueChanges describes the changes of a key, or of the keys of a table.
func valueChanges(key string, was, is any) (out []string) {
	older, newer := tableOf(was), tableOf(is)
	if older == nil && newer == nil {
		if a, b := inJSON(was), inJSON(is); a != b {
			out = append(out, fmt.Sprintf("%s %s → %s", key, a, b))
		}
		return out
	}
	for _, below := range union(older, newer) {
		out = append(out, valueChanges(key+"."+below, older[below], newer[below])...)
	}
	return out
}

// inJSON writes a value of a file; "unset" for none.
func inJSON(value any) string {
	if value == nil {
		return "unset"
	}
	text, _ := json.Marshal(value) // has no error: it comes from JSON
	return string(text)
}

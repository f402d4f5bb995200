package edit

// mergePatch applies a JSON merge patch, as RFC 7396 defines it in section 2. The target stays as it is; the result
// shares parts with the target and the patch.
func mergePatch(target, patch any) any {
	changes, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	old, _ := target.(map[string]any)
	merged := make(map[string]any, len(old)+len(changes))
	for name, value := range old {
		merged[name] = value
	}
	for name, change := range changes {
		if change == nil {
			delete(merged, name)
			continue
		}
		merged[name] = mergePatch(merged[name], change)
	}
	return merged
}

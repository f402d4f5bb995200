package nftlb

import (
	"fmt"
	"net/http"
	"strings"
)

// patch replaces the policies of a farm, or the elements of a policy.
func (q *request) patch(path []string, body []byte) {
	switch f, p := q.Farm(path[1]), q.Policy(path[1]); {
	case path[0] == "farms" && path[2] == "policies" && f == nil:
		q.stop(http.StatusNotFound, "")
	case path[0] == "farms" && path[2] == "policies":
		f.Policies = nil
		q.load(body)
	case path[0] == "policies" && p == nil:
		q.stop(http.StatusNotFound, ". Unknown policy '%s'", path[1])
	case path[0] == "policies":
		p.Elements = nil
		q.load(body)
	default:
		q.refuse(http.StatusNotFound, invalidRequest)
	}
}

// load applies a document.
func (q *request) load(body []byte) {
	document, faults := readJSON(body, q.twice)
	if len(faults) > 0 {
		q.refuse(http.StatusBadRequest, badStructure)
		if len(strings.TrimSpace(string(body))) > 0 {
			fmt.Fprintf(&q.notes, ". %s", faults[0])
		}
		return
	}
	for _, m := range document {
		q.collection(m.key, m.value, map[string]func(object){"farms": q.loadFarm, "policies": q.loadPolicy,
			"addresses": q.loadAddress})
	}
}

const badStructure = "the structure is invalid"

// collection applies the objects of a list.
func (q *request) collection(key string, value any, kinds map[string]func(object)) {
	load, known := kinds[key]
	objects, isList := value.(list)
	switch {
	case !known:
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
	case !isList:
		q.refuse(http.StatusBadRequest, badStructure)
	}
	for _, o := range objects {
		fields, isObject := o.(object)
		if q.status == 0 && !isObject {
			q.refuse(http.StatusBadRequest, badStructure)
		}
		if q.status == 0 {
			load(fields)
		}
	}
}

// each applies the members of an object, with its name first. Lists are collections; set has all other keys.
func (q *request) each(o object, name string, kinds map[string]func(object), set func(key, text string)) {
	for _, m := range o.nameFirst(name) {
		text, isText := m.value.(string)
		switch {
		case q.status != 0:
			return
		case isText && isReadOnly(m.key):
		case isText && kinds[m.key] == nil:
			set(m.key, text)
		case kinds[m.key] != nil:
			q.collection(m.key, m.value, kinds)
		default:
			q.refuse(http.StatusBadRequest, badStructure)
		}
	}
}

// set reads a value of an object. It ends the request if the object has no such key.
func (q *request) set(k kind, v Values, key, text string) {
	if value, ok := q.read(k, key, text); ok {
		v[key] = value
	}
}

func (q *request) read(k kind, key, text string) (value string, ok bool) {
	a, known := k.byKey[key]
	if !known {
		q.stop(http.StatusBadRequest, ". Unknown key '%s'", key)
		return "", false
	}
	return a.read(q, key, text)
}

// unnamed ends the request if the object of the keys is unknown.
func (q *request) unnamed(isUnknown bool) bool {
	if isUnknown {
		q.stop(http.StatusNotFound, "")
	}
	return isUnknown
}

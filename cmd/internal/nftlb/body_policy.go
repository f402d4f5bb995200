package nftlb

import (
	"net/http"
	"slices"
)

func (q *request) attachPolicy(o object) {
	if !q.unnamed(q.farm == nil) {
		q.farm.Policies = q.attach(q.farm.Policies, o)
	}
}

func (q *request) attachToAddress(o object) {
	if !q.unnamed(q.address == nil) {
		q.address.Policies = q.attach(q.address.Policies, o)
	}
}

// attach adds the policy that an object names.
func (q *request) attach(to []string, o object) []string {
	q.each(o, "name", nil, func(key, name string) {
		switch {
		case key != "name":
			q.refuse(http.StatusBadRequest, badStructure)
		case q.Policy(name) == nil:
			q.stop(http.StatusNotFound, ". Unknown policy '%s'", name)
		case !slices.Contains(to, name):
			to = append(to, name)
		}
	})
	return to
}

func (q *request) loadPolicy(o object) {
	q.policy = nil
	q.each(o, "name", map[string]func(object){"elements": q.loadElement}, func(key, text string) {
		switch {
		case key == "name" && q.name(text):
			if q.policy = q.Policy(text); q.policy == nil {
				q.policy = &Policy{Name: text, Values: policyKind.presets(), order: q.next(), own: true}
				q.Policies = append(q.Policies, q.policy)
				q.keep(q.policy)
			}
		case key != "name" && !q.unnamed(q.policy == nil):
			q.set(policyKind, q.policy.Values, key, text)
		}
	})
	if q.policy != nil && q.status == 0 {
		q.policy.Elements = merged(q.policy.Elements)
	}
}

func (q *request) loadElement(o object) {
	if q.unnamed(q.policy == nil) {
		return
	}
	q.each(o, "data", nil, func(key, text string) {
		switch {
		case key == "time":
			q.stop(http.StatusNotFound, ". Unknown parsed key with index '43'")
		case key != "data":
			q.unnamed(true)
		case q.removes:
			q.policy.Elements = slices.DeleteFunc(q.policy.Elements, func(e string) bool { return e == text })
		default:
			q.addElement(text)
		}
	})
}

// addElement adds a network to the policy.
func (q *request) addElement(text string) {
	if _, ok := someText(q, "data", text); !ok {
		return
	}
	if !isNetwork(text) {
		q.doubt(". Parsing unknown value '%s'"+inElement, text)
		return
	}
	q.policy.Elements = append(q.policy.Elements, text)
}

// inElement ends the note about an element that is no network.
const inElement = " in 'data'"

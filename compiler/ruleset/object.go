package ruleset

import (
	"cmp"
	"slices"

	"farmc/compiler/diag"
)

// A TableFamily is the family of one of farmc's two tables, which are both named farmc.
type TableFamily string

// The table families: inet sees packets at netfilter's hooks, netdev sees frames at the ingress of interfaces.
const (
	Inet   TableFamily = "inet"
	Netdev TableFamily = "netdev"
)

// TableFamilies are both families, in the order in which scripts have the tables.
var TableFamilies = []TableFamily{Inet, Netdev}

// A Kind is nft's word for a kind of object.
type Kind string

// The kinds of objects in farmc's tables.
const (
	KindSet       Kind = "set"
	KindMap       Kind = "map"
	KindChain     Kind = "chain"
	KindCounter   Kind = "counter"
	KindLimit     Kind = "limit"
	KindFlowtable Kind = "flowtable"
	KindHelper    Kind = "ct helper"
	KindTimeout   Kind = "ct timeout"
)

// A section is a feature's part of a table. The script has the objects of a table section by section, by name: first
// sets, maps and other objects, then chains, and long lists of addresses last.
type section int

const (
	dispatchSection section = iota
	sharedSection           // sets that rules of many farms name: the kernel looks for a name from the first set on
	natPickSection
	natTargetSection
	renewalSection
	backendLimitSection
	sourceNATSection
	markSection
	helperSection
	timeoutSection
	flowtableSection
	dsrSection
	statelessSection
	statelessReplySection
	gatewaySection
	ownSection
	invalidSection
	queueSection
	logSection
	accessSection
	limitSection
	clientSetSection
)

// An object is a set, map, chain, flow table, counter, limit, helper or ct timeout. Its template writes the lines of
// its declaration or its rules; render writes the rest.
type object struct {
	table    TableFamily
	kind     Kind
	Name     string
	section  section
	template string
	data     any // of the template
	elements elementList
	origin   *diag.Origin // of the first line, where one farm asked for the object
}

// newChain makes a chain of table inet farmc.
func newChain(name string, of section, template string) *object {
	return &object{table: Inet, kind: KindChain, Name: name, section: of, template: template}
}

// newMap makes a map of table inet farmc.
func newMap(name string, of section, template string) *object {
	return &object{table: Inet, kind: KindMap, Name: name, section: of, template: template}
}

// newSet makes a set of table inet farmc.
func newSet(name string, of section, template string) *object {
	return &object{table: Inet, kind: KindSet, Name: name, section: of, template: template}
}

// at puts an object into another table, and returns the object.
func (o *object) at(table TableFamily) *object {
	o.table = table
	return o
}

// with sets the data of an object's template, and returns the object.
func (o *object) with(data any) *object {
	o.data = data
	return o
}

// part says in which part of the table the object stands.
func (o *object) part() int {
	switch {
	case o.section == clientSetSection:
		return 2
	case o.kind == KindChain:
		return 1
	}
	return 0
}

// An objectID is unique: sets and maps of a table share their names.
type objectID struct {
	table TableFamily
	kind  Kind
	name  string
}

func (o *object) id() objectID { return objectID{o.table, nameSpace(o.kind), o.Name} }

func nameSpace(k Kind) Kind {
	if k == KindMap {
		return KindSet
	}
	return k
}

// A ruleset is the nft objects of all farms. The zero ruleset is empty.
type ruleset struct {
	objects map[objectID]*object
}

// add adds an object. Adding an object of the same name again has no effect. It returns the object that is there.
func (r *ruleset) add(o *object) *object {
	if there := r.objects[o.id()]; there != nil {
		return there
	}
	if r.objects == nil {
		r.objects = map[objectID]*object{}
	}
	r.objects[o.id()] = o
	return o
}

// obtain gives the data of the object of that name. The first time, build makes the data, and the object is added.
func obtain[T any](r *ruleset, o *object, build func() T) T {
	if there := r.objects[o.id()]; there != nil {
		return there.data.(T)
	}
	data := build()
	o.data = data
	r.add(o)
	return data
}

// chainData gives the data of a chain of table inet farmc, if it exists. It makes no object: it runs for each of 10,000
// farms.
func chainData[T any](r *ruleset, name string) (data T, exists bool) {
	there := r.objects[objectID{Inet, KindChain, name}]
	if there == nil {
		return data, false
	}
	return there.data.(T), true
}

// Size is the size of the hash table of a set or map.
func (o *object) Size() int { return tableSize(o.elements.size()) }

// remove takes an object out again.
func (r *ruleset) remove(o *object) { delete(r.objects, o.id()) }

// in gives the objects of a table in the order of the script.
func (r *ruleset) in(table TableFamily) []*object {
	var out []*object
	for _, o := range r.objects {
		if o.table == table {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, (*object).compare)
	return out
}

// compare puts the objects of a table into the order of the script. Names are compared only within a section: comparing
// is most of the work of sorting the chains of thousands of farms.
func (o *object) compare(other *object) int {
	if c := cmp.Or(cmp.Compare(o.part(), other.part()), cmp.Compare(o.section, other.section)); c != 0 {
		return c
	}
	if c := cmp.Compare(o.Name, other.Name); c != 0 {
		return c
	}
	return cmp.Compare(o.kind, other.kind)
}

// dataOf gives the data of all objects with data of one type, by name.
func dataOf[T any](r *ruleset) []T {
	var objects []*object
	for _, o := range r.objects {
		if _, ok := o.data.(T); ok {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(a, b *object) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]T, len(objects))
	for i, o := range objects {
		out[i] = o.data.(T)
	}
	return out
}

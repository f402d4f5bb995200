package nftlb

import "farmc/cmd/internal/edit"

// A Loss is an attribute that farmc does not keep, or keeps with another meaning.
type Loss struct {
	Key     string // of nftlb, such as "backends.bck0.port"
	What    string
	Instead string
	Matters bool // connections are served in another way
}

// Marks says which marks reach the kernel.
type Marks int

// The choices of marks. A listing has a mark for each backend.
const (
	MarksAsked Marks = iota // marks that a request asked for
	MarksAll
	MarksNone
)

// A translation is a farm on its way to a document.
type translation struct {
	*State
	farm   *Farm
	marks  Marks
	mode   string
	bare   bool                // without what nftlb has no place for
	same   map[string]string   // from backends that are left out to the ones that stand for them
	first  map[string]*Backend // by address: its mark is that of the other backends there
	out    edit.Document
	losses []Loss
}

// Document returns the document of a farm, and its losses. The compiler refuses the document of a farm without an
// address.
func (s *State) Document(f *Farm, marks Marks) (edit.Document, []Loss) {
	return (&translation{State: s, farm: f, marks: marks}).done()
}

// done makes the document.
func (t *translation) done() (edit.Document, []Loss) {
	t.mode, t.out = t.farm.Values["mode"], edit.Document{}
	t.same = t.sameServers()
	t.first = t.markedFirst()
	t.setListen()
	t.setMode()
	t.setScheduler()
	t.setDevices()
	t.setPersistence()
	t.setLimits()
	t.setAccess()
	t.setLog()
	t.setBackends()
	return t.out, t.losses
}

// lose records a loss that matters.
func (t *translation) lose(key, what, instead string) {
	t.losses = append(t.losses, Loss{key, what, instead, true})
}

// note records a difference that does not matter to the service of connections.
func (t *translation) note(key, what, instead string) {
	t.losses = append(t.losses, Loss{key, what, instead, false})
}

// tracked reports whether connections are tracked and translated.
func (t *translation) tracked() bool { return t.mode == "snat" || t.mode == "dnat" }

// table returns a table of the document, which can be new.
func (t *translation) table(name string) map[string]any {
	if t.out[name] == nil {
		t.out[name] = map[string]any{}
	}
	return t.out[name].(map[string]any)
}

package farm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Log says which packets of a farm are logged by the kernel, and how.
type Log struct {
	On     []Occasion // in the order of Occasions
	Prefix string     // of each line, with placeholders; "": a default with all details
	Rate   toml.Rate  // how many lines of each occasion, at most
}

// An Occasion is an event that can be logged.
type Occasion string

// The occasions.
const (
	OnInput   Occasion = "input"   // a new connection passed access and limits
	OnForward Occasion = "forward" // its first packet goes to a backend
	OnOutput  Occasion = "output"  // that packet leaves, with the source that the backend sees
	OnDenied  Occasion = "denied"  // access dropped a packet
	OnLimited Occasion = "limited" // a limit dropped a packet
)

// Occasions are all of them, in the order in which a packet meets them.
var Occasions = []Occasion{OnInput, OnForward, OnOutput, OnDenied, OnLimited}

// logRate is the default rate: enough to follow a service, and too little for a flood of packets to fill the disk.
var logRate = toml.Rate{Count: 10, Per: "second"}

// mostLogBurst is how many lines may come at once, however high the rate.
const mostLogBurst = 100

// Burst is how many lines may come at once: the lines of one unit of time.
func (l Log) Burst() int { return min(l.Rate.Count, mostLogBurst) }

// longestPrefix is the length of a prefix in the kernel (NF_LOG_PREFIXLEN less the final zero). nft 1.0.6 crashes on
// prefixes of about 160 characters.
const longestPrefix = 127

// A LogEvent is the content of a line of the log beside the packet.
type LogEvent struct {
	On      Occasion
	Reason  string // the key of the limit; else the occasion
	List    string // on denied: the name of the list; InlineList for networks in the farm's own file
	Backend string // on forward and output
}

// LogOnly is the reason of packets that are logged where denied ones would be dropped.
const LogOnly = "log-only"

// InlineList stands for the networks that a farm denies without a list.
const InlineList = "inline"

// LogPrefix gives the text that a line of the farm begins with. Long names are short in it.
func (f *Farm) LogPrefix(e LogEvent) string {
	text, name := f.Log.Prefix, ShortName(f.Name)
	e.List, e.Backend = ShortName(e.List), ShortName(e.Backend)
	if text == "" {
		text = strings.Join(slices.DeleteFunc([]string{name, string(e.On), e.detail(), e.List, e.Backend},
			func(w string) bool { return w == "" }), " ")
	}
	text = strings.NewReplacer("{farm}", name, "{reason}", e.Reason, "{list}", e.List, "{backend}",
		e.Backend).Replace(text)
	return strings.TrimSuffix(text, " ") + " " // the packet comes next
}

// detail is the reason, unless the occasion already tells it.
func (e LogEvent) detail() string {
	if e.Reason == string(e.On) {
		return ""
	}
	return e.Reason
}

// String gives occasions, rate and prefix in words.
func (l Log) String() string {
	text := strings.Join(texts(l.On), ", ") + " at " + l.Rate.String()
	if l.Prefix != "" {
		text += fmt.Sprintf(" as %q", l.Prefix)
	}
	return text
}

// Logs reports whether the farm logs the occasion.
func (f *Farm) Logs(on Occasion) bool { return slices.Contains(f.Log.On, on) }

func readLog(t *toml.Table, f *Farm) {
	in := t.Sub("log")
	if in == nil {
		return
	}
	if !in.Has("on") && !in.Misspelt("on") {
		in.Fault(in.Place, `on = ["input", "denied"]`, "[log] has no on, so nothing would be logged")
	}
	readKeys(in, logKeys, f)
}

func (f *Farm) logs() string {
	if len(f.Log.On) == 0 {
		return ""
	}
	return f.Log.String()
}

// readOccasions reads the occasions to log. It needs the mode and the interfaces of the farm.
func readOccasions(t *toml.Table, f *Farm) {
	l := &f.Log
	for _, w := range t.Words("on") {
		switch on := Occasion(w.Text); {
		case !slices.Contains(Occasions, on):
			t.Fault(w.Place, diag.Suggest(w.Text, texts(Occasions)), "on: %q is nothing that can be logged",
				w.Text)
		case slices.Contains(l.On, on):
			t.Fault(w.Place, "", "on: %s stands here twice", on)
		default:
			if why := unseen(f, on); why != "" {
				t.Fault(w.Place, why, "on: %s can't be logged in mode %s", on, f.Mode)
			}
			l.On = append(l.On, on)
		}
	}
	slices.SortFunc(l.On, func(a, b Occasion) int { return slices.Index(Occasions, a) - slices.Index(Occasions, b) })
}

func readLogRate(t *toml.Table, f *Farm) {
	if t.Has("rate") {
		f.Log.Rate = t.Rate("rate")
	}
}

// unseen gives the reason why an occasion can't be logged in the farm; "" if it can.
func unseen(f *Farm, on Occasion) string {
	switch {
	case on != OnForward && on != OnOutput:
		return ""
	case f.Mode == Local:
		return "nothing is handed on"
	case f.Mode == DSR:
		return "a frame is gone with the choice of its backend, before anything could log it"
	case f.Mode == Stateless && on == OnOutput:
		return "what leaves is what was forwarded, from the source that it had: log on forward"
	case f.Mode == Stateless && len(f.Interfaces) > 0:
		return "with interfaces requests are handed on from ingress, and nothing is forwarded"
	}
	return ""
}

var placeholder = regexp.MustCompile(`\{[^}]*\}?`)

// placeholders are replaced in a prefix. Each has the occasions on which its value is known.
var placeholders = map[string][]Occasion{
	"{farm}":    Occasions,
	"{reason}":  Occasions,
	"{list}":    {OnDenied},
	"{backend}": {OnForward, OnOutput},
}

// readPrefix reads the text of the lines that are written on the farm's occasions.
func readPrefix(t *toml.Table, f *Farm) {
	text, on := t.Text("prefix"), f.Log.On
	f.Log.Prefix = text
	for _, p := range placeholder.FindAllString(text, -1) {
		known := placeholders[p]
		unknown := slices.IndexFunc(on, func(o Occasion) bool { return !slices.Contains(known, o) })
		switch {
		case known == nil:
			t.Fault(t.At("prefix"), "{farm}, {backend}, {list} and {reason} are replaced",
				"prefix: nothing is known that could replace %q", p)
		case unknown >= 0:
			t.Fault(t.At("prefix"), "without a prefix each line tells all that is known",
				"prefix: %s is known on %s, and not on %s",
				p, strings.Join(texts(known), " and "), on[unknown])
		}
	}
	refused := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("\"\\`$", r) }
	if strings.ContainsFunc(text, refused) || len(text) > 64 {
		t.Fault(t.At("prefix"), `printable ASCII without quotes, backslashes and dollar signs, 64 at most`,
			"prefix: %q can't be carried by a rule", text)
	}
}

// validatePrefix refuses a prefix that gets too long once names replace its placeholders.
func validatePrefix(t *toml.Table, f *Farm) {
	log := t.Sub("log")
	if log == nil || len(f.Log.Prefix) > 64 {
		return
	}
	for _, on := range f.Log.On {
		if n := len(f.LogPrefix(f.longestEvent(on, t.Sub("access")))); n > longestPrefix {
			log.Fault(ownPlace(t, log.At("prefix")), "",
				"prefix: with the names that it stands for it has up to %d characters, at most %d", n, longestPrefix)
			return
		}
	}
}

// longestEvent is the event with the longest names that the farm can have on an occasion.
func (f *Farm) longestEvent(on Occasion, access *toml.Table) LogEvent {
	out := LogEvent{On: on, Reason: string(on)}
	switch on {
	case OnLimited:
		out.Reason = "connections-per-client"
	case OnForward, OnOutput:
		for _, b := range f.Backends {
			out.Backend = longer(out.Backend, b.FileName())
		}
	case OnDenied:
		if !f.Access.LogOnly.Empty() {
			out.Reason = LogOnly
		}
		for _, name := range listNames(access) {
			out.List = longer(out.List, name)
		}
	}
	return out
}

func longer(a, b string) string {
	if len(b) > len(a) {
		return b
	}
	return a
}

// listNames are the lists that a farm denies or logs by.
func listNames(access *toml.Table) (names []string) {
	if access == nil {
		return nil
	}
	var items []toml.Value
	for _, key := range []string{"deny", "log-only"} {
		value, _ := access.Raw(key)
		list, isList := value.Data.([]toml.Value)
		if !isList {
			list = []toml.Value{value}
		}
		items = append(items, list...)
	}
	for _, item := range items {
		if text, ok := item.Data.(string); ok && strings.HasPrefix(text, "@") {
			names = append(names, text[1:])
		}
	}
	return names
}

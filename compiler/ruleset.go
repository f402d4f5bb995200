package compiler

import (
	"net/netip"
)

// A ruleset is what the farms come to, in nft's shapes. Chains and maps grow with the kinds of farms, not with the
// farms, wherever that can be had: the kernel's time to load is quadratic in both.
type ruleset struct {
	prerouting  []*verdictMap // from outside: which chain chooses the backend
	output      []*verdictMap // the same for connections that this machine opens
	postrouting []*verdictMap // which chain chooses the source, for connections whose backend was chosen
	choices     []*choice     // the chains that choose a backend
	sources     []*sourceChain
	homes       []*home // that lead from what stands for a backend to the backend

	rings         []*ring
	counted       []countedBackend // those whose connections are limited
	reliefs       []*relief
	relieved      []*verdictMap // before connections are tracked: which chain finds backends that have room again
	relievedLocal []*verdictMap // the same for what this machine sends

	noBackend bool // some farm has no backend that can serve

	marks      []markChain
	marked     []*markedChain
	marking    []*verdictMap // right after the backend was chosen: which chain sets its mark
	marksLocal bool          // for connections that this machine opens, too
	helpers    []helper
	helped     []*verdictMap // before the backend is chosen: which helper reads the connection
	flows      *flowTable
	offloaded  []*verdictMap // established connections that take the short cut

	invalidTo      []*verdictMap // what becomes of segments that fit no connection: those of clients
	invalidBack    []*verdictMap // those of backends to this machine
	invalidForward []*verdictMap // those of backends to clients
	invalidChains  []invalidChain

	logs, ingressLogs           []*logChain // of the table inet farmc, and of netdev farmc
	logLimits, ingressLogLimits []logLimit
	logInput                    []*verdictMap // new connections, as they come in
	logOpened                   []*verdictMap // those that this machine opens
	logForward                  []*verdictMap // once their backend is chosen, as they are handed on
	logOutput                   []*verdictMap // and as they leave
	logRequests                 []*verdictMap // of stateless farms: as they are forwarded

	memories    []memory
	limiters    []*limiter
	excesses    []excess
	refuses     bool          // some farm tells who is held back
	limitGates  []*gate       // before connection tracking
	limited     []*verdictMap // right after it
	watchesOpen bool          // some of these are of connections that are open

	queues       []queueChain
	queued       []*verdictMap // once their backend is chosen: which queue judges new connections
	queuedHere   []*verdictMap // those to services of this machine
	queuesOpened bool          // those that this machine opens, too

	ingresses           []*ingress
	forwards            []*forward
	attendances         []*attendance
	escorts             []*escort // in prerouting
	ingressEscorts      []*escort
	escortHomes         []*escortHome
	ingressEscortHomes  []*escortHome
	ingressPicks        []*choice      // what picks for them, as choices do in prerouting
	translations        []*translation // in prerouting
	ingressTranslations []*translation
	replies             []*verdictMap // of stateless farms: what rewrites a reply's port
	originals           []*verdictMap // and which address it gets
	replyPorts          []replyPort

	people   []clientSet // whom farms allow or deny
	gates    []*gate     // where packets meet guards
	guards   []*guard
	denials  []denial
	counters []counter
}

// A verdictMap leads from doors of one level and family to chains.
type verdictMap struct {
	Name     string
	Level    level
	Family   Family
	Chosen   bool  // the backend is part of the key
	Final    bool  // of originals: of some replies the address is all that is rewritten
	Compared Ports // of originals: rules compare the ports, which are no part of the keys; zero: they are
	Elements []mapElement

	Protocols []Protocol // of its doors
}

// A mapElement is a line of a map.
type mapElement struct {
	key, value string
	origin     *Origin
	named      bool // whether its comment, in the kernel, carries the farm's name
}

// A choice is a chain that chooses a backend: one that many farms share (the door stands in the keys of its map), or
// a farm's own.
type choice struct {
	Name      string
	Family    Family
	Keyed     keying
	Scheduler Scheduler
	HashOn    []HashKey
	Protocols []Protocol // whose packets come here; none: any
	Mark      Mark       // of the farm
	Only      []string   // the interfaces that the farm's packets come in by; none: all
	Next      string     // the chain that chooses; "": this one
	Slots     []*slotMap // asked in this order
	Home      *home      // where what stands for a backend leads; nil: the slots hold backends
	Pick      string     // the chain that picks what stands for one; "": the slots hold it
	Tentative bool       // a chain that many farms share to pick what stands for a backend
	Marked    bool       // what stands for one is in the packet mark, else in the packet as its destination
	Clientele *clientele // whose clients it knows; nil: it knows none
	Count     *count     // of its backends' connections; nil: they have no limits
	origin    *Origin    // of a farm's own
}

// A keying is what stands before the slot in the keys of a choice's map.
type keying int

const (
	byDoor     keying = iota // protocol, address and port
	byAddress                // address
	byDatagram               // protocol and address, which later fragments show, too
	bySlot                   // nothing: the chain is a farm's own
)

// A slotMap leads from slots, numbered from 0, to backends.
type slotMap struct {
	Name     string
	Slots    int  // how many are dealt; of a hash, a map may lack some
	Ported   bool // whether its values name a port
	Elements []mapElement
	Pieces   []*piece // of a map that farms share: its elements
}

// A sourceChain chooses the source address that a backend sees. Without any it is this machine's own.
type sourceChain struct {
	Name     string
	Family   Family
	Address  netip.Addr // of the farm, or not valid
	Map      string     // leads from backends to their own sources; "" without
	Elements []mapElement
	origin   *Origin
}

const (
	noBackendChain  = "no-backend"
	masqueradeChain = "masquerade-all"
)

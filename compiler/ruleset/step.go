package ruleset

// A Step is a part of the way of a packet through the rules. Each chain belongs to one.
type Step string

// The steps, in no order: dsr and stateless have theirs at the ingress of interfaces.
const (
	StepDispatch      Step = "dispatch" // from the address, protocol and port to the farm
	StepAccess        Step = "access"
	StepLimits        Step = "limits"
	StepBackend       Step = "backend" // the pick, with persistence
	StepBackendLimits Step = "backend-limits"
	StepPersistence   Step = "persistence" // renewal by later packets
	StepSource        Step = "source"
	StepMark          Step = "mark"
	StepHelper        Step = "helper"
	StepOffload       Step = "offload" // to a flow table
	StepReply         Step = "reply"   // of stateless farms
	StepOwn           Step = "own"     // answers to questions of this machine
	StepInvalid       Step = "invalid" // segments of no connection
	StepQueue         Step = "queue"
	StepLog           Step = "log"
)

var stepOfSection = map[section]Step{
	dispatchSection:       StepDispatch,
	natPickSection:        StepBackend,
	natTargetSection:      StepBackend,
	dsrSection:            StepBackend,
	statelessSection:      StepBackend,
	backendLimitSection:   StepBackendLimits,
	renewalSection:        StepPersistence,
	sourceNATSection:      StepSource,
	markSection:           StepMark,
	helperSection:         StepHelper,
	flowtableSection:      StepOffload,
	statelessReplySection: StepReply,
	gatewaySection:        StepReply,
	ownSection:            StepOwn,
	invalidSection:        StepInvalid,
	queueSection:          StepQueue,
	logSection:            StepLog,
	accessSection:         StepAccess,
	limitSection:          StepLimits,
}

// A ChainText is a chain as it stands in a script.
type ChainText struct {
	*ObjectText
	Step Step
}

// Chains gives the chains of one of the script's tables, by name; nil if the script is known as text only.
func (s *Script) Chains(table TableFamily) map[string]ChainText {
	if s.written == nil {
		return nil
	}
	out := map[string]ChainText{}
	for _, o := range s.written[table] {
		if o.Kind == KindChain {
			out[o.Name] = ChainText{&o.ObjectText, stepOfSection[o.section]}
		}
	}
	return out
}

package ruleset

import (
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// The hooks that hand new connections to queues: connections with a backend, and connections to services of this
// machine.
var (
	queueHook      = baseChain{name: "queues", section: queueSection, prefix: "queue-"}
	queueLocalHook = baseChain{name: "queues-here", section: queueSection, prefix: "queue-here-", any: "queue-any"}
)

// A queueChain hands new connections to a queue: one chain for all farms with that queue, or one before it, for a
// service of this machine that takes its packets from some interfaces.
type queueChain struct {
	Only   []string
	Queue  farm.Queue
	Next   string
	Origin *diag.Origin // of the first farm that asks for it
}

// A queueInput is the base chain of packets to this machine.
type queueInput struct{ Backends, Services bool }

// queue dispatches new connections to the queues of their farms.
func (l *linker) queue(tracked, established []frontend) {
	opened := false
	var in queueInput
	in.Backends = nil != l.dispatch(queueHook, established, func(d frontend) verdict {
		opened = opened || d.farm.Queue.Count > 0 && (d.farm.LocalClients || l.synproxied(d))
		return goTo(l.queueChain(d.farm))
	})
	in.Services = nil != l.dispatch(queueLocalHook, tracked, func(d frontend) verdict {
		if d.farm.Mode != farm.Local {
			return noVerdict
		}
		return goTo(l.queueChain(d.farm))
	})
	if in.Backends {
		l.staticChain("queue-forward", queueSection)
	}
	if in.Backends && opened {
		l.staticChain("queue-output", queueSection)
	}
	if in != (queueInput{}) {
		l.rules.add(newChain("queue-input", queueSection, "queue-input").with(in))
	}
}

// queueChain gives the chain that hands the farm's connections to its queue; "" if it has none.
func (l *linker) queueChain(s *service) string {
	if s.Queue.Count == 0 {
		return ""
	}
	name := "queue/" + s.Queue.String()
	l.addQueueChain(name, queueChain{Queue: s.Queue, Origin: s.Origin("queue")})
	if s.Mode != farm.Local || len(s.Interfaces) == 0 {
		return name
	}
	own := s.ownName("queue")
	l.addQueueChain(own, queueChain{Only: l.only(s.Interfaces), Next: name, Origin: s.Origin("interfaces")})
	return own
}

func (l *linker) addQueueChain(name string, c queueChain) {
	l.rules.add(newChain(name, queueSection, "queue").with(c))
}

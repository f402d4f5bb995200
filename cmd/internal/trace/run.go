package trace

import (
	"context"
	"time"
)

// A Result is the end of a trace.
type Result struct {
	Packets int
	Lost    bool // the kernel dropped events, because this process was too slow
}

// Run gives each packet that the tracer traces to a function, in the order in which the packets end, until ctx is done,
// so many have come, or the function fails. A packet that is on its way at the end of ctx is not given.
func (t *Translator) Run(ctx context.Context, tracer *Tracer, most int, each func(Packet) error) (Result, error) {
	t.prepare()
	c, result := newCollector(tracer.table), Result{}
	tell := func(journeys []*journey) error {
		for _, j := range journeys {
			if result.Packets == most {
				return nil
			}
			result.Packets++
			if err := each(t.translate(context.WithoutCancel(ctx), j, tracer.table)); err != nil {
				return err
			}
		}
		return nil
	}
	for b := range tracer.read(ctx) {
		if b.lost {
			result.Lost = true
			c.lose()
		}
		now := time.Now()
		for _, e := range b.events {
			if err := tell(c.add(e, now)); err != nil {
				return result, err
			}
		}
		if err := tell(c.expire(now)); err != nil || result.Packets == most {
			return result, err
		}
	}
	return result, tell(c.expire(time.Now()))
}

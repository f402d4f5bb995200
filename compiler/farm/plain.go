package farm

import (
	"reflect"

	"farmc/compiler/diag"
)

// IsPlain reports whether no key is set but those of listen, modes, schedulers and health, and of the addresses, ports,
// weights and states of backends. A key that is new counts as set where it is not named here.
func (f *Farm) IsPlain() bool {
	rest := *f
	rest.Name, rest.Mode, rest.Listen, rest.Scheduler, rest.HashOn = "", "", nil, "", nil
	rest.Masquerade, rest.LocalClients, rest.TakeOver, rest.PassInvalid = false, false, false, false
	rest.Announce, rest.Health, rest.Backends, rest.Hosts, rest.Place = "", nil, nil, nil, diag.Place{}
	rest.lists, rest.answers, rest.earlier, rest.places, rest.description = nil, nil, false, nil, ""
	if len(rest.Log.On) == 0 { // the rest of it has no effect
		rest.Log = Log{}
	}
	return reflect.ValueOf(&rest).Elem().IsZero() && !f.anyBackend(func(b *Backend) bool { return !b.isPlain() })
}

func (b *Backend) isPlain() bool {
	rest := *b
	rest.Name, rest.Host, rest.Key, rest.Address, rest.Port = "", "", "", Addresses{}, 0
	rest.Weight, rest.Percent, rest.Priority, rest.State, rest.NoWeight = 0, 0, 0, "", false
	rest.Place, rest.StateAt, rest.Health, rest.inheritsPorts = diag.Place{}, diag.Place{}, nil, false
	return reflect.ValueOf(&rest).Elem().IsZero()
}

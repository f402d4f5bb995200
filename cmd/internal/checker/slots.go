package checker

import "syscall"

// slots bound the number of checks that run at once. Slow checks, which wait for an answer until their time is over,
// have at most three quarters of the slots. Without that, 10,000 backends that never answer would delay the others.
type slots struct {
	most, mostSlow int
	running, slow  int
	waiting        [2][]*target // for a slot: quick ones, slow ones
}

func newSlots(most int) *slots {
	return &slots{most: most, mostSlow: max(most*3/4, 1)}
}

// The numbers of slots. A running check of the network takes a descriptor and about 10 KB.
const (
	maxNetworkSlots = 100_000
	programSlots    = 64
	spareFiles      = 256 // descriptors for other purposes
)

// networkSlots is the number of checks of the network that the limits of this process allow at once.
func networkSlots() int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 1024 - spareFiles
	}
	return int(min(max(files.Cur, 2*spareFiles)-spareFiles, maxNetworkSlots))
}

// enter takes a slot, or has the target wait for one.
func (s *slots) enter(t *target) bool {
	if !s.free(t.isSlow) {
		s.waiting[lane(t.isSlow)] = append(s.waiting[lane(t.isSlow)], t)
		return false
	}
	s.take(t)
	return true
}

func (s *slots) free(slow bool) bool {
	return s.running < s.most && (!slow || s.slow < s.mostSlow)
}

func (s *slots) take(t *target) {
	s.running++
	if t.isSlow {
		s.slow++
	}
}

// leave gives back the slot of a target, and returns the targets that have one now. The target is as slow or quick as
// it was when it took the slot.
func (s *slots) leave(t *target) (next []*target) {
	s.running--
	if t.isSlow {
		s.slow--
	}
	for _, slow := range []bool{false, true} {
		for at := lane(slow); len(s.waiting[at]) > 0 && s.free(slow); {
			first := s.waiting[at][0]
			s.waiting[at] = s.waiting[at][1:]
			if !first.gone {
				s.take(first)
				next = append(next, first)
			}
		}
	}
	return next
}

// lane is the index of the waiting targets.
func lane(slow bool) int {
	if slow {
		return 1
	}
	return 0
}

package slots

import "math/rand/v2"

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

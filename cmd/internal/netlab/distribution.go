package netlab

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Spread calls ask n times, up to 16 at once, and counts the answers of each backend. It stops at the first error. An
// ask for which a refusal is no error can give it a name of its own, as in Answer{Backend: "refused"}.
func Spread(n int, ask func(i int) (Answer, error)) (map[string]int, error) {
	const atOnce = 16
	var (
		next   atomic.Int64
		mu     sync.Mutex
		first  error
		counts = map[string]int{}
		asking sync.WaitGroup
	)
	note := func(i int, a Answer, err error) (goOn bool) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			counts[a.Backend]++
		} else if first == nil {
			first = fmt.Errorf("ask %d of %d: %w", i+1, n, err)
		}
		return first == nil
	}
	for range min(n, atOnce) {
		asking.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if a, err := ask(i); !note(i, a, err) {
					return
				}
			}
		})
	}
	asking.Wait()
	return counts, first
}

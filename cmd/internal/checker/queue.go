package checker

import "container/heap"

// A queue has targets in the order of their next checks.
type queue struct{ order byDue }

func (q *queue) push(t *target) { heap.Push(&q.order, t) }

func (q *queue) pop() *target { return heap.Pop(&q.order).(*target) }

// first is the target with the next check; nil: there is none.
func (q *queue) first() *target {
	if len(q.order) == 0 {
		return nil
	}
	return q.order[0]
}

// byDue is a heap.
type byDue []*target

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(t any)        { *h = append(*h, t.(*target)) }

func (h *byDue) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}

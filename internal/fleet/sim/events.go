package main

import (
	"container/heap"
	"time"
)

// queue is what will happen, in order of time.
type queue struct {
	now    time.Time
	events []event
	n      uint64
}

type event struct {
	at time.Time
	n  uint64
	do func()
}

func (q *queue) Len() int { return len(q.events) }
func (q *queue) Less(i, j int) bool {
	a, b := &q.events[i], &q.events[j]
	return a.at.Before(b.at) || a.at.Equal(b.at) && a.n < b.n
}
func (q *queue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *queue) Push(x any)    { q.events = append(q.events, x.(event)) }
func (q *queue) Pop() any {
	last := len(q.events) - 1
	e := q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	return e
}

// in lets something happen after a while.
func (q *queue) in(d time.Duration, do func()) { q.when(q.now.Add(d), do) }

func (q *queue) when(at time.Time, do func()) {
	if at.Before(q.now) {
		at = q.now
	}
	q.n++
	heap.Push(q, event{at, q.n, do})
}

// until plays everything up to a time.
func (q *queue) until(end time.Time) {
	for len(q.events) > 0 && !q.events[0].at.After(end) {
		e := heap.Pop(q).(event)
		q.now = e.at
		e.do()
	}
	q.now = end
}

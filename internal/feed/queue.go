package feed

// queue is a listener's events in order. The head stays until it is
// acknowledged.
type queue struct {
	items []Event
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(events ...Event) {
	if q.head > 0 && q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	q.items = append(q.items, events...)
}

func (q *queue) peek() (Event, bool) {
	if q.len() == 0 {
		return Event{}, false
	}
	return q.items[q.head], true
}

func (q *queue) pop() {
	if q.len() == 0 {
		return
	}
	q.items[q.head] = Event{} // release the payload
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 2048 {
			q.items = nil
		}
	case q.head > 1024 && q.head*2 > len(q.items):
		q.items = append([]Event(nil), q.items[q.head:]...)
		q.head = 0
	}
}

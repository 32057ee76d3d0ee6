package feed

// queue is a listener's events in order. An event stays until it is acknowledged,
// which may happen out of order.
type queue struct {
	items []item
	head  int // the oldest event that is not acknowledged
	next  int // the first that was not handed out
	live  int // how many are not acknowledged
	last  uint64
	size  int // of the rows that are not acknowledged
}

// item is an event in a queue.
type item struct {
	Event
	done bool
}

// len counts the events that are not acknowledged.
func (q *queue) len() int { return q.live }

// low is the number of the last event before which all are acknowledged.
func (q *queue) low() uint64 {
	if q.live == 0 {
		return q.last
	}
	return q.items[q.head].number - 1
}

// overtaken counts the acknowledged events behind one that is not.
func (q *queue) overtaken() int { return len(q.items) - q.head - q.live }

// push numbers the events and adds them.
func (q *queue) push(events ...Event) {
	if q.live == 0 {
		q.items, q.head, q.next = q.items[:0], 0, 0
	}
	for i := range events {
		q.last++
		events[i].number = q.last
		q.size += events[i].Row.Size
		q.items = append(q.items, item{Event: events[i]})
	}
	q.live += len(events)
}

// peek returns the oldest event that is not acknowledged, nil if there is none.
func (q *queue) peek() *Event {
	if q.live == 0 {
		return nil
	}
	return &q.items[q.head].Event
}

// take hands out the next event.
func (q *queue) take() (Event, bool) {
	for ; q.next < len(q.items); q.next++ {
		if !q.items[q.next].done {
			q.next++
			return q.items[q.next-1].Event, true
		}
	}
	return Event{}, false
}

// finish acknowledges the event with a number. It reports false if that is not queued.
func (q *queue) finish(number uint64) bool {
	if q.live == 0 || number < q.items[q.head].number || number > q.last {
		return false
	}
	i := q.head + int(number-q.items[q.head].number) //nolint:gosec // an index of the slice
	if q.items[i].done {
		return false
	}
	q.finishAt(i)
	q.tidy()
	return true
}

func (q *queue) finishAt(i int) {
	q.size -= q.items[i].Row.Size
	q.items[i] = item{Event: Event{number: q.items[i].number}, done: true} // release the payload
	q.live--
}

// remove acknowledges all events of a conversation, and reports how many.
func (q *queue) remove(conversation int64) (n int) {
	for i := q.head; i < len(q.items); i++ {
		if it := &q.items[i]; !it.done && it.Conversation() == conversation {
			q.finishAt(i)
			n++
		}
	}
	q.tidy()
	return n
}

// tidy moves the head over what is acknowledged, and releases memory.
func (q *queue) tidy() {
	if q.live == 0 {
		q.items, q.head, q.next = q.items[:0], 0, 0
		if cap(q.items) > 2048 {
			q.items = nil
		}
		return
	}
	for q.items[q.head].done {
		q.head++
	}
	q.next = max(q.next, q.head)
	if q.head > 1024 && q.head*2 > len(q.items) {
		q.items = append([]item(nil), q.items[q.head:]...)
		q.next -= q.head
		q.head = 0
	}
}

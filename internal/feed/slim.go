package feed

// Slim releases the room of queues and batches that are empty. The owner calls it when a poll
// is over: what a page of news took would stay with every listener for as long as it is
// quiet, and there may be thousands. Who has still to take news is not quiet: the next page of
// a backlog would have to make the room again.
func (f *Feed) Slim() {
	for _, e := range f.readers {
		if e.queue.live > 0 {
			continue
		}
		if q := &e.queue; cap(q.items) > few {
			q.items, q.head, q.next = nil, 0, 0
		}
		if b := &e.batch; b.empty() && b.origins.len()+len(b.held) == 0 {
			*b = batch{late: b.late, byID: b.byID}
		}
	}
}

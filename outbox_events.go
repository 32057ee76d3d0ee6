package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// changeQueue holds what OnChange has not been told yet: of each message the
// newest state, so that a slow listener costs no more than the messages do.
// outbox.mu guards it.
type changeQueue struct {
	list    []*pendingChange
	last    map[*send]*pendingChange
	running chan struct{} // closed when the goroutine that tells has ended; nil without one
}

type pendingChange struct {
	sd     *send
	userID string
	change SendChange
}

func (q *changeQueue) len() int { return len(q.list) }

// change notes where a message stands. mu is held.
func (o *outbox) change(run *outboxRun, sd *send, state SendState, err error) {
	sd.state, sd.err = state, err
	if o.opts.OnChange == nil {
		return
	}
	c := SendChange{GUID: sd.rec.GUID, ConversationID: sd.rec.Conversation, State: state, Err: err, Pending: run.left()}
	q := &o.events
	if p := q.last[sd]; p != nil {
		p.change = c
	} else {
		p = &pendingChange{sd, run.session.userID, c}
		if q.last == nil {
			q.last = map[*send]*pendingChange{}
		}
		q.list, q.last[sd] = append(q.list, p), p
	}
	if q.running == nil {
		q.running = make(chan struct{})
		go o.tell(q.running)
	}
}

// tell calls OnChange until there is nothing left to tell.
func (o *outbox) tell(done chan struct{}) {
	defer close(done)
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.events.list) > 0 {
		p := o.events.list[0]
		o.events.list = o.events.list[1:]
		delete(o.events.last, p.sd)
		o.mu.Unlock()
		o.call(p)
		o.mu.Lock()
	}
	o.events.list, o.events.running = nil, nil
}

func (o *outbox) call(p *pendingChange) {
	defer func() {
		if r := recover(); r != nil {
			// The value is the caller's and may hold anything.
			o.chat.log.Error("OutboxOptions.OnChange panicked", "type", fmt.Sprintf("%T", r))
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	switch p.change.State {
	case SendStored:
		row := *p.sd.row
		row.Data = wire.CloneMap(row.Data)
		p.change.Message = o.chat.message(ctx, &row, p.userID)
	case SendFailed:
		at := p.sd.rec.QueuedAt.Truncate(time.Millisecond)
		p.change.Message = o.chat.message(ctx, &datasource.Entry{
			DataSourceID: p.sd.rec.Conversation, Data: wire.CloneMap(p.sd.rec.Data), CreatedAt: at, UpdatedAt: at,
		}, p.userID)
	}
	o.opts.OnChange(p.change)
}

package outbox

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// ErrFull: as many messages wait as the limit allows. The message was not accepted.
var ErrFull = errors.New("chat: the outbox is full")

// QueueConfig sets sizes and times. Zero fields take the defaults.
type QueueConfig struct {
	Limit  int           // pending messages, default 1000
	Settle time.Duration // until a stored row is certainly visible, default 5 s
	// Parallel is how many copies are removed at once, default 4. Sends and look-ups have
	// no such bound but one for each conversation: those that hang would take the places
	// of all others.
	Parallel int

	Backoff    time.Duration // first wait after a failure, doubled with each, default 1 s
	MaxBackoff time.Duration // default 10 s: an outage may end at any moment
	// LongestWait is the most that a server can ask for, default 1 min. A little is
	// added to it.
	LongestWait time.Duration

	// Rand draws the jitter. Default: seeded by the process.
	Rand *rand.Rand
}

func (c QueueConfig) withDefaults() QueueConfig {
	c.Limit = cmp.Or(c.Limit, 1000)
	c.Parallel = cmp.Or(c.Parallel, 4)
	c.Settle = cmp.Or(c.Settle, 5*time.Second)
	c.Backoff = cmp.Or(c.Backoff, time.Second)
	c.MaxBackoff = max(cmp.Or(c.MaxBackoff, 10*time.Second), c.Backoff)
	c.LongestWait = cmp.Or(c.LongestWait, datasource.LongestWait)
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return c
}

// ID names a message of a Queue, ascending in the order of acceptance.
type ID uint64

// Kind says what an Action is.
type Kind uint8

// What the owner is asked to do; the answers are named with each.
const (
	// Wait: nothing to do before Until; if that is zero, before the next input.
	Wait Kind = iota
	// Send inserts the message: Stored, Doubtful, Retry, Unanswered or Refused.
	Send
	// LookUp asks the server for the message: Stored, Absent, Retry, Unanswered or
	// Refused.
	LookUp
	// Forget removes the saved copy: Forgotten or Retry.
	Forget
)

// Action is what the owner does next. ID is the message of all kinds but Wait.
type Action struct {
	Kind  Kind
	ID    ID
	Until time.Time
}

type state uint8

const (
	saving     state = iota // its copy is being saved
	ready                   // to be sent
	inDoubt                 // to be looked up
	forgetting              // over; its copy is to be removed
)

type item struct {
	id           ID
	conversation int64
	state        state
	loaded       bool      // an earlier owner saved it
	busy         bool      // an action is under way
	asked        time.Time // when that action began
	due          time.Time // not before
	again        time.Time // not to be inserted before
	doubt        time.Time // when it was last in a state to be stored
	tries        int
}

// Queue holds the pending messages of one user. See the package documentation.
type Queue struct {
	cfg   QueueConfig
	items map[ID]*item
	// lines hold the unsent messages of each conversation in order.
	lines map[int64][]*item
	ring  []int64 // conversations, the one served last at the end
	over  []*item // forgetting
	last  ID
	busy  int
	// removing counts those of busy that are Forget.
	removing int
	held     bool
	back     map[int64]struct{} // conversations of which nothing is sent that was accepted here
	pause    time.Time          // the server's word: no request before
}

// NewQueue returns an empty queue.
func NewQueue(cfg QueueConfig) *Queue {
	return &Queue{cfg: cfg.withDefaults(), items: map[ID]*item{}, lines: map[int64][]*item{}}
}

// Accept takes a new message at the end of its conversation. It is sent after
// Saved. known is set when somebody may have sent a message of this identity
// before, so that it must be looked up first.
func (q *Queue) Accept(conversation int64, known bool) (ID, error) {
	if len(q.items) >= q.cfg.Limit {
		return 0, ErrFull
	}
	it := q.add(conversation)
	if known {
		it.doubt = time.Time{}.Add(1) // long ago: one look-up settles it
	}
	q.append(it, len(q.lines[conversation]))
	return it.id, nil
}

// Load takes messages that an earlier owner saved, in their order, ahead of those
// accepted here of their conversations that have not been tried yet, and behind those
// loaded before. They are in doubt. The limit does not apply to them.
func (q *Queue) Load(now time.Time, conversations []int64) []ID {
	ids := make([]ID, len(conversations))
	at := map[int64]int{}
	for i, conv := range conversations {
		it := q.add(conv)
		it.state, it.doubt, it.loaded, ids[i] = inDoubt, now, true, it.id
		if _, placed := at[conv]; !placed {
			at[conv] = slices.IndexFunc(q.lines[conv], func(o *item) bool { return !o.busy && o.tries == 0 && !o.loaded })
			if at[conv] < 0 {
				at[conv] = len(q.lines[conv])
			}
		}
		q.append(it, at[conv])
		at[conv]++
	}
	return ids
}

// Settled says of a loaded message that its row is visible if it was stored: the next
// look-up is certain.
func (q *Queue) Settled(now time.Time, id ID) {
	if it := q.items[id]; it != nil && it.state == inDoubt {
		it.doubt = now.Add(-q.cfg.Settle)
	}
}

func (q *Queue) add(conversation int64) *item {
	q.last++
	it := &item{id: q.last, conversation: conversation}
	q.items[it.id] = it
	return it
}

func (q *Queue) append(it *item, at int) {
	line := q.lines[it.conversation]
	if len(line) == 0 {
		q.ring = append(q.ring, it.conversation)
	}
	q.lines[it.conversation] = slices.Insert(line, at, it)
}

// Saved says that the copy of an accepted message is safe.
func (q *Queue) Saved(id ID) {
	it := q.items[id]
	if it == nil || it.state != saving {
		return
	}
	it.state = ready
	if !it.doubt.IsZero() {
		it.state = inDoubt
	}
}

// Drop takes out a message whose copy could not be saved, or that somebody gave
// up. It reports false, and does nothing, while an action is under way and when
// the message is not pending any more.
func (q *Queue) Drop(id ID) bool {
	it := q.items[id]
	if it == nil || it.busy || it.state == forgetting {
		return false
	}
	q.leave(it)
	delete(q.items, id)
	return true
}

// Park takes a message out that is not sent and stays saved.
func (q *Queue) Park(id ID) {
	q.answered(id)
	q.Drop(id)
}

// Next says what to do now. What it hands out is under way until it is answered,
// so it is called again until it says Wait.
func (q *Queue) Next(now time.Time) Action {
	var wake time.Time
	for _, it := range q.over {
		if q.removing >= q.cfg.Parallel {
			break
		}
		if a, ok := q.take(now, it, Forget, &wake); ok {
			q.removing++
			return a
		}
	}
	if q.held {
		return Action{Until: wake}
	}
	if now.Before(q.pause) {
		sooner(&wake, q.pause)
		return Action{Until: wake}
	}
	for i, conv := range q.ring {
		it := q.lines[conv][0]
		if _, back := q.back[conv]; back && !it.loaded {
			continue
		}
		kind := Send
		switch it.state {
		case saving:
			continue
		case inDoubt:
			kind = LookUp
		}
		if a, ok := q.take(now, it, kind, &wake); ok {
			// The others first next time.
			copy(q.ring[i:], q.ring[i+1:])
			q.ring[len(q.ring)-1] = conv
			return a
		}
	}
	return Action{Until: wake}
}

func (q *Queue) take(now time.Time, it *item, kind Kind, wake *time.Time) (Action, bool) {
	switch {
	case it.busy:
		return Action{}, false
	case now.Before(it.due):
		sooner(wake, it.due)
		return Action{}, false
	}
	it.busy, it.asked = true, now
	q.busy++
	return Action{Kind: kind, ID: it.id}, true
}

func sooner(wake *time.Time, t time.Time) {
	if wake.IsZero() || t.Before(*wake) {
		*wake = t
	}
}

// answered ends the action of a message; nil when there is none.
func (q *Queue) answered(id ID) *item {
	it := q.items[id]
	if it == nil || !it.busy {
		return nil
	}
	it.busy = false
	q.busy--
	if it.state == forgetting {
		q.removing--
	}
	return it
}

// Stored says that the server has the message. What is left is to forget it.
func (q *Queue) Stored(id ID) { q.finish(q.answered(id)) }

// Refused says that the server will never take the message.
func (q *Queue) Refused(id ID) { q.finish(q.answered(id)) }

func (q *Queue) finish(it *item) {
	if it == nil || it.state == forgetting {
		return
	}
	q.leave(it)
	it.state, it.tries, it.due = forgetting, 0, time.Time{}
	q.over = append(q.over, it)
}

// leave takes a message out of its conversation.
func (q *Queue) leave(it *item) {
	line := slices.DeleteFunc(q.lines[it.conversation], func(o *item) bool { return o == it })
	if len(line) > 0 {
		q.lines[it.conversation] = line
		return
	}
	delete(q.lines, it.conversation)
	q.ring = slices.DeleteFunc(q.ring, func(c int64) bool { return c == it.conversation })
}

// Forgotten says that the saved copy is gone.
func (q *Queue) Forgotten(id ID) {
	if it := q.answered(id); it != nil {
		q.over = slices.DeleteFunc(q.over, func(o *item) bool { return o == it })
		delete(q.items, id)
	}
}

// Doubtful says that a send failed and may have been stored nevertheless.
func (q *Queue) Doubtful(now time.Time, id ID) {
	it := q.answered(id)
	if it == nil {
		return
	}
	it.tries++
	it.again = now.Add(q.backoff(it.tries))
	it.doubt, it.state = now, inDoubt // it is looked up at once
}

// Absent says that a look-up found nothing. If it was made early, another one
// follows before the message is inserted again. Absent reports whether it is certain
// now that the server does not have the message.
func (q *Queue) Absent(id ID) bool {
	it := q.answered(id)
	if it == nil {
		return false
	}
	if settled := it.doubt.Add(q.cfg.Settle); it.asked.Before(settled) {
		it.due = settled
		return false
	}
	it.state, it.doubt, it.due = ready, time.Time{}, it.again
	return true
}

// Retry says that an action failed and certainly did nothing. wait is how long
// the server asked to be left alone, 0 when it did not say. Then nobody sends
// before, since the limit is not that of one conversation.
func (q *Queue) Retry(now time.Time, id ID, wait time.Duration) {
	it := q.answered(id)
	if it == nil {
		return
	}
	it.tries++
	if wait = min(wait, q.cfg.LongestWait); wait > 0 {
		until := now.Add(wait + q.random(wait/4+time.Second))
		if until.After(q.pause) {
			q.pause = until
		}
		it.due = until
		return
	}
	it.due = now.Add(q.backoff(it.tries))
}

// Unanswered says that a look-up, or what a send asks for before anything leaves, had no
// answer in its time. That was a pause already, so only a short one follows.
func (q *Queue) Unanswered(now time.Time, id ID) {
	if it := q.answered(id); it != nil {
		it.tries++
		it.due = now.Add(q.backoff(1))
	}
}

// Crowded says that an action was not begun, since the client's own rate limit has no
// place for it soon.
func (q *Queue) Crowded(now time.Time, id ID) {
	if it := q.answered(id); it != nil {
		it.due = now.Add(q.backoff(4))
	}
}

// backoff doubles with each try; half of it is random.
func (q *Queue) backoff(tries int) time.Duration {
	d := q.cfg.MaxBackoff
	if tries < 30 && q.cfg.Backoff<<(tries-1) < d {
		d = q.cfg.Backoff << (tries - 1)
	}
	return d - q.random(d/2+1)
}

func (q *Queue) random(below time.Duration) time.Duration {
	return time.Duration(q.cfg.Rand.Int64N(int64(below)))
}

// Hold stops sending and looking up, or lets it go on.
func (q *Queue) Hold(held bool) { q.held = held }

// HoldBack names the conversations of which messages may turn up that come before those
// accepted here. What was loaded is sent.
func (q *Queue) HoldBack(conversations map[int64]struct{}) { q.back = conversations }

// Len counts the messages that are saved or being saved, those included whose
// copy is still to be removed.
func (q *Queue) Len() int { return len(q.items) }

// Busy counts the actions under way.
func (q *Queue) Busy() int { return q.busy }

// Due is when a message is tried next; the zero time means now or under way.
func (q *Queue) Due(id ID) time.Time {
	if it := q.items[id]; it != nil {
		if q.pause.After(it.due) {
			return q.pause
		}
		return it.due
	}
	return time.Time{}
}

package fleet

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Kind says what a [Request] asks for.
type Kind uint8

const (
	// List asks for the conversations of the app, with their times and users.
	List Kind = iota + 1
	// Audit asks for the entries of the audit log from Request.Since on.
	Audit
	// Look asks for the newest rows of many conversations: outer joins, without deleted rows.
	Look
	// Read asks for the changes of one conversation after a position, deleted rows too.
	Read
	// Across asks for the changes of all conversations of one user, deleted rows too.
	Across

	kinds = int(Across) + 1
)

func (k Kind) String() string {
	return [kinds]string{"", "list", "audit", "look", "read", "across"}[k]
}

// reads reports whether it asks for rows.
func (k Kind) reads() bool { return k == Look || k == Read || k == Across }

// Request is one request to the server.
type Request struct {
	Kind  Kind
	Class budget.Class
	// Conversations of a Look, and how many of the newest rows of each; the one of a Read.
	Conversations []int64
	Limits        []int
	// Users: the list has to say who is in the conversations.
	Users bool
	// User of Across: the number that the directory gave.
	User int32
	// After is the exclusive lower bound of Read and Across in (updated, id) order; Limit is
	// the most rows that are wanted.
	After feed.Key
	Limit int
	// Since is where the entries of the audit log begin, inclusive; 0: a moment ago. Offset is how
	// many of them are passed.
	Since  feed.Time
	Offset int

	asked  time.Time
	clock  feed.Time // the server's then, or earlier
	convs  []*conv
	cursor *track
	dig    bool // a Read that looks for deleted rows
	paged  bool // asked and clock are those of the first of several pages
}

// Asked is when the request was made.
func (r *Request) Asked() time.Time { return r.asked }

// Answer is the answer to a [Request].
type Answer struct {
	// Rows of Look, Read and Across, as package rows makes them for the engine.
	Rows []feed.Row
	// Full: there may be more rows after Last, of Read and Across. Deleted rows may come from
	// beyond it, since a server adds all of them to each page. Of a Look each conversation is
	// judged by its limit, and those in Cut may have more although they have fewer rows.
	Full bool
	Last feed.Key
	Cut  map[int64]bool
	// Clock is the server's time of the answer.
	Clock feed.Time
	// Listed answers List.
	Listed []Listing
	// Marks answers Audit.
	Marks []Mark
}

// Listing is a conversation in the list.
type Listing struct {
	Conversation     int64
	Created, Changed feed.Time
	Users            []int32 // nil: not asked for
}

// Mark is an entry of the audit log. Nothing of it need be true.
type Mark struct {
	Entry, Conversation int64
	At                  feed.Time
	Deleted             bool
}

// Pace says how fast a strategy reads when it knows of nothing.
type Pace struct {
	// Sweep is how long it may take until every conversation was read once more.
	Sweep time.Duration
	// Share is the most of the limit that the sweep may take for that.
	Share float64
	// Requests is how many requests a sweep takes; 0: as many as looks need for all
	// conversations, and -1: one for each of them.
	Requests int
}

// Strategy decides what a fleet asks the server. It is used by one fleet.
type Strategy interface {
	Name() string
	// Pace is that of the sweep. It may change.
	Pace() Pace
	// Index is the next request for what may have changed, and when it is due. One whose
	// Kind is 0 is never due.
	Index(now time.Time) (Request, time.Time)
	// Indexed takes the answer to such a request; err is why there is none.
	Indexed(now time.Time, r Request, a Answer, err error, v *View)
	// Plan makes a request of what is dirty, and says what to read after that. It reports
	// false if there is nothing to read.
	Plan(now time.Time, v *View) (Request, bool)
}

// View is what a strategy sees of a fleet.
type View struct{ f *Fleet }

// Size is how many conversations there are.
func (v *View) Size() int { return len(v.f.dirty.convs) }

// Since is the server's time from which on the fleet reads.
func (v *View) Since() feed.Time { return v.f.cfg.Since }

// Batch is the most conversations that one Look may have.
func (v *View) Batch() int { return v.f.batch }

// Mark makes a conversation dirty because an index shows that it changed at a time.
func (v *View) Mark(now time.Time, conversation int64, at feed.Time, deleted bool) {
	v.f.indexed(now, conversation, at, deleted)
}

// Now is the server's time.
func (v *View) Now(now time.Time) feed.Time { return v.f.Now(now) }

// Shown is when the last list says that a conversation has changed.
func (v *View) Shown(conversation int64) (at feed.Time, known bool) {
	c := v.f.dirty.convs[conversation]
	if c == nil {
		return 0, false
	}
	return c.shown, true
}

// Refused reports whether the server has refused the request that has failed, and Wait is the wait
// that it has asked for.
func (v *View) Refused() bool { return v.f.failure.Refused }

// Wait: see [View.Refused].
func (v *View) Wait() time.Duration { return v.f.failure.Wait }

// Answered is when anything but the audit log was answered last.
func (v *View) Answered() time.Time { return v.f.succeeded }

// Joins reports whether the server takes queries with joins, as far as is known; again is when
// that is tried once more.
func (v *View) Joins(now time.Time) (take bool, again time.Time) { return v.f.joins(now) }

// Crosses is the same about queries across the conversations of a user.
func (v *View) Crosses(now time.Time) (take bool, again time.Time) {
	return !now.Before(v.f.noAcross), v.f.noAcross
}

// List takes the list of conversations.
func (v *View) List(now time.Time, list []Listing) { v.f.listed(now, list) }

// Look is a request for the newest rows of the most urgent conversations, and of those
// whose turn it is in the sweep.
func (v *View) Look(now time.Time, skip func(conversation int64) bool) (Request, bool) {
	return v.f.look(now, skip)
}

// Read is a request for the changes of the most urgent conversation.
func (v *View) Read(now time.Time) (Request, bool) { return v.f.readOne(now) }

// ReadThis is a request for the changes of one conversation.
func (v *View) ReadThis(now time.Time, conversation int64) (Request, bool) {
	return v.f.readThis(now, conversation)
}

// ReadLarge is a request for the changes of a conversation in which more has happened than
// a Look shows.
func (v *View) ReadLarge(now time.Time) (Request, bool) { return v.f.readLarge(now) }

// Across is a request for the changes of the conversations of a user.
func (v *View) Across(now time.Time, user int32) (Request, bool) { return v.f.across(now, user) }

// Urgent is how many conversations somebody waits for.
func (v *View) Urgent() int { return v.f.dirty.urgent() }

// Users calls fn with each user who can be asked across, how many conversations they are in, and
// what counts those that somebody waits for.
func (v *View) Users(now time.Time, fn func(user int32, conversations int, dirty func() int)) {
	if take, _ := v.Crosses(now); !take {
		return
	}
	for u, p := range v.f.people {
		if !now.Before(p.barred) {
			fn(u, len(p.convs), p.dirty)
		}
	}
}

// Conversations are those of a user.
func (v *View) Conversations(user int32) []int64 {
	p := v.f.people[user]
	if p == nil {
		return nil
	}
	ids := make([]int64, len(p.convs))
	for i, c := range p.convs {
		ids[i] = c.id
	}
	return ids
}

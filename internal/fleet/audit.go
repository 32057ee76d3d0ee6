package fleet

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// audits is the strategy whose index is the audit log of the organisation, which tells of
// deletions, too. It needs a token of the organisation.
//
// That the log has the rows of chats is not documented. So the list is read as often as without
// the log until that was seen, and again when the list shows a change that the log does not; and
// all are swept.
type audits struct {
	byJoins
	lister
	times  bool // the list shows what has changed
	due    time.Time
	fails  int       // in a row, while others were answered
	failed time.Time // the last one
	errFor error     // why it is of no use

	// since is where the next request begins, inclusive, and seen are the entries from then on.
	since  feed.Time
	seen   []sighting
	offset int

	proof   proof
	proved  bool      // it has told something
	trusted time.Time // from when on the list is read seldom
}

// sighting is an entry of the log.
type sighting struct {
	id int64
	at feed.Time
}

const (
	// auditPage is the most entries that the audit log gives at once.
	auditPage = 500
	// auditEach is the wait between two requests, and auditMore that where there is more: the log
	// allows 30 requests in 10 s.
	auditEach, auditMore = time.Second, 350 * time.Millisecond
	// auditBack is how far back each of them goes, for entries that appear late, with so many
	// entries at most.
	auditBack     = feed.Time(5 * time.Second / time.Microsecond)
	auditBackMost = auditPage / 4
	// auditFar is how many entries may be passed in one request's time until that is no answer to
	// what was asked.
	auditFar = 20 * auditPage
	// auditDoubt is how long the list is read often after the log has lacked something.
	auditDoubt = 10 * time.Minute
	// auditFails is how many requests in a row fail then, while others are answered.
	auditFails = 5
)

var (
	errAuditLacks = errors.New("the audit log lacks changes that the list of conversations shows")
	errAuditFar   = errors.New("the audit log does not begin where it was asked to")
)

// NewAudit returns the strategy that reads the audit log.
func NewAudit() Strategy { return newAudit(true) }

func newAudit(times bool) *audits {
	s := &audits{times: times, proof: newProof(), lister: lister{every: time.Minute, users: time.Minute}}
	s.pace(time.Time{})
	return s
}

func (*audits) Name() string { return "audit" }
func (*audits) Pace() Pace   { return Pace{Sweep: time.Minute, Share: 0.25} }

// pace sets how often the list is read.
func (s *audits) pace(now time.Time) {
	s.every = time.Minute
	if s.times && (!s.proved || s.fails > 0 || now.Before(s.trusted)) {
		s.every = listEach
	}
}

func (s *audits) Index(now time.Time) (Request, time.Time) {
	list, at := s.lister.Index(now)
	if !now.Before(at) || at.Before(s.due) {
		return list, at
	}
	return s.request(), s.due
}

// request is the next one for the log.
func (s *audits) request() Request {
	return Request{Kind: Audit, Since: s.since, Offset: s.offset, Limit: auditPage}
}

func (s *audits) Indexed(now time.Time, r Request, a Answer, err error, v *View) {
	switch {
	case r.Kind == List:
		if err == nil && s.times && s.since != 0 {
			s.proof.compare(now, a.Listed, v)
		}
		s.pace(now)
		s.lister.Indexed(now, r, a, err, v)
	case err != nil:
		s.miss(now, err, v)
	default:
		s.fails = 0
		s.read(now, r, a, v)
	}
	s.settle(now)
}

// miss waits longer with each failure, and less for those that are not the log's own.
func (s *audits) miss(now time.Time, err error, v *View) {
	wait := 3 * time.Second
	if v.Refused() || v.Answered().After(s.failed) {
		s.fails++
		wait = min(wait<<min(s.fails-1, 7), 5*time.Minute)
		if v.Refused() || s.fails >= auditFails {
			s.errFor = err
		}
	}
	s.due, s.failed = now.Add(max(wait, v.Wait())), now
}

// read takes the entries of an answer. Nothing of it is believed but that a conversation may
// have changed.
func (s *audits) read(now time.Time, r Request, a Answer, v *View) {
	s.due, s.errFor = now.Add(auditEach), nil
	if s.since == 0 {
		s.proof.first = r.Since
	}
	newest := r.Since
	known := make(map[int64]bool, len(s.seen))
	for _, x := range s.seen {
		known[x.id] = true
	}
	for _, m := range a.Marks {
		m.At = min(m.At, v.Now(now)) // nothing is from the future
		if m.At < r.Since || known[m.Entry] {
			continue
		}
		known[m.Entry] = true
		newest = max(newest, m.At)
		s.seen = append(s.seen, sighting{m.Entry, m.At})
		s.proof.names(m.Conversation, m.At)
		v.Mark(now, m.Conversation, m.At, m.Deleted)
	}
	s.move(r, newest, a.Full)
	if a.Full {
		s.due = now.Add(auditMore)
	}
	if s.offset > auditFar {
		s.offset, s.errFor, s.due = 0, errAuditFar, now.Add(time.Minute)
	}
}

// move says where the next request begins.
func (s *audits) move(r Request, newest feed.Time, full bool) {
	slices.SortFunc(s.seen, func(x, y sighting) int { return cmp.Compare(x.at, y.at) })
	from := newest - auditBack
	if n := len(s.seen) - auditBackMost; n > 0 {
		if from = max(from, s.seen[n].at); !full && from == s.seen[len(s.seen)-1].at {
			from += feed.Time(time.Millisecond / time.Microsecond) // so many of one time are enough
		}
	}
	s.since, s.offset = max(r.Since, from), 0
	if full && s.since == r.Since { // there are more of that time than an answer has
		s.offset = r.Offset + r.Limit
	}
	s.seen = slices.DeleteFunc(s.seen, func(x sighting) bool { return x.at < s.since })
}

// settle judges the log by what it owes.
func (s *audits) settle(now time.Time) {
	if s.proof.due(now, s.fails == 0) {
		s.trusted = now.Add(auditDoubt)
	}
	s.proved = s.proved || s.proof.right > 0
	if s.pace(now); s.every == listEach {
		s.next = earlier(s.next, now.Add(listEach))
	}
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// useless is why the log is of no use; nil if it is.
func (s *audits) useless() error {
	if s.proof.fails() {
		return errAuditLacks
	}
	return s.errFor
}

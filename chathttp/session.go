package chathttp

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// event is what a page gets, and the number that it has in its stream; 0: none.
type event struct {
	n    uint64
	kind string
	data []byte
}

// session is the stream of one page: a stream of the Chat, and what of it the page may not
// have yet. It outlives connections. The stream's function waits while the log is full, so
// that the SDK reads the rest again when there is room, and memory stays bounded.
type session struct {
	h    *Handler
	user *user
	id   string
	acks bool // the page says what has arrived

	sub    *chat.Subscription
	cancel context.CancelFunc

	mu      sync.Mutex
	room    sync.Cond
	log     []event
	bytes   int
	last    uint64 // of the log
	base    uint64 // before the log: what the page has, or has lost
	at      uint64 // what was written to the connection
	sent    uint64 // to any
	trouble *event // the newest
	more    chan struct{}
	kick    chan struct{} // ends the connection; nil without one
	over    error         // why the stream ended
	stopped bool
	left    time.Time // when the last connection ended
	expire  *time.Timer
}

// open begins a stream for a page.
func (u *user) open(h *Handler, acks bool, opts []chat.StreamOption) (*session, error) {
	s := &session{h: h, user: u, id: rand.Text(), acks: acks, more: make(chan struct{}, 1)}
	s.room.L = &s.mu
	if err := u.admit(h, s); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	opts = append(opts, chat.OnGap(s.gap), chat.OnError(s.fails))
	sub, err := u.chat.Stream(ctx, s.message, opts...)
	if err != nil {
		cancel()
		u.remove(s)
		return nil, err
	}
	s.mu.Lock()
	s.sub = sub
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		sub.Stop()
	}
	go func() {
		<-sub.Done()
		cancel()
		s.end(sub.Err())
	}()
	return s, nil
}

// admit adds a session. One that has waited longest for its page makes room.
func (u *user) admit(h *Handler, s *session) error {
	u.mu.Lock()
	if u.stopped {
		u.mu.Unlock()
		return chat.ErrClosed
	}
	var oldest *session
	if len(u.sessions) >= h.opts.Streams {
		var since time.Time
		for _, other := range u.sessions {
			if left, waits := other.waits(); waits && (oldest == nil || left.Before(since)) {
				oldest, since = other, left
			}
		}
		if oldest == nil {
			u.mu.Unlock()
			return &failure{status: http.StatusTooManyRequests, text: "too many streams; close other pages", retry: 10}
		}
		delete(u.sessions, oldest.id)
	}
	u.sessions[s.id] = s
	u.mu.Unlock()
	if oldest != nil {
		oldest.stop(errGivenUp)
	}
	return nil
}

// errGivenUp ends a stream whose page has not come back.
var errGivenUp = errors.New("the page has not come back")

func (u *user) remove(s *session) {
	u.mu.Lock()
	delete(u.sessions, s.id)
	u.mu.Unlock()
}

// find finds the stream of an id. reason says why there is none.
func (u *user) find(id string) (s *session, after uint64, reason string) {
	name, number, ok := strings.Cut(id, ".")
	after, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || len(name) != 26 {
		return nil, 0, "invalid"
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if s = u.sessions[name]; s == nil {
		return nil, 0, "unknown"
	}
	return s, after, ""
}

// message is the function of the stream.
func (s *session) message(m *chat.Message) {
	s.user.show(s.h, m)
	raw, err := json.Marshal(m)
	if err != nil { // columns come from JSON
		s.h.log.Error("a message is no JSON", "conversation", m.ConversationID, "message", m.ID)
		return
	}
	s.push("", raw)
}

func (s *session) gap(g chat.Gap) {
	type gap struct {
		Kind           string     `json:"kind"`
		ConversationID int64      `json:"conversationId"`
		MessageID      int64      `json:"messageId,omitempty"`
		Before         *time.Time `json:"before,omitempty"`
		BeforeID       int64      `json:"beforeId,omitempty"`
		Reason         string     `json:"reason"`
	}
	v := gap{Kind: g.Kind.String(), ConversationID: g.ConversationID, MessageID: g.MessageID, BeforeID: g.BeforeID, Reason: "older messages of a conversation joined later"}
	if g.Kind == chat.GapUnreadable {
		v.Reason = "the message is too large to be read"
	}
	if !g.Before.IsZero() {
		v.Before = &g.Before
	}
	raw, _ := json.Marshal(v)
	s.push("gap", raw)
}

// fails keeps the newest failure of a poll.
func (s *session) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped && s.over == nil {
		s.trouble = &event{kind: "trouble", data: rejectionOf(err)}
		s.wake()
	}
}

func rejectionOf(err error) []byte {
	raw, _ := json.Marshal(failed(err).rejection())
	return raw
}

// push adds an event, and waits while there is no room.
func (s *session) push(kind string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopped && len(s.log) > 0 && (len(s.log) >= s.h.opts.LogEvents || s.bytes+len(data) > s.h.opts.LogBytes) {
		if !s.acks && s.log[0].n <= s.at { // nobody says whether it has arrived
			s.forget(s.log[0].n)
			continue
		}
		s.room.Wait()
	}
	if s.stopped {
		return
	}
	s.last++
	s.log = append(s.log, event{s.last, kind, data})
	s.bytes += len(data)
	s.wake()
}

// forget drops the events up to a number. mu is held.
func (s *session) forget(upto uint64) {
	i := 0
	for ; i < len(s.log) && s.log[i].n <= upto; i++ {
		s.bytes -= len(s.log[i].data)
		s.log[i] = event{}
	}
	if s.log = s.log[i:]; len(s.log) == 0 {
		s.log = nil
	}
	if s.base < upto {
		s.base = upto
		s.room.Broadcast()
	}
}

// wake says that there is something to write. mu is held.
func (s *session) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// arrived says that a page has everything up to a number.
func (s *session) arrived(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= s.sent {
		s.at = max(s.at, n)
		s.forget(n)
	}
}

// attach makes a connection that of the stream, in the place of any other. reason says why
// it cannot go on after a number.
func (s *session) attach(after uint64) (kicked <-chan struct{}, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return nil, "unknown"
	case after < s.base:
		return nil, "old"
	case after > s.sent:
		return nil, "invalid"
	}
	s.forget(after)
	s.at = after
	if s.kick != nil {
		close(s.kick)
	}
	if s.expire != nil {
		s.expire.Stop()
		s.expire = nil
	}
	s.kick = make(chan struct{})
	s.wake()
	return s.kick, ""
}

// detach ends a connection. The stream waits for another one.
func (s *session) detach(kicked <-chan struct{}) {
	if s.leave(kicked) { // nobody is there to be told
		s.user.remove(s)
		s.stop(nil)
	}
}

// leave is the part of detach that holds mu. It reports whether the stream is over.
func (s *session) leave(kicked <-chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kick == nil || s.kick != kicked {
		return false
	}
	s.kick, s.left = nil, time.Now()
	if !s.stopped {
		s.expire = time.AfterFunc(s.h.opts.Keep, func() {
			if _, waits := s.waits(); waits {
				s.user.remove(s)
				s.stop(errGivenUp)
			}
		})
	}
	return s.over != nil
}

// waits reports whether the stream has no connection, and since when.
func (s *session) waits() (since time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left, s.kick == nil && !s.left.IsZero()
}

// batch is how many bytes are written before the connection is looked at again.
const batch = 64 << 10

// take returns what is to be written to a connection next, and why nothing comes after it.
// It reports false when the connection is not the stream's any more.
func (s *session) take(kicked <-chan struct{}) (list []event, over error, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kick != kicked || s.stopped {
		s.wake() // for another one
		return nil, nil, false
	}
	if !s.acks { // what is written may be dropped
		s.room.Broadcast()
	}
	size := 0
	for _, e := range s.log {
		if e.n <= s.at {
			continue
		}
		if size > 0 && size+len(e.data) > batch {
			s.wake()
			return list, nil, true
		}
		list = append(list, e)
		size += len(e.data)
		s.at, s.sent = e.n, max(s.sent, e.n)
	}
	if s.trouble != nil {
		list = append(list, *s.trouble)
		s.trouble = nil
	}
	return list, s.over, true
}

// end says that the stream is over. A page that is there still gets what is in the log.
func (s *session) end(cause error) {
	s.mu.Lock()
	s.over = cmp.Or(s.over, cause, chat.ErrClosed)
	alone := s.kick == nil
	s.wake()
	s.mu.Unlock()
	if alone {
		s.user.remove(s)
		s.stop(cause)
	}
}

// stop ends the stream, and what is kept of it.
func (s *session) stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	s.over = cmp.Or(s.over, cause, chat.ErrClosed)
	s.log, s.bytes = nil, 0
	if s.expire != nil {
		s.expire.Stop()
	}
	s.room.Broadcast()
	s.wake()
	if s.sub != nil {
		s.sub.Stop()
	}
}

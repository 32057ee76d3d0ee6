// Package debugpage shows how a chat is doing, as a page for people and as JSON for
// programs. It shows what it is given: whoever fills a [State] leaves secrets out.
package debugpage

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

// State is what the page shows. Its JSON is the contract with programs: fields are
// added, not changed. Times without a value are left out, durations are in seconds.
type State struct {
	At        time.Time  `json:"at"`
	Host      string     `json:"host"`
	User      string     `json:"user,omitempty"`
	App       *App       `json:"app,omitempty"`
	Polls     Polls      `json:"polls"`
	Limiter   Limiter    `json:"limiter"`
	Listeners []Listener `json:"listeners"`
	Consumers []Consumer `json:"consumers"`
	Outbox    Outbox     `json:"outbox"`
	Errors    []Error    `json:"errors"`
}

// App is how an app reads for all of its users, and for its own listeners.
type App struct {
	Strategy string    `json:"strategy"`
	Since    time.Time `json:"since,omitzero"`
	Again    time.Time `json:"again,omitzero"` // when a better one is tried
	Users    int       `json:"users"`          // who are logged in; each has a page of their own
}

// Polls are how the polls go.
type Polls struct {
	Last   time.Time `json:"last,omitzero"`
	Next   time.Time `json:"next,omitzero"`
	Failed int       `json:"failed"` // since the last one that succeeded
}

// Limiter is the state of the rate limit, which other chats may share.
type Limiter struct {
	Used    int     `json:"used"`
	Of      int     `json:"of"` // 0: there is no limit
	Waiting int     `json:"waiting"`
	Wait    float64 `json:"waitSeconds"`
}

// Listener is a stream, loop or consumer that receives.
type Listener struct {
	Kind     string    `json:"kind"`
	Consumer string    `json:"consumer,omitempty"`
	Doing    string    `json:"doing"`
	Settled  time.Time `json:"settled,omitzero"`
	Newest   time.Time `json:"newest,omitzero"`
	Queued   int       `json:"queued"`
	Room     int       `json:"room"`
	Aside    int       `json:"aside"`
	Handled  uint64    `json:"handled"`
	Busy     bool      `json:"busy"`
	Behind   bool      `json:"behind"`
	Parked   bool      `json:"parked"`
}

// Consumer is a consumer, also one that stands by.
type Consumer struct {
	Name      string `json:"name"`
	Receiving bool   `json:"receiving"`
	Lag       int    `json:"lag"`
	Failing   int    `json:"failing"`
	Storage   string `json:"storage,omitempty"`
}

// Outbox is what is left to send.
type Outbox struct {
	Pending int       `json:"pending"`
	Failed  int       `json:"failed"` // given up and kept, of those
	Oldest  time.Time `json:"oldest,omitzero"`
	Next    time.Time `json:"next,omitzero"`
}

// Error is a failure that is known of.
type Error struct {
	At           time.Time `json:"at,omitzero"`
	Where        string    `json:"where"`
	Conversation int64     `json:"conversationId,omitempty"`
	Message      int64     `json:"messageId,omitempty"`
	Attempts     int       `json:"attempts,omitempty"`
	Text         string    `json:"text"`
}

// Fill shows what a Receiver says of itself.
func (s *State) Fill(list []receive.Listening, due time.Time, last []receive.Trouble) {
	s.Polls.Next = due
	for _, l := range list {
		s.Listeners = append(s.Listeners, Listener{
			Kind: l.Kind.String(), Consumer: l.Consumer, Doing: l.Doing, Settled: at(l.Settled), Newest: at(l.Newest),
			Queued: l.Queued, Room: l.Room, Aside: l.Aside,
			Handled: l.Handled, Busy: l.Busy, Behind: l.Behind, Parked: l.Parked,
		})
	}
	for _, t := range last {
		s.Errors = append(s.Errors, Error{At: t.At, Where: "poll", Text: Answer(t.Err)})
	}
}

// at is a time of the server; zero for none.
func at(t feed.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// maxErrors is how many errors the page shows.
const maxErrors = 50

// Failed adds an error, if it is one. text says what the page tells of it, by where it comes
// from: [Kind], [Answer] or [Impaired].
func (s *State) Failed(e Error, err error, text func(error) string) {
	if err != nil && len(s.Errors) < maxErrors {
		e.Text = text(err)
		s.Errors = append(s.Errors, e)
	}
}

// Reading shows how an app reads: why nothing comes, and why nothing of some conversations does.
func (s *State) Reading(a App, err error, failing map[int64]error) {
	s.App = &a
	s.Failed(Error{Where: "app"}, err, Answer)
	for _, id := range slices.Sorted(maps.Keys(failing)) {
		s.Failed(Error{Where: "app", Conversation: id}, failing[id], Answer)
	}
}

// Consuming shows consumers.
func (s *State) Consuming(list []*receive.Consumer) {
	for _, k := range list {
		c := Consumer{Name: k.Name, Storage: Kind(k.Storage())}
		c.Lag, c.Receiving = k.Receiving()
		for _, f := range k.Failing.All() {
			c.Failing++
			s.Failed(Error{Where: "consumer " + k.Name, Conversation: f.Conversation, Message: f.Row, Attempts: f.Attempts}, f.Err, Kind)
		}
		s.Consumers = append(s.Consumers, c)
	}
}

// Sending shows what waits in an outbox.
func (s *State) Sending(list []outbox.Waiting) {
	for _, w := range list {
		s.Outbox.add(w.State == outbox.Failed, w.QueuedAt, w.NextTry)
		s.Failed(Error{Where: "outbox", Conversation: w.Conversation, Attempts: w.Attempts}, w.Err, Answer)
	}
}

// add adds a message that waits.
func (o *Outbox) add(failed bool, queued, next time.Time) {
	o.Pending++
	if failed {
		o.Failed++
	}
	if o.Oldest.IsZero() || queued.Before(o.Oldest) {
		o.Oldest = queued
	}
	if !next.IsZero() && (o.Next.IsZero() || next.Before(o.Next)) {
		o.Next = next
	}
}

// Handler serves the page. state is called for every request.
func Handler(state func() State) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		s := state()
		if s.Listeners == nil {
			s.Listeners = []Listener{}
		}
		if s.Consumers == nil {
			s.Consumers = []Consumer{}
		}
		if s.Errors == nil {
			s.Errors = []Error{}
		}
		plain(reflect.ValueOf(&s).Elem())
		var text []byte
		if wantsJSON(r) {
			h.Set("Content-Type", "application/json; charset=utf-8")
			var err error
			if text, err = json.MarshalIndent(s, "", "  "); err != nil {
				http.Error(w, "the state cannot be written", http.StatusInternalServerError)
				return
			}
			text = append(text, '\n')
		} else {
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'")
			text = page(&s)
		}
		h.Set("Content-Length", strconv.Itoa(len(text)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(text) // whoever asked has left
		}
	})
}

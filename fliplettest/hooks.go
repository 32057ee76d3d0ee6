package fliplettest

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// WebHook stands for the requests that web hooks send, as routes stand for those that come
// in: levers act on it, and [Server.Count] counts. It is in no group of routes.
//
// On it [LoseRequest] lets the request never arrive, [LoseAnswer] lets it arrive unheard,
// [Twice] sends it two times, [Delay] sends it later while others overtake it,
// [OutOfOrder] sends it behind the next one, [ForgeBody] sends another body, [HookSeesID]
// shows templates the entry's id. Other faults do nothing.
const WebHook Route = Route(flipletd.WebHook)

// OnHook serves the requests of web hooks with a handler instead of sending them over
// sockets: the way to receive them with [InProcess], where without OnHook none is sent. The
// handler runs in a goroutine of its own, in the testing/synctest bubble of the write if
// there is one, and has to return when the context of its request ends: after 10 s, or when
// the server closes. Endpoints have to name a host that is allowed all the same, such as
// http://localhost/; it is in the request's URL and Host.
func OnHook(h http.Handler) Option {
	return func(c *config) { c.onHook = h }
}

// HookHosts lets web hooks lead to these hosts, names or addresses with or without a port,
// beside 127.0.0.1, [::1] and localhost. A data source with a hook that leads elsewhere is
// refused.
func HookHosts(hosts ...string) Option {
	return func(c *config) { c.HookHosts = append(c.HookHosts, hosts...) }
}

// OutOfOrder sends the request of a web hook behind the hook's next one; if none follows
// within a second, by itself. With [Twice] the copy comes with it, and is not the next one.
func OutOfOrder() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Hook.OutOfOrder = true })
}

// ForgeBody sends the request of a web hook with another body: a text as it is, anything else
// as JSON. It panics on what JSON cannot hold. [Server.ForgeHook] sends requests that no row
// has caused.
func ForgeBody(body any) Fault {
	if _, isText := body.(string); !isText {
		raw, err := json.Marshal(body)
		if err != nil {
			panic("fliplettest: ForgeBody: " + err.Error())
		}
		body = json.RawMessage(raw)
	}
	return fault(func(fx *flipletd.Effects) { fx.Hook.Forged, fx.Hook.Body = true, body })
}

// HookSeesID lets the templates of a web hook see {{id}} and {{dataSourceId}} of the entry,
// unless there are columns called so. Whether Fliplet does is not documented.
func HookSeesID() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Hook.WithID = true })
}

// ForgeHook sends what the web hooks of a data source would send for a row with these
// columns, although there is no such row and whatever their conditions say, as somebody can
// who knows the endpoint. It returns how many requests that are, none after [Server.Close], and
// panics when there is no such data source.
func (s *Server) ForgeHook(dataSourceID int64, row datasource.M) int {
	n, err := s.core.Forge(dataSourceID, row)
	if err != nil {
		panic("fliplettest: " + err.Error())
	}
	return n
}

// WaitForHooks returns when every request of a web hook that was due is over, those that a
// lever delays included, or with the cause of ctx. Afterwards [Server.HookCalls] tells what
// was answered.
func (s *Server) WaitForHooks(ctx context.Context) error { return s.core.WaitForHooks(ctx) }

// HookCall is a hook that ran. E-mail, SMS and push hooks send nothing; for a web hook there
// is one for each request that it sends, or would have sent.
type HookCall struct {
	Time         time.Time // of the write
	Type         string    // email, sms, web, push, push-message, …
	RunOn        string    // insert or update; "" when forged by ForgeHook
	DataSourceID int64
	EntryID      int64
	AppID        int64
	Payload      any // templates filled in; of a web hook without the values of headers and query

	// Of web hooks.
	URL    string    // the endpoint as it is stored: not filled in, without its query
	Sent   time.Time // when the request went out; zero: not yet, or never
	Status int       // what was answered; 0 while nothing is
	Err    string    // why there is no answer, or of any hook that it took too long; holds nothing of a row, a header or an answer
	Lever  string    // lost, answer lost, twice, late, out of order or forged; "" otherwise
}

// HookCalls returns the hooks that ran, the oldest first; of very many the last ten thousand
// at least.
func (s *Server) HookCalls() []HookCall {
	ran := s.core.HookCalls()
	out := make([]HookCall, len(ran))
	for i, h := range ran {
		out[i] = HookCall(h)
	}
	return out
}

// ears carries the requests of hooks to a handler.
type ears struct {
	handler http.Handler
	running sync.WaitGroup
}

// errNoEars is why nothing is sent in process without a handler: a socket would hang the
// bubble of a test.
const errNoEars = flipletd.HookError("nothing was sent: in process, the option OnHook says who receives web hooks")

func (e *ears) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.handler == nil {
		return nil, errNoEars
	}
	type result struct {
		res *http.Response
		err error
	}
	done := make(chan result, 1)
	e.running.Add(1)
	go func() {
		defer e.running.Done()
		out := result{err: flipletd.HookError("the handler of OnHook did not return")} // runtime.Goexit: a test that ended
		defer func() { done <- out }()
		out.res, out.err = inProcess{handler: e.handler}.RoundTrip(r) //nolint:bodyclose // by who asked; the body is in memory
	}()
	select {
	case out := <-done:
		return out.res, out.err
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// close waits a moment for handlers to notice that they are to return.
func (e *ears) close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.running.Wait()
	}()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

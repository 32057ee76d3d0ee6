package flipletd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/handlebars"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// Config is what a server starts with. Zero fields have the defaults named
// at each.
type Config struct {
	Token          string    // the first API token; a random one
	AppID          int64     // the app that token belongs to; 1
	OrganizationID int64     // 1
	Seed           uint64    // of everything random: the same requests get the same answers; 0 is 1 for levers, and the system's randomness for tokens and GUIDs
	Limits         []Limit   // none
	ClockAt        time.Time // where the clock stands still until it is thawed; it runs
	MaxBody        int64     // bytes of a request body; 1 GiB as documented
	MaxFile        int64     // bytes of one file; 500 MiB as documented
	MaxJoins       int       // joins of one query; any number, as documented
	Journal        Journal   // keeps state across restarts; none

	HookHosts     []string          // where web hooks may lead beside this machine: names or addresses, with or without a port
	HookTransport http.RoundTripper // what carries their requests, instead of sockets
	HookTimeout   time.Duration     // how long one may take; 10 s

	// Logger hears of every request at level Info and of the server's own errors
	// at level Error, never of a token, a key or a body. Nothing is logged without.
	Logger *slog.Logger
}

// Server is a local Fliplet. It is an [http.Handler], safe for concurrent use.
type Server struct {
	st      *store
	random  *randomness
	clock   clock
	levers  levers
	people  directory
	limiter limiter
	log     requestLog
	hooks   hookLog
	ringer  ringer

	token            string // the first one
	appID, orgID     int64
	maxBody, maxFile int64
	maxJoins         int // 0 is any
	queryTimeout     time.Duration
	buffers          sync.Pool // *[]byte, for answers

	closed    chan struct{}
	closeOnce sync.Once
}

// New makes a server and loads what its journal holds.
func New(cfg Config) (*Server, error) {
	s := &Server{
		st:    newStore(cfg.Journal),
		appID: orElse(cfg.AppID, 1), orgID: orElse(cfg.OrganizationID, 1),
		maxBody: orElse(cfg.MaxBody, 1<<30), maxFile: orElse(cfg.MaxFile, 500<<20),
		maxJoins: cfg.MaxJoins, queryTimeout: defaultQueryTimeout, closed: make(chan struct{}),
	}
	s.log.logger = cfg.Logger
	if s.log.logger == nil {
		s.log.logger = slog.New(slog.DiscardHandler)
	}
	hosts, err := parseHookHosts(cfg.HookHosts)
	if err != nil {
		return nil, err
	}
	s.ringer = ringer{
		hosts: hosts, timeout: orElse(cfg.HookTimeout, defaultHookTimeout), custom: cfg.HookTransport,
		clock: &s.clock, log: &s.hooks, logger: s.log.logger,
	}
	s.ringer.start()
	s.levers.seed = orElse(cfg.Seed, 1)
	s.random = newRandomness(cfg.Seed)
	for _, l := range cfg.Limits {
		if err := l.Check(); err != nil {
			return nil, fmt.Errorf("flipletd: %w", err)
		}
	}
	s.limiter.set(cfg.Limits...)
	s.buffers.New = func() any { return new([]byte) }
	if !cfg.ClockAt.IsZero() {
		s.clock.freeze(cfg.ClockAt)
	}
	if err := s.st.load(); err != nil {
		return nil, err
	}
	s.st.random = s.random
	if cfg.Seed != 0 { // what a journal has GUIDs of already gets no others like them
		s.st.random = newRandomness(orElse(mix(cfg.Seed^mix(uint64(s.st.lastID[kindEntry]))), 1))
	}
	if cfg.Token == "" {
		cfg.Token = s.random.token()
	}
	s.token = cfg.Token
	if cfg.Journal != nil {
		// The log starts anew, and its ids must not: there were fewer than a thousand
		// lines in a millisecond.
		s.st.audit.lastID = time.Now().UnixMilli() * 1000
	}
	if err := s.people.populate(s.orgID, s.appID, cfg.Token, s.clock.now()); err != nil {
		return nil, err
	}
	return s, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Close ends delays in progress and what web hooks are sending, and drops what they have not
// sent yet. The state stays readable.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.ringer.close()
	})
}

// call is one request on its way through the server.
type call struct {
	srv   *Server
	st    *store
	req   *http.Request
	route *route
	args  []string // decoded path parameters
	query map[string][]string
	body  []byte
	fx    *Effects
	cred  *credential
	now   time.Time
	asOf  time.Time // the state a read sees, by the system's clock

	began    time.Time // by the system's clock
	rowsSeen int       // by clauses; see match
	steps    sift.Meter
	gaveUp   bool

	asksForHooks bool               // the request says that hooks run
	hookWork     *handlebars.Budget // what they may cost; see hookBudget

	status      int
	contentType string
	header      http.Header
	out         []byte
}

// maxPooled is the size in bytes up to which an answer's buffer is used again.
const maxPooled = 1 << 20

// ServeHTTP serves the REST API. It never panics, except with
// [http.ErrAbortHandler] where a lever drops the connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if allowOrigin(w.Header(), r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	buffer := s.buffers.Get().(*[]byte)
	c := &call{srv: s, st: s.st, req: r, out: (*buffer)[:0], contentType: "application/json; charset=utf-8"}
	defer func() {
		if cap(c.out) <= maxPooled {
			*buffer = c.out[:0]
			s.buffers.Put(buffer)
		}
	}()
	c.query = parseQuery(r.URL.RawQuery)
	c.route, c.args = findRoute(r)
	c.fx = s.levers.effects(c.route)
	for name := range c.fx.Ignore {
		delete(c.query, name)
	}
	entry := s.log.start(c, s.clock.now())
	defer func() { s.log.finish(entry, c) }()

	// The body comes first: net/http notices a client that left only after that.
	err := c.readBody(w)
	if !s.wait(r.Context(), c.fx.Delay) || c.fx.LoseRequest {
		c.drop()
	}
	if err != nil {
		c.refuse(err)
		c.send(w)
		return
	}
	c.serve()
	if c.fx.Twice && c.status < 500 {
		again := *c
		again.out = nil
		again.serve()
	}
	if !s.wait(r.Context(), c.fx.AnswerDelay) || c.fx.LoseAnswer {
		c.drop()
	}
	c.send(w)
}

// wait sleeps, and says false when the client or the server went away.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.closed:
		return false
	}
}

// drop closes the connection without an answer.
func (c *call) drop() {
	c.status = 0
	panic(http.ErrAbortHandler)
}

// serve decides and applies; the answer is in c afterwards.
func (c *call) serve() {
	defer func() {
		if p := recover(); p != nil {
			c.refuse(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	c.now = c.srv.clock.now()
	c.began = time.Now()
	c.asOf = c.began.Add(-c.fx.Lag)
	if err := c.admit(); err != nil {
		c.refuse(err)
		return
	}
	if err := c.route.handle(c); err != nil {
		c.refuse(err)
	}
}

// admit answers in place of the route: levers first, then the token, then the
// rate limit.
func (c *call) admit() error {
	if c.fx.Status != 0 {
		return c.injected()
	}
	if c.route.open {
		return c.limitUnserved()
	}
	if c.fx.RefuseToken {
		return notAuthorised()
	}
	var err error
	if c.cred, err = c.srv.people.authenticate(c.req, c.query); err != nil {
		return err
	}
	return c.srv.limiter.allow(c.cred, c.route.calls, c.now)
}

// limitUnserved lets calls that are not served here have their limit, if they show a token.
func (c *call) limitUnserved() error {
	calls := c.route.group(c.req)
	if calls == "" {
		return nil
	}
	cred, err := c.srv.people.authenticate(c.req, c.query)
	if err != nil {
		return nil
	}
	return c.srv.limiter.allow(cred, calls, c.now)
}

// injected is the answer of a Status lever: the documented body of that status
// unless the lever brings one.
func (c *call) injected() error {
	if c.fx.Body != "" || c.fx.Status < 400 {
		c.status, c.out = c.fx.Status, append(c.out[:0], c.fx.Body...)
		return errAnswered
	}
	switch c.fx.Status {
	case http.StatusUnauthorized:
		return notAuthorised()
	case http.StatusForbidden:
		return deadChatToken()
	case http.StatusTooManyRequests:
		return tooMany(c.now.Add(orElse(c.fx.RetryIn, time.Second)))
	}
	r := &refusal{status: c.fx.Status, message: http.StatusText(c.fx.Status)}
	if r.status < 500 {
		r.code = strings.ToLower(r.message) // nobody else's
	}
	return r
}

// errAnswered says that the answer is in the call already.
var errAnswered = errors.New("answered")

// refuse makes err the answer.
func (c *call) refuse(err error) {
	if errors.Is(err, errAnswered) {
		return
	}
	r := asRefusal(err)
	if r.cause != nil {
		c.srv.log.fault(r.cause)
	}
	c.status, c.header = r.status, nil
	c.out = r.appendTo(c.out[:0])
}

// send writes the answer, or half of it.
func (c *call) send(w http.ResponseWriter) {
	if c.fx.Shape.EmptyBody && c.status < 300 {
		c.out = c.out[:0]
	}
	h := w.Header()
	h["Content-Type"] = []string{c.contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(c.out))}
	h["Date"] = []string{c.srv.clock.now().Format(http.TimeFormat)}
	for k, v := range c.header {
		h[k] = v
	}
	for k, v := range c.fx.Header {
		h[k] = v
	}
	w.WriteHeader(c.status)
	if c.req.Method == http.MethodHead {
		return
	}
	if c.fx.Cut {
		_, _ = w.Write(c.out[:len(c.out)/2])
		_ = http.NewResponseController(w).Flush()
		c.drop()
	}
	if c.fx.DripEvery > 0 {
		c.drip(w)
		return
	}
	_, _ = w.Write(c.out) // a client that left is not the server's problem
}

// Dripper is a ResponseWriter that takes pieces of an answer and sends them itself,
// with a pause before each.
type Dripper interface {
	Drip(body []byte, piece int, every time.Duration)
}

// drip sends the answer piece by piece.
func (c *call) drip(w http.ResponseWriter) {
	piece := max(c.fx.DripBytes, 1)
	if d, ok := w.(Dripper); ok {
		d.Drip(c.out, piece, c.fx.DripEvery)
		return
	}
	_ = http.NewResponseController(w).Flush()
	for rest := c.out; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		if !c.srv.wait(c.req.Context(), c.fx.DripEvery) {
			c.drop()
		}
		_, _ = w.Write(rest[:min(piece, len(rest))])
		_ = http.NewResponseController(w).Flush()
	}
}

package chathttp

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// Options configure a [Handler]. The zero value of every field selects its default.
type Options struct {
	// Origins are further origins whose pages may use the handler, such as
	// "https://app.example.org" where a proxy replaces the name of the host. Default: the
	// origin of the request only.
	Origins []string
	// MaxBody is how many bytes the body of a call may have, data URLs included. Default:
	// 4 MiB.
	MaxBody int64
	// MaxUpload is how many bytes an upload may have. Default: 64 MiB. What is more than
	// 256 KiB waits in a temporary file.
	MaxUpload int64
	// Calls is how many requests each Chat may get in 10 s. Default: 300. Others are
	// answered with 429 and Retry-After.
	Calls int
	// Streams is how many streams each Chat may have, those included that wait for their
	// page. Default: 16. One more takes the place of the one that has waited longest; when
	// all have a page it is answered with 429.
	Streams int
	// Keep is how long a stream waits for its page to come back. Default: 3 h. Until then it
	// costs what a stream costs: its polls, and at most LogBytes.
	Keep time.Duration
	// LogEvents and LogBytes bound what is kept of a stream that its page has not confirmed.
	// Defaults: 512 and 1 MiB.
	LogEvents, LogBytes int
	// Heartbeat is after how long a quiet stream sends a comment. Default: 15 s; at most
	// 30 s, since chat.js takes a connection for dead after 40 s.
	Heartbeat time.Duration
	// WriteTimeout is how long a page may take to read what is sent to it before its
	// connection is cut. Default: 30 s.
	WriteTimeout time.Duration
	// HiddenColumns are columns of contacts, and names inside of them, that pages neither get
	// nor may ask about, in any case of letters; "*" stands for any text, as in [path.Match]. Chat tokens are always
	// among them. Default: "*password*". An empty list that is not nil hides no other.
	HiddenColumns []string
	// Moderator reports whether a user may change and delete the messages of others, and
	// delete channels. Default: nobody may.
	Moderator func(*chat.Chat) bool
	// Allow is asked before each call, upload and file, by the name of the method ("message"
	// for an upload, "file" for a file). Its error is answered with 403, and its text is
	// logged only. It is called from many goroutines. Default: everything is allowed.
	Allow func(r *http.Request, c *chat.Chat, method string) error
	// EncryptionKeys lets pages have the keys of their conversations, by
	// getEncryptionKey. Each opens all bodies and files of its conversation. Default: refused.
	EncryptionKeys bool
	// FileURLs leaves the addresses of files in messages as they are. Default: references to
	// the handler, which a page can load. A page sends a file on by a reference in both cases.
	FileURLs bool
	// Logger gets why calls fail. No token, key or message body is logged. Default: none.
	Logger *slog.Logger
}

// Handler serves Chats. It is safe for concurrent use.
type Handler struct {
	who     func(*http.Request) (*chat.Chat, error)
	opts    Options
	log     *slog.Logger
	origins *http.CrossOriginProtection

	mu     sync.Mutex
	users  map[*chat.Chat]*user
	closed bool
}

// maxHeartbeat is less than the silence after which chat.js connects again.
const maxHeartbeat = 30 * time.Second

// New returns a Handler. who says who is asking: it returns the Chat of the user to whom the
// request belongs, logged in. It is called for every request, so it should be quick, and
// from many goroutines, and again every 30 s for a stream. Its error is answered with 401,
// unless it says that something is down or busy, as [chat.ErrOffline] does; its text is logged
// and not shown. The Chats stay the caller's to close: the same one for the same user, since a
// stream belongs to its Chat.
//
// It starts no goroutine before the first stream. End it with [Handler.Close].
//
// Errors: those of Options, all at once, and a nil who; they match [chat.ErrInvalid].
func New(who func(*http.Request) (*chat.Chat, error), opts Options) (*Handler, error) {
	var wrong []error
	refuse := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("chathttp: %w: "+format, append([]any{chat.ErrInvalid}, args...)...))
	}
	if who == nil {
		refuse("who: nil; give a function that tells whose a request is")
	}
	for name, n := range map[string]int64{
		"MaxBody": opts.MaxBody, "MaxUpload": opts.MaxUpload, "Calls": int64(opts.Calls), "Streams": int64(opts.Streams),
		"Keep": int64(opts.Keep), "LogEvents": int64(opts.LogEvents), "LogBytes": int64(opts.LogBytes),
		"Heartbeat": int64(opts.Heartbeat), "WriteTimeout": int64(opts.WriteTimeout),
	} {
		if n < 0 {
			refuse("Options.%s: %d; give a positive value, or 0 for the default", name, n)
		}
	}
	h := &Handler{who: who, opts: opts, log: opts.Logger, origins: http.NewCrossOriginProtection(), users: map[*chat.Chat]*user{}}
	for _, o := range opts.Origins {
		if err := h.origins.AddTrustedOrigin(o); err != nil {
			refuse("Options.Origins: %q is no origin such as https://app.example.org", o)
		}
	}
	for _, pattern := range opts.HiddenColumns {
		if _, err := path.Match(pattern, ""); err != nil {
			refuse("Options.HiddenColumns: %q is no pattern", pattern)
		}
	}
	if opts.Heartbeat > maxHeartbeat {
		refuse("Options.Heartbeat: %v; give at most %v", opts.Heartbeat, maxHeartbeat)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	o := &h.opts
	o.MaxBody, o.MaxUpload = cmp.Or(o.MaxBody, 4<<20), cmp.Or(o.MaxUpload, 64<<20)
	o.Calls, o.Streams, o.Keep = cmp.Or(o.Calls, 300), cmp.Or(o.Streams, 16), cmp.Or(o.Keep, 3*time.Hour)
	o.LogEvents, o.LogBytes = cmp.Or(o.LogEvents, 512), cmp.Or(o.LogBytes, 1<<20)
	o.Heartbeat, o.WriteTimeout = cmp.Or(o.Heartbeat, 15*time.Second), cmp.Or(o.WriteTimeout, 30*time.Second)
	if o.HiddenColumns == nil {
		o.HiddenColumns = []string{"*password*"}
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// Close ends all streams, those that wait for their pages, too, and refuses what comes
// later. It does not wait: calls that run go on. Give it to [http.Server.RegisterOnShutdown],
// since a server that shuts down waits for its streams. Closing again does nothing.
func (h *Handler) Close() error {
	h.mu.Lock()
	h.closed = true
	users := h.users
	h.users = nil
	h.mu.Unlock()
	for _, u := range users {
		u.stop(chat.ErrClosed)
	}
	return nil
}

//go:embed chat.js
var script []byte

// Script is chat.js, as the handler serves it.
func Script() []byte { return append([]byte(nil), script...) }

// request is one request on its way.
type request struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	user *user
}

func (q *request) chat() *chat.Chat { return q.user.chat }

// ServeHTTP answers a request; see the package for the paths.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	at := strings.TrimPrefix(r.URL.Path, "/")
	if at == "chat.js" {
		h.serveScript(w, r)
		return
	}
	header.Set("Cache-Control", "no-store")
	if err := h.foreign(r); err != nil {
		h.refuse(w, r, err)
		return
	}
	serve, method, err := route(at)
	if err == nil && !allows(method, r.Method) {
		header.Set("Allow", method)
		err = refusal(http.StatusMethodNotAllowed, "this address takes %s", method)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	u, err := h.identify(r)
	if err == nil {
		err = u.allow(h.opts.Calls)
	}
	if err == nil && at != "stream" {
		err = u.enter()
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if at != "stream" {
		defer u.leave()
	}
	q := &request{h, w, r, u}
	if err := serve(q, strings.Split(at, "/")[1:]); err != nil {
		h.refuse(w, r, err)
	}
}

// allowed asks whether a user may make a call.
func (q *request) allowed(method string) error {
	if q.h.opts.Allow == nil {
		return nil
	}
	if err := q.h.opts.Allow(q.r, q.chat(), method); err != nil {
		return &failure{status: http.StatusForbidden, text: "you may not do this", cause: err}
	}
	return nil
}

// moderates reports whether the user may change what others have written.
func (q *request) moderates() bool { return q.h.opts.Moderator != nil && q.h.opts.Moderator(q.chat()) }

// route finds what serves a path, and the method that it takes.
func route(at string) (serve func(*request, []string) error, method string, err error) {
	parts := strings.Split(at, "/")
	switch {
	case len(parts) == 2 && parts[0] == "call":
		return (*request).call, http.MethodPost, nil
	case at == "stream":
		return (*request).stream, http.MethodGet, nil
	case at == "stream/ack":
		return (*request).ack, http.MethodPost, nil
	case at == "stream/close":
		return (*request).giveUp, http.MethodPost, nil
	case len(parts) == 2 && parts[0] == "upload":
		return (*request).upload, http.MethodPost, nil
	case len(parts) == 4 && parts[0] == "file":
		return (*request).file, "GET, HEAD", nil
	}
	return nil, "", refusal(http.StatusNotFound, "there is nothing at this address; is the handler mounted with http.StripPrefix?")
}

func allows(methods, method string) bool {
	for m := range strings.SplitSeq(methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// foreign refuses requests that pages of other origins have caused. Reading is refused, too:
// a stream or a file is nobody else's business.
func (h *Handler) foreign(r *http.Request) error {
	look := r
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		look = &http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: &url.URL{Path: "/"}}
	}
	if err := h.origins.Check(look); err != nil {
		return refusal(http.StatusForbidden, "pages of other origins may not use this chat; Options.Origins names those that may")
	}
	return nil
}

// identify asks who is asking.
func (h *Handler) identify(r *http.Request) (*user, error) {
	c, err := h.who(r)
	if err == nil && c == nil {
		err = errors.New("who returned no Chat")
	}
	if err != nil {
		switch status(err) {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return nil, err // it may succeed later
		}
		return nil, &failure{status: http.StatusUnauthorized, text: "not logged in", cause: err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, &failure{status: http.StatusServiceUnavailable, text: "the server is shutting down", retry: 5}
	}
	u := h.users[c]
	if u == nil {
		h.sweep()
		u = newUser(c)
		h.users[c] = u
	}
	u.used = time.Now()
	return u, nil
}

// idleUser is after how long what is known of a Chat without streams is forgotten.
const idleUser = 5 * time.Minute

// sweep forgets Chats that nobody has asked for. mu is held.
func (h *Handler) sweep() {
	for c, u := range h.users {
		if time.Since(u.used) > idleUser && u.idle() {
			delete(h.users, c)
		}
	}
}

func (h *Handler) serveScript(w http.ResponseWriter, r *http.Request) {
	if !allows("GET, HEAD", r.Method) {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, r, refusal(http.StatusMethodNotAllowed, "this address takes GET"))
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", scriptTag)
	if r.Header.Get("If-None-Match") == scriptTag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(script)
	}
}

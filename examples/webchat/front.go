package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"path"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/chathttp"
)

//go:embed static
var static embed.FS

// front serves the pages, the drawer and, from the other process, the chats.
type front struct {
	world  *world
	child  *child
	wire   *wire
	ledger *ledger
	log    *slog.Logger
	pages  map[string]file
}

// file is one file of the pages.
type file struct {
	text      []byte
	kind, tag string
}

func newFront(w *world, c *child, log *slog.Logger) *front {
	return &front{world: w, child: c, wire: &wire{}, ledger: newLedger(), log: log, pages: readPages()}
}

// readPages reads what a browser may load.
func readPages() map[string]file {
	pages := map[string]file{}
	add := func(name string, text []byte) {
		sum := sha256.Sum256(text)
		pages[name] = file{text: text, kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		panic(err) // they are in the program
	}
	for _, e := range entries {
		text, err := fs.ReadFile(static, "static/"+e.Name())
		if err != nil {
			panic(err)
		}
		add(e.Name(), text)
	}
	add("chat.js", chathttp.Script())
	return pages
}

// policy lets pages load what this program serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"

func (f *front) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", f.page)
	mux.HandleFunc("GET /{name}", f.page)
	mux.HandleFunc("GET /lab/setup", f.setup)
	mux.HandleFunc("GET /lab/state", f.state)
	mux.HandleFunc("POST /lab/report", f.report)
	mux.HandleFunc("POST /lab/faults", f.faults)
	mux.HandleFunc("POST /lab/restart", f.restart)
	mux.Handle("/chat/", f.wire.around(f.proxy()))
	return guarded(http.NewCrossOriginProtection().Handler(mux))
}

// guarded refuses names of this machine that are not its own: a page of somebody else could
// let its own name lead here.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			host = h
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "not one of this server's names; use the address that it has printed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// page serves a file: at "/" the window, or with ?as= one person's page.
func (f *front) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name == "" {
		name = "index.html"
		if r.URL.Query().Get("as") != "" {
			name = "chat.html"
		}
	}
	p, ok := f.pages[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", p.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.text))
}

func (f *front) setup(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		As   string `json:"as"`
		Name string `json:"name"`
	}
	people := []shown{}
	for _, p := range f.world.config.People {
		people = append(people, shown{p.As, p.Name})
	}
	send(w, map[string]any{"where": f.world.where, "people": people, "faults": f.world.local != nil})
}

func (f *front) state(w http.ResponseWriter, _ *http.Request) {
	address, restarts := f.child.state()
	counters, latencies := f.ledger.read(time.Now())
	send(w, map[string]any{"up": address != nil, "restarts": restarts, "counters": counters, "latencies": latencies})
}

func (f *front) report(w http.ResponseWriter, r *http.Request) {
	var rep report
	if !receive(w, r, 4<<20, &rep) {
		return
	}
	if err := f.ledger.take(rep, time.Now()); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *front) faults(w http.ResponseWriter, r *http.Request) {
	var v faults
	if !receive(w, r, 4<<10, &v) {
		return
	}
	err := v.check()
	if err == nil && f.world.local == nil {
		err = errors.New("a real account has no faults to set")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	f.wire.set(v)
	v.pull(f.world.local)
	w.WriteHeader(http.StatusNoContent)
}

func (f *front) restart(w http.ResponseWriter, _ *http.Request) {
	if err := f.child.kill(); err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// proxy passes requests to the process with the chats.
func (f *front) proxy() http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1, // streams are not kept back
		Rewrite: func(r *httputil.ProxyRequest) {
			address, _ := f.child.state()
			if address != nil {
				r.SetURL(address)
			}
			r.Out.Host = r.In.Host // what origins are compared with
			r.Out.Header.Set(knockHeader, f.world.config.Knock)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":503,"status":503,"message":"the server behind this page is down"}`))
		},
		ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelWarn),
	}
}

// receive reads JSON, or refuses it.
func receive(w http.ResponseWriter, r *http.Request, most int64, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, unreadable(err))
		return false
	}
	return true
}

// unreadable says what is wrong with a body, without this program's own names.
func unreadable(err error) error {
	var kind *json.UnmarshalTypeError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("body: larger than %d bytes", large.Limit)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s: a JSON %s is not what it takes", kind.Field, kind.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return errors.New("body: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return errors.New("body: not the JSON object that is taken here")
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": status, "status": status, "message": err.Error()})
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}

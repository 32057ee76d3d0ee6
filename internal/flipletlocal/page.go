package flipletlocal

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

//go:embed page.html page.css page*.js
var pageFiles embed.FS

// files are what the page is made of, beside its HTML.
var files = []struct{ name, contentType string }{
	{"page.css", "text/css; charset=utf-8"},
	{"page.js", "text/javascript; charset=utf-8"},
	{"page_chart.js", "text/javascript; charset=utf-8"},
	{"page_dom.js", "text/javascript; charset=utf-8"},
	{"page_lists.js", "text/javascript; charset=utf-8"},
	{"page_talk.js", "text/javascript; charset=utf-8"},
}

// page answers / and what it fetches, and leaves everything else to the server. It only
// reads.
type page struct {
	core  *flipletd.Server
	url   string
	tmpl  *template.Template
	names nameBook
}

func newPage(core *flipletd.Server, url string) http.Handler {
	return &page{core: core, url: url, tmpl: template.Must(template.ParseFS(pageFiles, "page.html"))}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.core.ServeHTTP(w, r)
		return
	}
	switch r.URL.Path {
	case "/":
		p.servePage(w, r)
	case "/live.json":
		headers(w, "application/json; charset=utf-8")
		writeJSON(w, p.look(wishOf(r)))
	case "/messages.json":
		p.serveTalk(w, r)
	default:
		for _, f := range files {
			if r.URL.Path == "/"+f.name {
				serveFile(w, f.name, f.contentType)
				return
			}
		}
		p.core.ServeHTTP(w, r)
	}
}

// servePage shows the page with what it shows first. Nothing from elsewhere may be loaded
// or run, whatever names and rows hold: scripts and styles need a number that nobody can
// know, and the scripts cannot make markup of a text.
func (p *page) servePage(w http.ResponseWriter, r *http.Request) {
	nonce := rand.Text()
	var b bytes.Buffer // a failure is not half a page
	if err := p.tmpl.Execute(&b, map[string]any{
		"URL": p.url, "App": appID, "Organization": organizationID, "Nonce": nonce, "State": p.look(wishOf(r)),
	}); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	h := headers(w, "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+
		"'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"+
		"; require-trusted-types-for 'script'; trusted-types 'none'")
	_, _ = w.Write(b.Bytes()) // the browser may have left
}

func (p *page) serveTalk(w http.ResponseWriter, r *http.Request) {
	talk, err := p.talk(r.URL.Query())
	headers(w, "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		writeJSON(w, map[string]string{"message": err.Error()})
		return
	}
	writeJSON(w, talk)
}

func serveFile(w http.ResponseWriter, name, contentType string) {
	text, err := pageFiles.ReadFile(name)
	if err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	headers(w, contentType)
	_, _ = w.Write(text) // the browser may have left
}

func writeJSON(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // the browser may have left
}

func headers(w http.ResponseWriter, contentType string) http.Header {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return h
}

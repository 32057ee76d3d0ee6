package main

import (
	"bytes"
	"crypto/rand"
	_ "embed" // page.html
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

//go:embed page.html
var pageText string

// page answers / and /live.json, and leaves everything else to the server. It
// only reads.
type page struct {
	core *flipletd.Server
	url  string
	tmpl *template.Template
}

func newPage(core *flipletd.Server, url string) http.Handler {
	return &page{core: core, url: url, tmpl: template.Must(template.New("page").Parse(pageText))}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case reads && r.URL.Path == "/":
		p.serveHTML(w)
	case reads && r.URL.Path == "/live.json":
		p.serveJSON(w)
	default:
		p.core.ServeHTTP(w, r)
	}
}

// serveHTML shows the page. Nothing from elsewhere may be loaded or run, whatever
// names and rows hold.
func (p *page) serveHTML(w http.ResponseWriter) {
	nonce := rand.Text()
	h := headers(w, "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+
		"'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	p.render(w, "page", struct {
		view
		Nonce string
	}{p.look(), nonce})
}

// serveJSON is what the page fetches to stay true: the part of it that changes,
// as HTML that is escaped already.
func (p *page) serveJSON(w http.ResponseWriter) {
	var live bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&live, "live", p.look()); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	headers(w, "application/json; charset=utf-8")
	writeJSON(w, map[string]string{"html": live.String()})
}

func writeJSON(w http.ResponseWriter, fields map[string]string) {
	_ = json.NewEncoder(w).Encode(fields) // the browser may have left
}

func headers(w http.ResponseWriter, contentType string) http.Header {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return h
}

// render buffers, so that a failure is not half a page.
func (p *page) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b.Bytes()) // the browser may have left
}

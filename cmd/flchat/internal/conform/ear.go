package conform

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// Ear hears the requests of web hooks.
type Ear struct {
	mu    sync.Mutex
	rings []ring
}

type ring struct {
	at     time.Time
	path   string
	header http.Header
	body   any
	raw    string
}

// maxRing bounds what is read of a request, which anybody may send.
const (
	maxRing  = 64 << 10
	maxRings = 1000
)

// ServeHTTP keeps the request.
func (e *Ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, maxRing)) //nolint:errcheck // what has come
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rings) < maxRings {
		e.rings = append(e.rings, ring{time.Now(), r.URL.Path, r.Header.Clone(), decode(raw), string(raw)})
	}
	w.WriteHeader(http.StatusNoContent)
}

// heard is the first request that fits.
func (e *Ear) heard(fits func(*ring) bool) *ring {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.rings {
		if fits(&e.rings[i]) {
			return &e.rings[i]
		}
	}
	return nil
}
